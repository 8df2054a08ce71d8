/* Where the client may come from: asked before anything that costs, sends mail or is counted. */
#include "agent/login.h"

static int
enter(struct login *login)
{
	int r = iplist_check(login->office.addresses, login->address);
	return r < 0 ? r : LOGIN_PASSED;
}

const struct login_step step_address = {.name = "address", .again = 1, .enter = enter};
