#include "agent/person.h"

#include <string.h>

#include "base/err.h"
#include "base/log.h"

enum {
	PERSON_FACTOR = 3 /* of AUTH_LOCKOUT_COUNT: one device alone does not get there */
};

int
person_has_users(const struct login *login)
{
	return login->office.users && login->office.users->count > 0;
}

static int
is_counted(const struct login *login)
{
	return person_has_users(login) && login->office.persons && login->person.name[0] &&
	       devices_known(login->office.devices, login->device);
}

/* Each person of the table has counters of their own, also before the first login: guesses at
 * others, or at names that are nobody's, are not counted against them. Whom only the row of
 * everybody admits has them from the first login on, for any name could be theirs. */
static int
counters_of(struct login *login, uint8_t ret_key[static USER_KEY_BYTES])
{
	struct devices *persons = login->office.persons;
	const struct user *user = users_find(login->office.users, login->person.name);
	user_key(login->person.name, ret_key);
	if (devices_known(persons, ret_key) ||
		(user && strcmp(user->name, USER_EVERYBODY) != 0 &&
			devices_enter(persons, ret_key, login->env->wall_s(login->env->user)) == 0))
		return 0;
	return devices_shared(persons, ret_key, ret_key);
}

int
person_locked(struct login *login)
{
	uint8_t key[USER_KEY_BYTES];
	if (!is_counted(login))
		return 0;
	if (counters_of(login, key) < 0)
		return -ERR_INTERNAL;
	return devices_check(
		login->office.persons, key, login->env->wall_s(login->env->user), &login->retry_s);
}

int
person_charge(struct login *login)
{
	struct lockout_rule rule = {PERSON_FACTOR * (uint32_t)login->office.policy->lockout_count,
		(uint32_t)login->office.policy->lockout_timeout_s};
	int r = login_charge(login, &login->person.before);
	login->person.charged = 0;
	if (r < 0 || !is_counted(login))
		return r;
	if (counters_of(login, login->person.counters) < 0)
		return -ERR_INTERNAL;
	r = devices_charge(login->office.persons, login->person.counters, &rule,
		login->env->wall_s(login->env->user), &login->person.person_before);
	login->person.charged = r == 0;
	return r < 0 ? -ERR_DISK_FULL : 0;
}

void
person_refund(struct login *login, int right)
{
	uint8_t key[USER_KEY_BYTES];
	int r = 0;
	login_refund(login, &login->person.before);
	if (!person_has_users(login) || !login->office.persons || !login->person.name[0])
		return;
	if (login->person.charged)
		r = devices_refund(login->office.persons, login->person.counters,
			&login->person.person_before);
	user_key(login->person.name, key);
	if (r == 0 && right)
		r = devices_login(
			login->office.persons, key, "", login->env->wall_s(login->env->user));
	if (r < 0)
		LOG(ERROR, "login.record", F_ERR("code", r));
}

int
person_refusal(const struct login *login, const struct user *user)
{
	if (user->disabled)
		return -ERR_PERSON_DENIED;
	return user_expired(user, login->env->wall_s(login->env->user)) ? -ERR_PERSON_EXPIRED : 0;
}
