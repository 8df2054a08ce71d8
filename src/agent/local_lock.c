#include "agent/local_lock.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

int
local_lock_open(struct agent *agent, char *ret_path, size_t size, struct conf_error *error)
{
	int r = state_path(&agent->options, "local", ret_path, size);
	return r < 0 ? r : devices_open(ret_path, &agent->local_tries, error);
}

/* What is not named here changes something. */
int
local_lock_reading(uint16_t type, const char *text)
{
	static const uint16_t lists[] = {MSG_ADDRESSES, MSG_USERS, MSG_DEVICES, MSG_MACS, MSG_KEY};
	if (type == MSG_STATUS || type == MSG_FIT || type == MSG_PROVE)
		return 1;
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
		if (type == lists[i] && strncmp(text, "list ", 5) == 0)
			return 1;
	return 0;
}

static void
user_of_this_computer(
	uid_t uid, uint8_t ret_key[static DEVICE_HASH_BYTES], char ret_name[static 32])
{
	snprintf(ret_name, 32, "uid %lu", (unsigned long)uid);
	SHA256((const uint8_t *)ret_name, strlen(ret_name), ret_key);
}

int
local_lock_charge(struct agent *agent, uid_t uid, struct tries *ret_before)
{
	static const struct lockout_rule rule = {LOCK_TRIES, LOCK_TIMEOUT_S};
	uint8_t key[DEVICE_HASH_BYTES];
	char name[32];
	uint32_t retry_s;
	user_of_this_computer(uid, key, name);
	/* of its own from the first try on: who may ask are root, the owner and one group */
	int r = devices_enter(agent->local_tries, key, wall_s());
	if (r == 0 || r == -ERR_LIMIT)
		r = devices_check(agent->local_tries, key, wall_s(), &retry_s);
	if (r == 0)
		r = devices_charge(agent->local_tries, key, &rule, wall_s(), ret_before);
	return r;
}

void
local_lock_right(struct agent *agent, uid_t uid)
{
	uint8_t key[DEVICE_HASH_BYTES];
	char name[32];
	user_of_this_computer(uid, key, name);
	int r = devices_login(agent->local_tries, key, name, wall_s());
	if (r < 0)
		LOG(ERROR, "settings.record", F_ERR("code", r)); /* one try too many is counted */
}

void
local_lock_refund(struct agent *agent, uid_t uid, const struct tries *before)
{
	uint8_t key[DEVICE_HASH_BYTES];
	char name[32];
	user_of_this_computer(uid, key, name);
	int r = devices_refund(agent->local_tries, key, before);
	if (r < 0)
		LOG(ERROR, "settings.record", F_ERR("code", r));
}

int
local_lock_forget(struct agent *agent)
{
	return devices_unlock(agent->local_tries);
}
