/* The office PC's one password. The try is charged before Argon2 runs and given back when it was
 * right, so that logins that race each other cannot share a try. */
#include "agent/login.h"
#include "base/err.h"
#include "inner.pb.h"

static int
ready(struct login *login)
{
	return login->office.settings->password[0] ? 0 : -ERR_PASSWORD_UNSET;
}

static int
ask(struct login *login, uint32_t why)
{
	struct prompt prompt = {.kind = engawa_PromptKind_PROMPT_PASSWORD, .wrong = why};
	int r = ready(login);
	if (r < 0)
		return r;
	login->prompt = prompt.kind;
	login->wait = LOGIN_WAIT_REPLY;
	login->env->prompt(login->env->user, &prompt);
	return LOGIN_WAITS;
}

static int
enter(struct login *login)
{
	return ask(login, 0);
}

static int
reply(struct login *login, const char *text)
{
	int r = ready(login); /* it may have been removed meanwhile */
	if (r == 0)
		r = login_charge(login, &login->password.before);
	if (r < 0)
		return r;
	login->wait = LOGIN_WAIT_CHECK;
	login->env->check(login->env->user, login->office.settings->password, text);
	return LOGIN_WAITS;
}

static int
checked(struct login *login, int code)
{
	if (code == 0) {
		login_refund(login, &login->password.before);
		return LOGIN_PASSED;
	}
	if (code != -ERR_PASSWORD_WRONG)
		return -ERR_INTERNAL;
	int r = login_locked(login);
	if (r < 0)
		return r;
	return ++login->password.wrong >= LOGIN_TRIES_MAX ? code : ask(login, ERR_PASSWORD_WRONG);
}

const struct login_step step_password = {
	.name = "password", .ready = ready, .enter = enter, .reply = reply, .checked = checked};
