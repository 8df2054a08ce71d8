/*
 * 端末チェック申請: a stranger says what it is and asks to be registered. That is written down for
 * whoever approves (`engawa agent device`), and nothing else happens for it. It stands behind the
 * network list and the lock-out, and in front of everything that costs or sends mail.
 */
#include "agent/login.h"
#include "base/err.h"
#include "base/log.h"

static struct log_limit limit = {.burst = 20, .window_ms = 60000};

static int
enter(struct login *login)
{
	char number[REGISTRY_NUMBER_SIZE];
	struct entry entry;
	uint32_t held;
	const struct entry *e = registry_find(login->office.registry, login->device);
	if (!login->facts.apply[0] || !login->facts.device_key[0] ||
		(e && e->state != ENTRY_APPLIED))
		return LOGIN_PASSED;
	registry_take(&entry, &login->facts, login->device, login->address,
		login->env->wall_s(login->env->user));
	int r = registry_apply(login->office.registry, &entry);
	registry_number(login->device, number);
	if (log_limit_pass(&limit, &held))
		LOG(INFO, "device.application", F_STR("device", number), F_STR("name", entry.name),
			F_STR("computer", entry.computer), F_STR("address", entry.address),
			F_INT("held", held), F_ERR("code", r));
	if (r < 0)
		return r == -ERR_LIMIT ? r : -ERR_DISK_FULL;
	return login->admission.required ? -ERR_DEVICE_APPLIED : LOGIN_PASSED;
}

const struct login_step step_apply = {.name = "apply", .enter = enter};
