/* Too many failures of this device, or of all strangers together, close the door for a while. */
#include "agent/login.h"

static int
enter(struct login *login)
{
	int r = login_locked(login);
	return r < 0 ? r : LOGIN_PASSED;
}

const struct login_step step_lockout = {.name = "lockout", .again = 1, .enter = enter};
