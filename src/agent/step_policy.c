/* There is a policy that can be kept, or nobody comes in. */
#include "agent/login.h"
#include "base/err.h"

static int
enter(struct login *login)
{
	if (login->office.policy_code < 0)
		return login->office.policy_code;
	return LOGIN_PASSED;
}

const struct login_step step_policy = {.name = "policy", .again = 1, .enter = enter};
