/*
 * One-time code: a security key that is registered at the office PC; an authenticator app; by mail
 * while there is neither, or in place of them, as policy says; or a recovery or emergency code from
 * paper, whatever was asked for. A registration code counts like one from paper, and a new security
 * key is then made and has to sign before the step is passed; it is kept when the whole login is.
 *
 * By mail: 8 digits, 300 seconds, once, for this handshake only; a newer one replaces it. It exists
 * nowhere but in this session's memory and, sealed to the mail sender, on its way.
 *
 *     key ──empty──▶ app ──empty──▶ paper ──empty──▶ mail ──sent──▶ prompt     right: passed
 *      ▲                              │ (policy)      ▲               │ wrong: the same again,
 * counted └──────────────────────────────┘               └── late, or an empty reply: a new code
 */
#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "agent/login.h"
#include "agent/webauthn.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/noise.h"
#include "inner.pb.h"
#include "signed.pb.h"

enum {
	CODES = 100000000
};
_Static_assert(LOGIN_CODE_DIGITS == 8, "CODES has as many zeros");

/* A key counts while policy has a place to which keys are registered. */
static int
has_key(const struct login *login)
{
	return policy_webauthn(login->office.policy) != POLICY_WEBAUTHN_OFF &&
	       passkeys_count(login->office.passkeys) > 0;
}

static int
has_app(const struct login *login)
{
	return policy_webauthn(login->office.policy) != POLICY_WEBAUTHN_ONLY &&
	       factors_has_totp(login->office.factors);
}

/* Somebody at the office PC has asked for a registration code. */
static int
can_register(const struct login *login)
{
	return policy_webauthn(login->office.policy) != POLICY_WEBAUTHN_OFF &&
	       passkeys_is_open(login->office.passkeys, login->env->wall_s(login->env->user));
}

int
login_mail_fit(const struct login *login, const char *address)
{
	const char *end = login->office.policy->otp_endwith;
	size_t len = strlen(address), end_len = end ? strlen(end) : 0;
	if (!len || len < end_len || (end && strcasecmp(address + len - end_len, end) != 0))
		return -ERR_CODE_UNSET;
	return 0;
}

/* Can a code go out? */
static int
mail_ready(const struct login *login)
{
	return login_mail_fit(login, login->office.settings->mail);
}

/* A mailbox is what a thief of passwords has too: it is no way around an enrolled key or app,
 * unless policy makes it one; and paper alone does not replace what policy asks for. */
static int
ready(struct login *login)
{
	if (has_key(login) || has_app(login) || can_register(login))
		return 0;
	if (policy_webauthn(login->office.policy) == POLICY_WEBAUTHN_ONLY)
		return -ERR_WEBAUTHN_UNSET;
	return policy_mail(login->office.policy) == POLICY_MAIL_LEGACY ? mail_ready(login)
								       : -ERR_CODE_UNSET;
}

/* Uniform: values over the last whole multiple are thrown away. */
int
login_make_code(char out[static LOGIN_CODE_DIGITS + 1])
{
	uint32_t v;
	do
		if (RAND_bytes((uint8_t *)&v, sizeof v) != 1)
			return -ERR_CRYPTO;
	while (v >= UINT32_MAX / CODES * CODES);
	snprintf(out, LOGIN_CODE_DIGITS + 1, "%08u", v % CODES);
	mem_wipe(&v, sizeof v);
	return 0;
}

/* why: the failure that the next prompt names, 0 for none. */
static int
send_code(struct login *login, uint32_t why)
{
	mem_wipe(login->code.digits, sizeof login->code.digits);
	int r = mail_ready(login);
	if (r == 0 && login->code.sends >= LOGIN_CODE_SENDS_MAX)
		r = -ERR_LIMIT;
	if (r == 0)
		r = login_make_code(login->code.digits);
	if (r < 0)
		return r;
	login->code.sends++;
	login->code.why = why;
	login->code.born = login->env->now(login->env->user);
	r = login_send(login, engawa_MailKind_MAIL_LOGIN, login->office.settings->mail,
		login->code.digits);
	login->wait = LOGIN_WAIT_MAIL;
	return r < 0 ? r : LOGIN_WAITS;
}

static uint64_t
age_ms(const struct login *login)
{
	return mono_diff_ms(login->code.born, login->env->now(login->env->user));
}

