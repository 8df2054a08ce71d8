#include "agent/persons.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "agent/local.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

/* Is there one of this kind? */
static int
has_hash(const struct agent *agent, int (*is)(const char *hash))
{
	int found = is(agent->settings.password) || is(agent->settings.lock);
	for (size_t i = 0; i < agent->users->count; i++)
		found |= is(agent->users->list[i].verifier);
	return found;
}

/* A new key would make every password wrong that was kept with the old one. Beside a token the file
 * is there for what has not been kept anew yet. */
static int
open_pepper(struct agent *agent, char *ret_path, size_t size)
{
	const struct options *o = &agent->options;
	int by_file = has_hash(agent, password_by_file), r = 0;
	if (o->pepper_token) {
		atomic_store(&agent->pepper->make, !has_hash(agent, password_by_token));
		if (o->pepper_pin_file)
			r = str_copy(ret_path, size, o->pepper_pin_file);
		if (r == 0)
			r = pepper_set_token(agent->pepper, o->pepper_module, o->pepper_token,
				o->pepper_pin_file);
	}
	if (r < 0 || (o->pepper_token && !by_file))
		return r;
	r = o->pepper_file ? str_copy(ret_path, size, o->pepper_file)
			   : state_path(o, "pepper", ret_path, size);
	return r < 0 ? r : pepper_load(ret_path, !by_file, agent->pepper);
}

/* Whether the token is there is known before somebody needs it; without it only passwords wait. */
static void
try_token(struct agent *agent)
{
	uint8_t key[PEPPER_BYTES];
	if (!pepper_has_token(agent->pepper))
		return;
	int r = pepper_by_token(agent->pepper, "", key);
	mem_wipe(key, sizeof key);
	if (r < 0)
		LOG(ERROR, "pepper.token", F_ERR("code", r));
	else
		LOG(INFO, "pepper.token", F_STR("state", "ready"));
}

int
persons_open(struct agent *agent, char *ret_path, size_t size, struct conf_error *error)
{
	const struct options *o = &agent->options;
	agent->users = mem_new(sizeof *agent->users);
	agent->pepper = mem_new(sizeof *agent->pepper);
	int r = state_path(o, "users", ret_path, size);
	if (r == 0)
		r = users_load(ret_path, agent->users, error);
	if (r == 0)
		r = state_path(o, "persons", ret_path, size);
	if (r == 0)
		r = devices_open(ret_path, &agent->persons, error);
	if (r == 0)
		r = open_pepper(agent, ret_path, size);
	if (r == 0)
		try_token(agent);
	return r;
}

void
persons_close(struct agent *agent)
{
	mem_wipe_free(agent->users, sizeof *agent->users);
	mem_wipe_free(agent->pepper, sizeof *agent->pepper);
	devices_free(agent->persons);
	agent->users = NULL;
	agent->pepper = NULL;
	agent->persons = NULL;
}

void
persons_waiver_name(const struct agent *agent, char ret_name[static WAIVER_NAME_SIZE])
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	SHA256((const uint8_t *)agent->keys.terminal_id, TERMINAL_ID_CHARS, hash);
	str_hex(ret_name, hash, (WAIVER_NAME_SIZE - 1) / 2);
}

/* PASSWORD_WAIVER terminal last-day. What does not have this form waives nothing. */
static int
is_waived(const struct agent *agent, const struct policy *policy)
{
	char name[WAIVER_NAME_SIZE];
	persons_waiver_name(agent, name);
	for (size_t i = 0; i < policy->password_waiver.count; i++) {
		const char *line = policy->password_waiver.items[i];
		struct user until = {0};
		if (strncmp(line, name, sizeof name - 1) != 0 || line[sizeof name - 1] != ' ' ||
			!user_date_fit(line + sizeof name) ||
			str_copy(until.expires, sizeof until.expires, line + sizeof name) < 0)
			continue;
		if (user_expired(&until, wall_s())) {
			LOG(INFO, "password.waiver_over", F_STR("until", until.expires));
			continue;
		}
		LOG(WARN, "password.waiver", F_STR("until", until.expires));
		return 1;
	}
	return 0;
}

void
persons_choice(struct agent *agent, const char *user, struct password_choice *ret_choice)
{
	struct policy policy;
	*ret_choice = (struct password_choice){0};
	agent_policy(agent, &policy);
	ret_choice->kinds = policy.enforce_password_complexity != 0;
	ret_choice->alone = !policy_wants_otp(&policy);
	ret_choice->waived = is_waived(agent, &policy);
	policy_fini(&policy);
	const char *names[PASSWORD_NAMES_MAX] = {user, agent->keys.org.id, "engawa", "telework"};
	for (size_t i = 0; i < PASSWORD_NAMES_MAX; i++)
		str_copy(ret_choice->names[i], sizeof ret_choice->names[i], names[i]);
	if (agent->options.password_blocklist)
		str_copy(ret_choice->list, sizeof ret_choice->list,
			agent->options.password_blocklist);
}

int
persons_save(struct agent *agent, const struct users *users)
{
	char path[256];
	int r = state_path(&agent->options, "users", path, sizeof path);
	if (r == 0)
		r = users_save(path, users);
	if (r == 0)
		*agent->users = *users;
	return r == -ENOSPC ? -ERR_DISK_FULL : r;
}

void
persons_rehash(struct agent *agent, const char *old, const char *now)
{
	int r = -ERR_NOT_FOUND;
	struct settings settings = agent->settings;
	char *hashes[] = {settings.password, settings.lock}; /* with a salt each: one of them */
	for (size_t i = 0; i < 2; i++)
		if (strcmp(hashes[i], old) == 0) {
			memcpy(hashes[i], now, strlen(now) + 1);
			r = local_save(agent, &settings);
		}
	mem_wipe(&settings, sizeof settings);
	struct users *users = mem_new(sizeof *users);
	*users = *agent->users;
	for (size_t i = 0; i < users->count; i++) {
		if (strcmp(users->list[i].verifier, old) != 0)
			continue;
		memcpy(users->list[i].verifier, now, strlen(now) + 1);
		r = persons_save(agent, users);
		break;
	}
	mem_wipe_free(users, sizeof *users);
	LOG(INFO, "password.rehash", F_ERR("code", r));
}
