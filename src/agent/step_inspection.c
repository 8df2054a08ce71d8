/* Quarantine (検疫). No client can report its state yet, so none passes. */
#include "agent/login.h"
#include "base/err.h"

static int
refuse(struct login *login)
{
	(void)login;
	return -ERR_INSPECTION;
}

const struct login_step step_inspection = {.name = "inspection", .ready = refuse, .enter = refuse};