static int
open_prompt(struct login *login, const struct prompt *prompt)
{
	login->prompt = prompt->kind;
	login->wait = LOGIN_WAIT_REPLY;
	login->env->prompt(login->env->user, prompt);
	return LOGIN_WAITS;
}

static int
ask_mailed(struct login *login, uint32_t why)
{
	const char *words[2];
	struct prompt prompt = {.kind = engawa_PromptKind_PROMPT_MAIL_CODE,
		.wrong = why,
		.digits = LOGIN_CODE_DIGITS};
	uint64_t age_s = age_ms(login) / 1000;
	prompt.expires_s = age_s < LOGIN_CODE_LIFE_S ? (uint32_t)(LOGIN_CODE_LIFE_S - age_s) : 0;
	noise_words(login->hash, words);
	for (int i = 0; i < 2; i++)
		snprintf(prompt.words[i], sizeof prompt.words[i], "%s", words[i]);
	settings_mail_mask(
		login->office.settings->mail, prompt.masked_address, sizeof prompt.masked_address);
	int r = open_prompt(login, &prompt);
	/* said at this point, where a refusal of the mail server is said too, and not before */
	if (!why && login->office.settings->mail_back_s)
		login->env->notice(login->env->user, ERR_MAIL_CAME_BACK);
	return r;
}

static int
ask_key(struct login *login, uint8_t kind, uint32_t why)
{
	const struct policy *policy = login->office.policy;
	struct prompt prompt = {
		.kind = kind, .wrong = why, .user_verification = !policy->webauthn_without_pin};
	if (!policy->webauthn_rp_id)
		return -ERR_WEBAUTHN_UNSET;
	snprintf(prompt.rp_id, sizeof prompt.rp_id, "%s", policy->webauthn_rp_id);
	snprintf(prompt.key_person, sizeof prompt.key_person, "%s", login->code.fresh.person);
	return open_prompt(login, &prompt);
}

static int
ask(struct login *login, uint8_t kind, uint32_t why)
{
	struct prompt prompt = {.kind = kind,
		.wrong = why,
		.digits = kind == engawa_PromptKind_PROMPT_TOTP ? TOTP_DIGITS : 0};
	if (kind == engawa_PromptKind_PROMPT_WEBAUTHN ||
		kind == engawa_PromptKind_PROMPT_WEBAUTHN_NEW)
		return ask_key(login, kind, why);
	return kind == engawa_PromptKind_PROMPT_MAIL_CODE ? ask_mailed(login, why)
							  : open_prompt(login, &prompt);
}

/* What is asked for first is a code from the mail; an open registration may be the only way left.
 */
int
login_mails_first(const struct login *login)
{
	return policy_wants_otp(login->office.policy) && !has_key(login) && !has_app(login) &&
	       policy_webauthn(login->office.policy) != POLICY_WEBAUTHN_ONLY &&
	       policy_mail(login->office.policy) == POLICY_MAIL_LEGACY && mail_ready(login) == 0;
}

static int
enter(struct login *login)
{
	int r = ready(login);
	if (r < 0)
		return r;
	if (has_key(login))
		return ask(login, engawa_PromptKind_PROMPT_WEBAUTHN, 0);
	if (has_app(login))
		return ask(login, engawa_PromptKind_PROMPT_TOTP, 0);
	return login_mails_first(login) ? send_code(login, 0)
					: ask(login, engawa_PromptKind_PROMPT_RECOVERY, 0);
}

static int
mailed(struct login *login, int code)
{
	if (code == -ERR_MAIL_UNSET || code == -ERR_MAIL_ADDRESS || code == -ERR_LIMIT ||
		code == -ERR_MAIL_BOUNCED)
		return code;
	return code < 0 ? -ERR_MAIL_FAILED : ask_mailed(login, login->code.why);
}

/* ---- security keys ---- */

/* Which key the reply names: the one that is being made, or one of the table that may be used now.
 */
static const struct passkey *
named_key(const struct login *login, const struct assertion *a)
{
	const struct passkey *key = &login->code.fresh;
	if (login->code.registering)
		return key->credential_len == a->credential_len &&
				       memcmp(key->credential, a->credential, a->credential_len) ==
					       0
			       ? key
			       : NULL;
	key = passkeys_find(login->office.passkeys, a->credential, a->credential_len);
	int persons = login->office.users && login->office.users->count > 0;
	return key && persons && !key->person[0] ? NULL : key;
}

