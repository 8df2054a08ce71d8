/*
 * The person: the office PC's one password, or a name and its password where the table of users.h
 * has rows. The try is charged before it is judged and given back when it was right, so that logins
 * that race each other cannot share a try.
 */
#include <string.h>

#include "agent/person.h"
#include "base/err.h"
#include "inner.pb.h"

static int
ready(struct login *login)
{
	return person_has_users(login) || login->office.settings->password[0] ? 0
									      : -ERR_PASSWORD_UNSET;
}

static int
ask(struct login *login, uint32_t why)
{
	struct prompt prompt = {.kind = engawa_PromptKind_PROMPT_PASSWORD,
		.wrong = why,
		.person = person_has_users(login) && !login->facts.user[0]};
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

/* The session goes on, and nobody is asked: but who may not come in any more does not stay. What a
 * service knows of a person it was asked in the login. */
static int
still_may(const struct login *login)
{
	if (login->office.policy->require_certificate && !login->person.proved)
		return -ERR_POLICY_CHANGED;
	if (!person_has_users(login))
		return login->person.proved || login->office.settings->password[0]
			       ? LOGIN_PASSED
			       : -ERR_PASSWORD_UNSET;
	const struct user *user = users_find(login->office.users, login->person.name);
	int r = user ? person_refusal(login, user) : -ERR_PERSON_DENIED;
	return r < 0 ? r : LOGIN_PASSED;
}

static int
enter(struct login *login)
{
	if (login->resumes)
		return still_may(login);
	if (login->person.proved) /* by a certificate; the security key must be the same person's */
		return login->code.person[0] && strcmp(login->code.person, login->person.name) != 0
			       ? -ERR_WEBAUTHN_WRONG
			       : LOGIN_PASSED;
	/* the name came with the facts, or is asked for with the password: strangers who do not get
	 * here learn nothing. One that cannot be anybody's is nobody's. */
	if (person_has_users(login) && login->facts.user[0])
		user_fold(login->facts.user, login->person.name);
	return ask(login, 0);
}

/* Disabled and expired persons are checked like others, and only who knows the password learns why
 * it does not help. A person with a certificate has no password that could be right. */
static const char *
choose(struct login *login)
{
	login->person.refuse = 0;
	if (!person_has_users(login))
		return login->office.settings->password;
	const struct user *user = users_find(login->office.users, login->person.name);
	/* another person's security key is no key of this one */
	if (!user || user_by_certificate(user) ||
		(login->code.person[0] && strcmp(login->code.person, login->person.name) != 0))
		return LOGIN_NOBODY;
	login->person.refuse = person_refusal(login, user);
	return user->verifier;
}

static int
reply(struct login *login, const struct reply *reply)
{
	int r = ready(login); /* it may have been removed meanwhile */
	if (person_has_users(login) && !login->facts.user[0]) {
		if (!reply->user[0])
			return -ERR_PERSON_NAME;
		user_fold(reply->user, login->person.name);
	}
	if (r == 0)
		r = person_locked(login);
	if (r == 0)
		r = person_charge(login);
	if (r < 0)
		return r;
	login->wait = LOGIN_WAIT_CHECK;
	login->env->check(login->env->user, choose(login), reply->text);
	return LOGIN_WAITS;
}

static int
checked(struct login *login, int code)
{
	int right = code == 0 || code == -ERR_PERSON_EXPIRED || code == -ERR_PERSON_DENIED;
	if (right || code != -ERR_PASSWORD_WRONG)
		person_refund(login, right); /* nobody has guessed wrong */
	if (code == 0 && login->person.refuse == 0)
		return LOGIN_PASSED;
	if (right)
		return code ? code : login->person.refuse;
	if (code == -ERR_PERSON_SERVICE)
		return code;
	if (code == -ERR_PEPPER_TOKEN || code == -ERR_PEPPER_PIN)
		return -ERR_PEPPER_TOKEN; /* what is wrong with it is for the office PC's people */
	if (code != -ERR_PASSWORD_WRONG)
		return -ERR_INTERNAL;
	int r = login_locked(login);
	if (r < 0)
		return r;
	return ++login->person.wrong >= LOGIN_TRIES_MAX ? code : ask(login, ERR_PASSWORD_WRONG);
}

/* Who was disabled or removed while the rest of the login went on is not let in by it. */
static int
passed(struct login *login)
{
	return login->person.name[0] && !users_admit(login->office.users, login->person.name)
		       ? -ERR_PERSON_DENIED
		       : 0;
}

const struct login_step step_password = {.name = "password",
	.again = 1,
	.ready = ready,
	.enter = enter,
	.reply = reply,
	.checked = checked,
	.passed = passed};
