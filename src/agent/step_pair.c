/*
 * The pairing code that the office PC shows, after the one-time code: who has both is let in, and
 * when the whole login succeeds the device is registered (agent_session_passed). Where policy does
 * not ask for registered devices the question may be left empty.
 *
 * Each try is charged like a code's or a password's, so guessing ends in the strangers' lock-out;
 * and while that lasts the code is asked for first (step_pair_first.c). Who has given it is counted
 * with those who pair.
 */
#include "agent/login.h"
#include "base/err.h"
#include "base/log.h"
#include "inner.pb.h"

static int
is_open(const struct login *login)
{
	return pairing_left_s(login->office.pairing, login->env->now(login->env->user)) > 0;
}

int
login_may_pair(const struct login *login)
{
	return !login->admission.registered && login->facts.device_key[0] && is_open(login);
}

static int
wanted(const struct login *login)
{
	return !login->admission.paired && !login->admission.registered &&
	       login->facts.device_key[0] && (login->admission.required || is_open(login));
}

static int
ready(struct login *login)
{
	return login->admission.registered || login->admission.paired ||
			       !login->admission.required || is_open(login)
		       ? 0
		       : -ERR_DEVICE_UNKNOWN;
}

int
login_ask_pairing(struct login *login, uint32_t why)
{
	struct prompt prompt = {.kind = engawa_PromptKind_PROMPT_PAIRING,
		.wrong = why,
		.digits = PAIRING_DIGITS,
		.optional = !login->admission.required && !login->admission.first};
	prompt.expires_s = pairing_left_s(login->office.pairing, login->env->now(login->env->user));
	login->prompt = prompt.kind;
	login->wait = LOGIN_WAIT_REPLY;
	login->env->prompt(login->env->user, &prompt);
	return LOGIN_WAITS;
}

static int
enter(struct login *login)
{
	int r = ready(login);
	if (r < 0)
		return r;
	return wanted(login) ? login_ask_pairing(login, 0) : LOGIN_PASSED;
}

static int
reply(struct login *login, const struct reply *answer)
{
	const char *text = answer->text;
	struct tries before;
	if (!text[0] && !login->admission.required)
		return LOGIN_PASSED;
	int r = login_charge(login, &before);
	if (r < 0)
		return r;
	r = pairing_use(login->office.pairing, text, login->env->now(login->env->user));
	LOG(INFO, "login.pairing", F_ERR("code", r), F_STR("address", login->address));
	if (r == 0) {
		login_refund(login, &before);
		login->admission.paired = 1;
		r = login_locked(login);
		return r < 0 ? r : LOGIN_PASSED;
	}
	r = login_locked(login);
	if (r < 0)
		return r;
	return ++login->admission.wrong >= LOGIN_TRIES_MAX
		       ? -ERR_PAIRING_WRONG
		       : login_ask_pairing(login, ERR_PAIRING_WRONG);
}

const struct login_step step_pair = {
	.name = "pair", .ready = ready, .enter = enter, .reply = reply};