/* 0, -ERR_WEBAUTHN_WRONG, or why it could not be judged. What was accepted is on the disk before
 * anybody is told. */
static int
judge_assertion(struct login *login, const struct assertion *a)
{
	const struct policy *policy = login->office.policy;
	const struct webauthn_rp rp = {
		policy->webauthn_rp_id, &policy->webauthn_origin, !policy->webauthn_without_pin};
	const struct passkey *key = named_key(login, a);
	uint8_t challenge[WEBAUTHN_CHALLENGE_BYTES];
	const char *why = "unknown";
	uint32_t counter = 0;
	int r = webauthn_challenge(login->hash, challenge);
	if (r < 0 || !policy->webauthn_rp_id)
		return -ERR_CRYPTO;
	if (key) {
		const struct webauthn_key public = {
			key->algorithm, key->public_key, key->public_key_len, key->counter};
		r = webauthn_verify(&rp, challenge, &public, a, &counter, &why);
	}
	if (!key || r < 0) {
		LOG(WARN, "login.key_wrong", F_STR("why", why),
			F_STR("label", key ? key->label : ""));
		return -ERR_WEBAUTHN_WRONG;
	}
	memcpy(login->code.person, key->person, sizeof login->code.person);
	if (login->code.registering) {
		login->code.fresh.counter = counter;
		login->code.registering = 0;
		return 0;
	}
	LOG(INFO, "login.factor", F_STR("kind", "key"), F_STR("label", key->label));
	return passkeys_used(login->office.passkeys, a->credential, a->credential_len, counter,
		       login->env->wall_s(login->env->user)) < 0
		       ? -ERR_DISK_FULL
		       : 0;
}

/* A registration code was right, and a key was made for it at the other end: it is worth nothing
 * until it has signed. */
static int
take_key(struct login *login, const struct new_key *key)
{
	struct passkey *fresh = &login->code.fresh;
	if (++login->code.turns > LOGIN_TURNS_MAX)
		return -ERR_LIMIT;
	if (!key->credential_len) {
		login->code.registering = 0;
		mem_wipe(fresh, sizeof *fresh);
		return enter(login);
	}
	if (!webauthn_key_fit(key->algorithm, key->public_key, key->public_key_len) ||
		passkeys_find(login->office.passkeys, key->credential, key->credential_len))
		return ask(login, engawa_PromptKind_PROMPT_WEBAUTHN_NEW, ERR_WEBAUTHN_WRONG);
	fresh->algorithm = key->algorithm;
	fresh->credential_len = key->credential_len;
	memcpy(fresh->credential, key->credential, key->credential_len);
	fresh->public_key_len = key->public_key_len;
	memcpy(fresh->public_key, key->public_key, key->public_key_len);
	return ask(login, engawa_PromptKind_PROMPT_WEBAUTHN, 0);
}

static void
tell(struct login *login, int kind)
{
	if (mail_ready(login) == 0)
		login_send(login, kind, login->office.settings->mail, "");
}

/* Only now: who got the code alone, and not the password, has registered nothing. Whoever found
 * somebody's codes on paper does not get in without that person hearing of it. */
static int
passed(struct login *login)
{
	const struct passkey *fresh = &login->code.fresh;
	if (login->code.paper)
		tell(login, engawa_MailKind_MAIL_PAPER_USED);
	if (!fresh->credential_len)
		return 0;
	int r = passkeys_add(login->office.passkeys, fresh, login->env->wall_s(login->env->user));
	LOG(INFO, "login.key_added", F_STR("label", fresh->label), F_STR("person", fresh->person),
		F_ERR("code", r));
	if (r == 0)
		tell(login, engawa_MailKind_MAIL_KEY_ADDED);
	return r == 0 || r == -ERR_CODE_WRONG || r == -ERR_EXISTS ? r : -ERR_DISK_FULL;
}

/* ---- replies ---- */

static int
is_paper(const char *text)
{
	return factors_is_recovery(text) || passkeys_is_code(text);
}

