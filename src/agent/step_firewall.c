/*
 * Closed network (完全閉域化). No client can close its network yet, so only those pass that policy
 * exempts: registered devices whose computer name was one of its prefixes when they were
 * registered. What a client calls itself today exempts from nothing.
 */
#include <string.h>

#include "agent/login.h"
#include "base/err.h"

static int
exempt(const struct login *login)
{
	const struct entry *e = registry_find(login->office.registry, login->device);
	return login->admission.registered && e &&
	       policy_firewall_exempt(login->office.policy, e->computer);
}

static int
ready(struct login *login)
{
	return exempt(login) ? 0 : -ERR_FIREWALL_REQUIRED;
}

static int
enter(struct login *login)
{
	return exempt(login) ? LOGIN_PASSED : -ERR_FIREWALL_REQUIRED;
}

const struct login_step step_firewall = {
	.name = "firewall", .again = 1, .ready = ready, .enter = enter};
