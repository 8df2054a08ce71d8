/* Which programs may come at all: kind, build, and for browsers the checks that they cannot prove.
 */
#include "agent/login.h"
#include "base/err.h"
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

static int
enter(struct login *login)
{
	const struct policy *policy = login->office.policy;
	if (login->facts.build < policy->minimum_build)
		return -ERR_CLIENT_OLD;
	if (login->facts.kind == engawa_ClientKind_CLIENT_HTML5)
		return html5(policy);
	return policy->deny_clients_app ? -ERR_APP_DENIED : LOGIN_PASSED;
}

const struct login_step step_client = {.name = "client", .again = 1, .enter = enter};
