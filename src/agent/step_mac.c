/* Client's MAC addresses. No list of registered addresses exists yet, so none is registered. */
#include "agent/login.h"
#include "base/err.h"

static int
refuse(struct login *login)
{
	(void)login;
	return -ERR_MAC_DENIED;
}

const struct login_step step_mac = {.name = "mac", .ready = refuse, .enter = refuse};
