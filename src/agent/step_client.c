/* Which programs may come at all: kind, build, and for browsers the checks that they cannot prove.
 */
#include "agent/login.h"
#include "base/build.h"
#include "base/err.h"
#include "base/log.h"
#include "inner.pb.h"

static int
html5(const struct policy *policy)
{
	if (policy->deny_clients_html5)
		return -ERR_HTML5_DENIED;
	if ((policy_wants_inspection(policy) && !policy->html5_without_inspection) ||
		(policy_wants_maccheck(policy) && !policy->html5_without_maccheck) ||
		(policy_wants_limited_firewall(policy) && !policy->html5_without_limited_firewall))
		return -ERR_HTML5_UNPROVED;
	return LOGIN_PASSED;
}

/* A number above our own is a slip, or meant for office PCs that are newer: a client as new as this
 * one is never too old for it, or one digit too many would shut everybody out. */
static int
is_old(const struct login *login)
{
	int64_t minimum = login->office.policy->minimum_build;
	if (minimum > BUILD)
		LOG(WARN, "policy.minimum_build", F_INT("policy", minimum),
			F_INT("held_to", BUILD));
	return login->facts.build < (minimum < BUILD ? minimum : BUILD);
}

static int
enter(struct login *login)
{
	const struct policy *policy = login->office.policy;
	if (is_old(login))
		return -ERR_CLIENT_OLD;
	if (login->facts.kind == engawa_ClientKind_CLIENT_HTML5)
		return html5(policy);
	return policy->deny_clients_app ? -ERR_APP_DENIED : LOGIN_PASSED;
}

const struct login_step step_client = {.name = "client", .again = 1, .enter = enter};
