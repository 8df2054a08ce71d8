/*
 * The pairing code before anything else, from a stranger while strangers are locked out or have
 * asked for all the codes that are mailed to them: who has it sits at the office PC, or is told by
 * somebody who does. Until it is right no mail goes out, no password is judged and nobody's
 * counters move; from then on the login has the counters of those who pair.
 */
#include "agent/login.h"
#include "base/err.h"
#include "base/log.h"

static struct log_limit limit = {.burst = 20, .window_ms = 60000};

static int
enter(struct login *login)
{
	return login->admission.first ? login_ask_pairing(login, 0) : LOGIN_PASSED;
}

/* Whoever has no code is told what he would have been told without this step. */
static int
locked(struct login *login, int code)
{
	login->admission.first = 0;
	int r = login_locked(login);
	return r < 0 ? r : code;
}

static int
reply(struct login *login, const struct reply *answer)
{
	uint32_t held;
	if (!answer->text[0])
		return locked(login, LOGIN_PASSED);
	int r = pairing_use(login->office.pairing, answer->text, login->env->now(login->env->user));
	if (log_limit_pass(&limit, &held))
		LOG(INFO, "login.pairing", F_ERR("code", r), F_STR("address", login->address),
			F_INT("first", 1), F_INT("held", held));
	if (r == 0) {
		login->admission.paired = 1;
		r = login_locked(login);
		return r < 0 ? r : LOGIN_PASSED;
	}
	if (++login->admission.wrong >= LOGIN_TRIES_MAX || !login_may_pair(login))
		return locked(login, -ERR_PAIRING_WRONG);
	return login_ask_pairing(login, ERR_PAIRING_WRONG);
}

const struct login_step step_pair_first = {.name = "pair_first", .enter = enter, .reply = reply};
