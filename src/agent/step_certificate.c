/*
 * The person by certificate (docs/policy.md): asked for where the table of users.h has rows of the
 * method certificate, from whoever has one at hand. Which names those are the question does not
 * tell: it is the same for all, and an empty reply goes on to the password. The certificate says
 * who comes; a name that was typed must be the same.
 */
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <string.h>

#include "agent/person.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "inner.pb.h"

static int
is_browser(const struct login *login)
{
	return login->facts.kind == engawa_ClientKind_CLIENT_HTML5;
}

static int
is_required(const struct login *login)
{
	return login->office.policy->require_certificate != 0;
}

/* A browser has no way to the key: where nothing else lets in, that is told before a mail is sent.
 */
static int
ready(struct login *login)
{
	if (!users_certificates(login->office.users))
		return is_required(login) ? -ERR_CERTIFICATE_NONE : 0;
	int only = users_certificates(login->office.users) == login->office.users->count;
	return is_browser(login) && (only || is_required(login)) ? -ERR_CERTIFICATE_NATIVE : 0;
}

static int
enter(struct login *login)
{
	struct prompt prompt = {.kind = engawa_PromptKind_PROMPT_CERTIFICATE};
	int r = ready(login);
	if (r < 0)
		return r;
	if (!users_certificates(login->office.users) || is_browser(login))
		return LOGIN_PASSED;
	if (RAND_bytes(login->person.challenge, sizeof login->person.challenge) != 1)
		return -ERR_CRYPTO;
	memcpy(prompt.challenge, login->person.challenge, sizeof prompt.challenge);
	login->prompt = prompt.kind;
	login->wait = LOGIN_WAIT_REPLY;
	login->env->prompt(login->env->user, &prompt);
	return LOGIN_WAITS;
}

/* The row to which this very certificate is pinned. */
static const struct user *
find_pin(const struct login *login, const struct holder_proof *proof,
	char verifier[static USER_PIN_SIZE])
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	SHA256(proof->certificate, proof->certificate_len, hash);
	memcpy(verifier, USER_PIN, sizeof USER_PIN - 1);
	str_hex(verifier + sizeof USER_PIN - 1, hash, sizeof hash);
	return users_verifier(login->office.users, verifier);
}

static int
reply(struct login *login, const struct reply *reply)
{
	char pin[USER_PIN_SIZE];
	struct login_certificate question = {.proof = &reply->proof};
	if (!reply->proof.certificate_len)
		return is_required(login) ? -ERR_CERTIFICATE_NEEDED : LOGIN_PASSED;
	const struct user *pinned = find_pin(login, &reply->proof, pin);
	question.pinned = pinned != NULL;
	if (login->facts.user[0])
		login->person.misnamed = user_fold(login->facts.user, login->person.name) < 0;
	else if (pinned)
		memcpy(login->person.name, pinned->name, sizeof login->person.name);
	str_copy(login->person.pin, sizeof login->person.pin, pinned ? pin : "");
	holder_digest(login->hash, login->person.challenge, reply->proof.certificate,
		reply->proof.certificate_len, question.digest);
	int r = person_locked(login);
	if (r == 0)
		r = person_charge(login);
	if (r < 0)
		return r;
	login->wait = LOGIN_WAIT_CHECK;
	login->env->check_certificate(login->env->user, &question);
	return LOGIN_WAITS;
}

/* Whose it is: as pinned, or as its issuer says. NULL: nobody's here. */
static const struct user *
find_person(const struct login *login)
{
	const struct users *users = login->office.users;
	if (login->person.pin[0])
		return users_verifier(users, login->person.pin);
	const struct user *user =
		login->person.certified[0] ? users_find(users, login->person.certified) : NULL;
	return user && strcmp(user->verifier, USER_CERTIFICATE) == 0 ? user : NULL;
}

static int
checked(struct login *login, int code)
{
	int held =
		code == 0 || code == -ERR_CERTIFICATE_OUTDATED || code == -ERR_CERTIFICATE_REVOKED;
	if (!held) {
		if (code == -ERR_CERTIFICATE_UNCHECKED || code == -ERR_PERSON_SERVICE)
			person_refund(login, 0);
		else if (code != -ERR_CERTIFICATE_REFUSED)
			code = -ERR_INTERNAL;
		return code;
	}
	const struct user *user = find_person(login);
	const char *name = login->person.pin[0] && user ? user->name : login->person.certified;
	if (!user || login->person.misnamed ||
		(login->person.name[0] && strcmp(login->person.name, name) != 0)) {
		LOG(WARN, "certificate.nobody", F_STR("name", name));
		return -ERR_CERTIFICATE_REFUSED;
	}
	memcpy(login->person.name, name, strlen(name) + 1);
	person_refund(login, code == 0);
	if (code == 0)
		code = person_refusal(login, user);
	if (code < 0)
		return code;
	login->person.proved = 1;
	return LOGIN_PASSED;
}

const struct login_step step_certificate = {
	.name = "certificate", .ready = ready, .enter = enter, .reply = reply, .checked = checked};