static int
judge_paper(struct login *login, const char *text)
{
	static const char *const names[] = {"totp", "recovery", "emergency"};
	uint64_t now_s = login->env->wall_s(login->env->user);
	enum factor factor;
	if (can_register(login) && passkeys_is_code(text) &&
		passkeys_check(login->office.passkeys, text, now_s, &login->code.fresh) == 0) {
		login->code.registering = 1;
		return 0;
	}
	/* where only keys count, what an app shows does not */
	if (!has_app(login) && !factors_is_recovery(text))
		return -ERR_CODE_WRONG;
	int r = factors_check(login->office.factors, text, now_s, &factor);
	login->code.paper = r == 0 && factor != FACTOR_TOTP;
	if (r == 0)
		LOG(INFO, "login.factor", F_STR("kind", names[factor]),
			F_INT("left", factors_recovery_left(login->office.factors)));
	return r == 0 || r == -ERR_CODE_WRONG || r == -ERR_CRYPTO ? r : -ERR_DISK_FULL;
}

/* 0, -ERR_CODE_WRONG, -ERR_WEBAUTHN_WRONG, or why it could not be judged. */
static int
judge(struct login *login, const struct reply *said)
{
	const char *text = said->text;
	if (login->prompt == engawa_PromptKind_PROMPT_WEBAUTHN && said->assertion.credential_len)
		return judge_assertion(login, &said->assertion);
	if (login->prompt == engawa_PromptKind_PROMPT_MAIL_CODE && !is_paper(text)) {
		int right = strlen(text) == LOGIN_CODE_DIGITS && login->code.digits[0] &&
			    mem_equal(text, login->code.digits, LOGIN_CODE_DIGITS);
		if (right) /* what cannot be written is said once more next time, no worse */
			(void)login->env->mail_arrived(login->env->user);
		return right ? 0 : -ERR_CODE_WRONG;
	}
	return judge_paper(login, text);
}

/* The person has not what was asked for. */
static int
other_way(struct login *login)
{
	if (++login->code.turns > LOGIN_TURNS_MAX)
		return -ERR_LIMIT;
	login->code.registering = 0;
	mem_wipe(&login->code.fresh, sizeof login->code.fresh);
	if (login->prompt == engawa_PromptKind_PROMPT_WEBAUTHN && has_app(login))
		return ask(login, engawa_PromptKind_PROMPT_TOTP, 0);
	if (login->prompt == engawa_PromptKind_PROMPT_WEBAUTHN ||
		login->prompt == engawa_PromptKind_PROMPT_TOTP)
		return ask(login, engawa_PromptKind_PROMPT_RECOVERY, 0);
	if (login->prompt == engawa_PromptKind_PROMPT_RECOVERY &&
		(policy_mail(login->office.policy) != POLICY_MAIL_RECOVERY ||
			policy_webauthn(login->office.policy) == POLICY_WEBAUTHN_ONLY))
		return enter(login);
	return send_code(login, 0);
}

/* What was right: the step is passed, or a key is made first. */
static int
right(struct login *login, const struct tries *before)
{
	mem_wipe(login->code.digits, sizeof login->code.digits);
	login_refund(login, before);
	return login->code.registering ? ask(login, engawa_PromptKind_PROMPT_WEBAUTHN_NEW, 0)
				       : LOGIN_PASSED;
}

static int
reply(struct login *login, const struct reply *said)
{
	const char *text = said->text;
	struct tries before;
	if (login->prompt == engawa_PromptKind_PROMPT_WEBAUTHN_NEW)
		return take_key(login, &said->key);
	if (!text[0] && !said->assertion.credential_len)
		return other_way(login);
	/* a key that was made has to sign: paper does not take its place any more */
	if (login->code.registering && !said->assertion.credential_len)
		return -ERR_PROTOCOL;
	if (login->prompt == engawa_PromptKind_PROMPT_MAIL_CODE && !is_paper(text) &&
		age_ms(login) >= LOGIN_CODE_LIFE_S * 1000)
		return send_code(login, ERR_CODE_EXPIRED);
	int r = login_charge(login, &before);
	if (r < 0)
		return r;
	r = judge(login, said);
	if (r == 0)
		return right(login, &before);
	if (r != -ERR_CODE_WRONG && r != -ERR_WEBAUTHN_WRONG)
		return r;
	int locked = login_locked(login);
	if (locked < 0)
		return locked;
	return ++login->code.wrong >= LOGIN_TRIES_MAX ? r : ask(login, login->prompt, (uint32_t)-r);
}

const struct login_step step_code = {.name = "code",
	.ready = ready,
	.enter = enter,
	.reply = reply,
	.mailed = mailed,
	.passed = passed};
