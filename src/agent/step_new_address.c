/*
 * A new mail address takes the place of the one in force when it has returned a code. The old one
 * is told. It was set at the office PC, with the password; who is here
 * has passed the code and the password from home. A code goes to the new address; when it comes
 * back, and the whole login is passed, the addresses change places in one write.
 */
#include <stdio.h>
#include <string.h>

#include "agent/login.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypto/noise.h"
#include "inner.pb.h"
#include "signed.pb.h"

static int
is_due(const struct login *login)
{
	const struct settings *s = login->office.settings;
	uint64_t now_s = login->env->wall_s(login->env->user);
	return s->mail_next[0] && now_s < s->mail_next_until_s &&
	       s->mail_next_until_s - now_s <= SETTINGS_MAIL_NEXT_S &&
	       login_mail_fit(login, s->mail_next) == 0;
}

/* What goes wrong here keeps nobody out: the address stays as it is. */
static int
later(const struct login *login, int code)
{
	(void)login;
	LOG(WARN, "login.address_later", F_ERR("code", code));
	return LOGIN_PASSED;
}

static int
enter(struct login *login)
{
	if (!is_due(login))
		return LOGIN_PASSED;
	char *address = login->address_change.address;
	int r = str_copy(
		address, sizeof login->address_change.address, login->office.settings->mail_next);
	if (r == 0)
		r = login_make_code(login->address_change.digits);
	login->code.born = login->env->now(login->env->user);
	if (r == 0)
		r = login_send(login, engawa_MailKind_MAIL_NEW_ADDRESS, address,
			login->address_change.digits);
	if (r < 0)
		return later(login, r);
	login->wait = LOGIN_WAIT_MAIL;
	return LOGIN_WAITS;
}

static uint32_t
left_s(const struct login *login)
{
	uint64_t age_s = mono_diff_ms(login->code.born, login->env->now(login->env->user)) / 1000;
	return age_s < LOGIN_CODE_LIFE_S ? (uint32_t)(LOGIN_CODE_LIFE_S - age_s) : 0;
}

static int
ask(struct login *login, uint32_t why)
{
	const char *words[2];
	struct prompt prompt = {.kind = engawa_PromptKind_PROMPT_MAIL_CODE,
		.wrong = why,
		.digits = LOGIN_CODE_DIGITS,
		.new_address = 1,
		.expires_s = left_s(login)};
	noise_words(login->hash, words);
	for (int i = 0; i < 2; i++)
		snprintf(prompt.words[i], sizeof prompt.words[i], "%s", words[i]);
	settings_mail_mask(
		login->address_change.address, prompt.masked_address, sizeof prompt.masked_address);
	login->prompt = prompt.kind;
	login->wait = LOGIN_WAIT_REPLY;
	login->env->prompt(login->env->user, &prompt);
	return LOGIN_WAITS;
}

static int
mailed(struct login *login, int code)
{
	return code < 0 ? later(login, code) : ask(login, 0);
}

/* The person is in already, as far as the steps go: wrong digits are charged all the same, for it
 * is an address that they would win. */
static int
reply(struct login *login, const struct reply *reply)
{
	const char *text = reply->text;
	struct tries before;
	if (!text[0] || !left_s(login))
		return later(login, text[0] ? -ERR_CODE_EXPIRED : 0);
	int r = login_charge(login, &before);
	if (r < 0)
		return r;
	if (strlen(text) == LOGIN_CODE_DIGITS &&
		mem_equal(text, login->address_change.digits, LOGIN_CODE_DIGITS)) {
		login_refund(login, &before);
		login->address_change.confirmed = 1;
		return LOGIN_PASSED;
	}
	r = login_locked(login);
	if (r < 0)
		return r;
	return ++login->address_change.wrong >= LOGIN_TRIES_MAX ? -ERR_CODE_WRONG
								: ask(login, ERR_CODE_WRONG);
}

/* The old address is told first: what cannot be told does not happen. And what was asked for
 * meanwhile has not been confirmed: the code came from the address before. */
static int
passed(struct login *login)
{
	const char *old = login->office.settings->mail;
	if (!login->address_change.confirmed || !is_due(login))
		return 0;
	if (strcmp(login->address_change.address, login->office.settings->mail_next) != 0) {
		later(login, -ERR_CODE_WRONG);
		return 0;
	}
	int r = old[0] ? login_send(login, engawa_MailKind_MAIL_ADDRESS_CHANGED, old, "") : 0;
	if (r == 0)
		r = login->env->address_confirmed(login->env->user);
	LOG(INFO, "settings.mail", F_STR("change", "confirmed"), F_ERR("code", r));
	if (r < 0)
		later(login, r);
	return 0;
}

const struct login_step step_new_address = {
	.name = "new_address", .enter = enter, .reply = reply, .mailed = mailed, .passed = passed};
