/*
 * One-time code: from the authenticator app that is enrolled at the office PC; by mail while there
 * is none, or in place of one, as policy says; or a recovery or emergency code from paper, whatever
 * was asked for.
 *
 * By mail: 8 digits, 300 seconds, once, for this handshake only; a newer one replaces it. It exists
 * nowhere but in this session's memory and, sealed to the mail sender, on its way.
 *
 *     app ──empty──▶ paper ──empty──▶ mail ──sent──▶ prompt     right: passed
 *      ▲               │ (policy)      ▲               │ wrong: the same prompt again, counted
 *      └───────────────┘               └── late, or an empty reply: a new code, at most 5 mails
 */
#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "agent/login.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/noise.h"
#include "inner.pb.h"

enum {
	CODES = 100000000
};
_Static_assert(LOGIN_CODE_DIGITS == 8, "CODES has as many zeros");

/* Can a code go out? */
static int
mail_ready(const struct login *login)
{
	const char *mail = login->office.settings->mail, *end = login->office.policy->otp_endwith;
	size_t len = strlen(mail), end_len = end ? strlen(end) : 0;
	if (!len || len < end_len || (end && strcasecmp(mail + len - end_len, end) != 0))
		return -ERR_CODE_UNSET;
	return 0;
}

/* A mailbox is what a thief of passwords has too: it is no way around an enrolled app, unless
 * policy makes it one; and paper alone does not replace the app that policy asks for. */
static int
ready(struct login *login)
{
	if (factors_has_totp(login->office.factors))
		return 0;
	return policy_mail(login->office.policy) == POLICY_MAIL_LEGACY ? mail_ready(login)
								       : -ERR_CODE_UNSET;
}

/* Uniform: values over the last whole multiple are thrown away. */
static int
make_code(char out[static LOGIN_CODE_DIGITS + 1])
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
	struct login_mail mail = {.address = login->office.settings->mail,
		.code = login->code.digits,
		.device = login->facts.computer_name,
		.locale = login->facts.locale};
	mem_wipe(login->code.digits, sizeof login->code.digits);
	int r = mail_ready(login);
	if (r == 0 && login->code.sends >= LOGIN_CODE_SENDS_MAX)
		r = -ERR_LIMIT;
	if (r == 0)
		r = devices_mail(login->office.devices, login->device,
			login->env->wall_s(login->env->user), &login->retry_s);
	if (r < 0)
		return r == -ERR_LIMIT || r == -ERR_CODE_UNSET ? r : -ERR_DISK_FULL;
	r = make_code(login->code.digits);
	if (r < 0)
		return r;
	noise_words(login->hash, mail.words);
	login->code.sends++;
	login->code.why = why;
	login->code.born = login->env->now(login->env->user);
	login->wait = LOGIN_WAIT_MAIL;
	return login->env->mail(login->env->user, &mail);
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
	return open_prompt(login, &prompt);
}

static int
ask(struct login *login, uint8_t kind, uint32_t why)
{
	struct prompt prompt = {.kind = kind,
		.wrong = why,
		.digits = kind == engawa_PromptKind_PROMPT_TOTP ? TOTP_DIGITS : 0};
	return kind == engawa_PromptKind_PROMPT_MAIL_CODE ? ask_mailed(login, why)
							  : open_prompt(login, &prompt);
}

static int
enter(struct login *login)
{
	int r = ready(login);
	if (r < 0)
		return r;
	return factors_has_totp(login->office.factors)
		       ? ask(login, engawa_PromptKind_PROMPT_TOTP, 0)
		       : send_code(login, 0);
}

static int
mailed(struct login *login, int code)
{
	if (code == -ERR_MAIL_UNSET || code == -ERR_MAIL_ADDRESS || code == -ERR_LIMIT)
		return code;
	return code < 0 ? -ERR_MAIL_FAILED : ask_mailed(login, login->code.why);
}

/* 0, -ERR_CODE_WRONG, or why it could not be judged. */
static int
judge(struct login *login, const char *text)
{
	static const char *const names[] = {"totp", "recovery", "emergency"};
	enum factor factor;
	if (login->prompt == engawa_PromptKind_PROMPT_MAIL_CODE && !factors_is_recovery(text)) {
		int right = strlen(text) == LOGIN_CODE_DIGITS && login->code.digits[0] &&
			    mem_equal(text, login->code.digits, LOGIN_CODE_DIGITS);
		return right ? 0 : -ERR_CODE_WRONG;
	}
	int r = factors_check(
		login->office.factors, text, login->env->wall_s(login->env->user), &factor);
	if (r == 0)
		LOG(INFO, "login.factor", F_STR("kind", names[factor]),
			F_INT("left", factors_recovery_left(login->office.factors)));
	return r == 0 || r == -ERR_CODE_WRONG || r == -ERR_CRYPTO ? r : -ERR_DISK_FULL;
}

/* The person has not what was asked for. */
static int
other_way(struct login *login)
{
	if (++login->code.turns > LOGIN_TURNS_MAX)
		return -ERR_LIMIT;
	if (login->prompt == engawa_PromptKind_PROMPT_TOTP)
		return ask(login, engawa_PromptKind_PROMPT_RECOVERY, 0);
	if (login->prompt == engawa_PromptKind_PROMPT_RECOVERY &&
		policy_mail(login->office.policy) != POLICY_MAIL_RECOVERY)
		return enter(login);
	return send_code(login, 0);
}

static int
reply(struct login *login, const struct reply *reply)
{
	const char *text = reply->text;
	struct tries before;
	if (!text[0])
		return other_way(login);
	if (login->prompt == engawa_PromptKind_PROMPT_MAIL_CODE && !factors_is_recovery(text) &&
		age_ms(login) >= LOGIN_CODE_LIFE_S * 1000)
		return send_code(login, ERR_CODE_EXPIRED);
	int r = login_charge(login, &before);
	if (r < 0)
		return r;
	r = judge(login, text);
	if (r == 0) {
		mem_wipe(login->code.digits, sizeof login->code.digits);
		login_refund(login, &before);
		return LOGIN_PASSED;
	}
	if (r != -ERR_CODE_WRONG)
		return r;
	r = login_locked(login);
	if (r < 0)
		return r;
	return ++login->code.wrong >= LOGIN_TRIES_MAX ? -ERR_CODE_WRONG
						      : ask(login, login->prompt, ERR_CODE_WRONG);
}

const struct login_step step_code = {
	.name = "code", .ready = ready, .enter = enter, .reply = reply, .mailed = mailed};
