/* Working hours, by the clock of this office PC: refused before a mail goes out. */
#include "agent/hours.h"
#include "agent/login.h"
#include "base/err.h"

static int
enter(struct login *login)
{
	const struct policy *policy = login->office.policy;
	return hours_left_s(&policy->working_hours, &policy->holidays,
		       login->env->wall_s(login->env->user))
		       ? LOGIN_PASSED
		       : -ERR_HOURS;
}

const struct login_step step_hours = {.name = "hours", .again = 1, .enter = enter};
