/*
 * Is this office PC one of the organisation's (SERVER_ALLOWED_MAC_LIST_URL)? A list that cannot be
 * had is no permission, unless policy says so by name.
 */
#include "agent/login.h"
#include "base/err.h"
#include "base/log.h"

static int
enter(struct login *login)
{
	if (!login->office.policy->server_mac_list)
		return LOGIN_PASSED;
	login->wait = LOGIN_WAIT_CHECK;
	login->env->maclist(login->env->user, MAC_LIST_SERVER);
	return LOGIN_WAITS;
}

static int
checked(struct login *login, int code)
{
	int lenient = code == -ERR_MAC_LIST && login->office.policy->server_mac_list_fail_open;
	if (code < 0)
		LOG(ERROR, "login.server_mac", F_ERR("code", code), F_INT("let_in", lenient));
	return code == 0 || lenient ? LOGIN_PASSED : -ERR_SERVER_MAC_DENIED;
}

const struct login_step step_server = {
	.name = "server", .again = 1, .enter = enter, .checked = checked};
