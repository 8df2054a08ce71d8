/*
 * The person: the office PC's one password, or a name and its password where the table of users.h
 * has rows. The try is charged before it is judged and given back when it was right, so that logins
 * that race each other cannot share a try. A person has counters too, over all devices that are
 * known: somebody else's device cannot go on guessing at a name after its own tries are used up and
 * take over where another left off. Strangers share one counter already.
 */
#include <stdio.h>
#include <string.h>

#include "agent/login.h"
#include "base/err.h"
#include "base/log.h"
#include "inner.pb.h"

enum {
	PERSON_FACTOR = 3 /* of AUTH_LOCKOUT_COUNT: one device alone does not get there */
};

static int
has_users(const struct login *login)
{
	return login->office.users && login->office.users->count > 0;
}

static int
ready(struct login *login)
{
	return has_users(login) || login->office.settings->password[0] ? 0 : -ERR_PASSWORD_UNSET;
}

/* ---- counters of a person ---- */

static int
is_counted(const struct login *login)
{
	return has_users(login) && login->office.persons && login->password.name[0] &&
	       devices_known(login->office.devices, login->device);
}

static int
person_locked(struct login *login)
{
	uint8_t key[USER_KEY_BYTES];
	if (!is_counted(login))
		return 0;
	user_key(login->password.name, key);
	return devices_check(
		login->office.persons, key, login->env->wall_s(login->env->user), &login->retry_s);
}

static int
person_charge(struct login *login)
{
	struct lockout_rule rule = {PERSON_FACTOR * (uint32_t)login->office.policy->lockout_count,
		(uint32_t)login->office.policy->lockout_timeout_s};
	uint8_t key[USER_KEY_BYTES];
	if (!is_counted(login))
		return 0;
	user_key(login->password.name, key);
	return devices_charge(login->office.persons, key, &rule,
		       login->env->wall_s(login->env->user), &login->password.person_before) < 0
		       ? -ERR_DISK_FULL
		       : 0;
}

static void
refund(struct login *login, int right)
{
	uint8_t key[USER_KEY_BYTES];
	int r = 0;
	login_refund(login, &login->password.before);
	if (!has_users(login) || !login->office.persons || !login->password.name[0])
		return;
	user_key(login->password.name, key);
	if (right)
		r = devices_login(
			login->office.persons, key, "", login->env->wall_s(login->env->user));
	else if (is_counted(login))
		r = devices_refund(login->office.persons, key, &login->password.person_before);
	if (r < 0)
		LOG(ERROR, "login.record", F_ERR("code", r));
}

/* ---- the step ---- */

static int
ask(struct login *login, uint32_t why)
{
	struct prompt prompt = {.kind = engawa_PromptKind_PROMPT_PASSWORD, .wrong = why};
	int r = ready(login);
	if (r == 0)
		r = person_locked(login);
	if (r < 0)
		return r;
	login->prompt = prompt.kind;
	login->wait = LOGIN_WAIT_REPLY;
	login->env->prompt(login->env->user, &prompt);
	return LOGIN_WAITS;
}

static int
enter(struct login *login)
{
	/* who sends none is told; a name that cannot be anybody's is nobody's */
	if (has_users(login) && !login->facts.user[0])
		return -ERR_PERSON_NAME;
	if (has_users(login))
		user_fold(login->facts.user, login->password.name);
	return ask(login, 0);
}

/* Disabled and expired persons are checked like others, and only who knows the password learns why
 * it does not help. */
static const char *
choose(struct login *login)
{
	login->password.refuse = 0;
	if (!has_users(login))
		return login->office.settings->password;
	const struct user *user = users_find(login->office.users, login->password.name);
	if (!user)
		return LOGIN_NOBODY;
	if (user->disabled)
		login->password.refuse = -ERR_PERSON_DENIED;
	else if (user_expired(user, login->env->wall_s(login->env->user)))
		login->password.refuse = -ERR_PERSON_EXPIRED;
	return user->verifier;
}

static int
reply(struct login *login, const char *text)
{
	int r = ready(login); /* it may have been removed meanwhile */
	if (r == 0)
		r = person_locked(login);
	if (r == 0)
		r = login_charge(login, &login->password.before);
	if (r == 0)
		r = person_charge(login);
	if (r < 0)
		return r;
	login->wait = LOGIN_WAIT_CHECK;
	login->env->check(login->env->user, choose(login), text);
	return LOGIN_WAITS;
}

static int
checked(struct login *login, int code)
{
	int right = code == 0 || code == -ERR_PERSON_EXPIRED || code == -ERR_PERSON_DENIED;
	if (right || code != -ERR_PASSWORD_WRONG)
		refund(login, right); /* nobody has guessed wrong */
	if (code == 0 && login->password.refuse == 0)
		return LOGIN_PASSED;
	if (right)
		return code ? code : login->password.refuse;
	if (code == -ERR_PERSON_SERVICE)
		return code;
	if (code != -ERR_PASSWORD_WRONG)
		return -ERR_INTERNAL;
	int r = login_locked(login);
	if (r < 0)
		return r;
	return ++login->password.wrong >= LOGIN_TRIES_MAX ? code : ask(login, ERR_PASSWORD_WRONG);
}

const struct login_step step_password = {
	.name = "password", .ready = ready, .enter = enter, .reply = reply, .checked = checked};
