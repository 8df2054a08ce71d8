/* What is sure to be refused later is refused now: before a mail is sent and a person types. */
#include "agent/login.h"

static int
enter(struct login *login)
{
	int r = login_ready(login);
	return r < 0 ? r : LOGIN_PASSED;
}

const struct login_step step_ready = {.name = "ready", .enter = enter};
