/*
 * Whether a person is who it should be: Argon2 on a thread, or a service in a process with a
 * deadline. Where an office PC has several persons, every "no" comes at a full multiple of ROUND_MS
 * after the question: how long it took tells neither whether the name exists nor who knows it.
 */
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "agent/check_certificate.h"
#include "agent/message.h"
#include "agent/persons.h"
#include "agent/question.h"
#include "agent/revoked.h"
#include "agent/session.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	ROUND_MS = 1500,
	HELPER_MS = 12000 /* below the wait of the login for its check */
};

struct check {
	struct session *session; /* NULL when it is gone */
	struct agent *agent;
	struct pepper *pepper;
	char verifier[SETTINGS_HASH_SIZE], text[REPLY_TEXT_SIZE];
	char rehashed[SETTINGS_HASH_SIZE]; /* "" = not needed */
	struct process *helper;
	struct timer *timer; /* deadline of the helper, then the round time */
	struct mono begun;
	int rounds, running, result;
	int is_certificate;
	uint8_t certificate_hash[32];
	char certified[USER_NAME_SIZE];
};

static void
check_free(struct check *check)
{
	process_free(check->helper);
	timer_free(check->timer);
	mem_wipe_free(check, sizeof *check);
}

static void
tell(void *user)
{
	struct check *check = user;
	struct session *s = check->session;
	int result = check->result, is_certificate = check->is_certificate;
	char certified[USER_NAME_SIZE];
	memcpy(certified, check->certified, sizeof certified);
	LOG(DEBUG, "check.told", F_ERR("code", result),
		F_INT("after_ms", mono_diff_ms(check->begun, mono_now())));
	check_free(check);
	s->check = NULL;
	if (s->state == SESSION_LOGIN)
		session_login_result(s, is_certificate
						? login_certified(&s->flow, result, certified)
						: login_checked(&s->flow, result));
}

static void
done(struct check *check, int result)
{
	check->result = result;
	process_free(check->helper);
	check->helper = NULL;
	timer_free(check->timer);
	uint64_t took_ms = mono_diff_ms(check->begun, mono_now());
	check->timer = timer_new(check->agent->loop, tell, check);
	timer_start(
		check->timer, check->rounds && result < 0 ? ROUND_MS - took_ms % ROUND_MS : 0, 0);
}

/* ---- Argon2 ---- */

static void
run_check(void *user)
{
	struct check *check = user;
	if (strcmp(check->verifier, LOGIN_NOBODY) == 0) {
		check->result = password_check_nobody(check->pepper, check->text);
		return;
	}
	check->result = password_check(check->pepper, check->verifier, check->text);
	if (check->result == 0 && password_is_old(check->pepper, check->verifier) &&
		password_hash(check->pepper, check->text, check->rehashed) < 0)
		check->rehashed[0] = '\0';
}

static void
on_checked(void *user)
{
	struct check *check = user;
	check->running = 0;
	if (check->result == -ERR_PEPPER_TOKEN || check->result == -ERR_PEPPER_PIN)
		LOG(ERROR, "pepper.token", F_ERR("code", check->result));
	if (check->rehashed[0])
		persons_rehash(check->agent, check->verifier, check->rehashed);
	if (check->session)
		done(check, check->result);
	else
		check_free(check);
}

/* ---- helper ---- */

static void
on_answer(void *user, enum role role, uint16_t type, const uint8_t *payload, size_t len, int fd)
{
	struct check *check = user;
	struct certificate_answer answer;
	uint32_t code;
	int result = -ERR_PERSON_SERVICE;
	(void)role, (void)fd;
	if (check->is_certificate) {
		if (type == MSG_CERTIFICATE_CHECKED &&
			certificate_answer_get(payload, len, &answer) == 0)
			result = revoked_weigh(check->agent, &check->session->policy,
				check->certificate_hash, &answer);
		if (result != -ERR_PERSON_SERVICE)
			memcpy(check->certified, answer.name, sizeof check->certified);
	} else if (type == MSG_CHECKED && code_get(payload, len, &code) == 0 &&
		   (code == 0 || err_find(-(int)code))) {
		result = -(int)code;
	}
	done(check, result);
}

static void
on_gone(void *user, enum role role, int status)
{
	(void)role, (void)status;
	done(user, -ERR_PERSON_SERVICE);
}

static void
on_late(void *user)
{
	struct check *check = user;
	LOG(ERROR, "check.late", F_STR("method", check->verifier));
	done(check, -ERR_PERSON_SERVICE);
}

/* The question is wiped. 0 or negative. */
static int
start_helper(struct check *check, enum role role, uint16_t type, uint8_t *payload, size_t len)
{
	static const struct process_events events = {on_answer, on_gone};
	struct process_start start = {.loop = check->agent->loop,
		.options = &check->agent->options,
		.role = role,
		.fds = {-1, -1},
		.events = &events,
		.user = check};
	check->helper = process_new(&start);
	int r = check->helper ? process_send(check->helper, type, payload, len, -1) : -ERR_INTERNAL;
	mem_wipe(payload, len);
	if (r == 0) {
		check->timer = timer_new(check->agent->loop, on_late, check);
		timer_start(check->timer, HELPER_MS, 0);
	}
	return r;
}

static int
ask_service(struct check *check)
{
	static struct check_question question;
	static uint8_t payload[CHECK_MAX_BYTES];
	enum role role = strcmp(check->verifier, "radius") == 0 ? ROLE_CHECK_RADIUS
			 : strcmp(check->verifier, "ldap") == 0 ? ROLE_CHECK_LDAP
								: ROLE_CHECK_PAM;
	memset(&question, 0, sizeof question);
	int r = question_put(&question, &check->agent->options, check->verifier,
		check->session->flow.person.name, check->text);
	size_t len = r == 0 ? check_put(&question, payload) : 0;
	mem_wipe(&question, sizeof question);
	return r < 0 ? r : start_helper(check, role, MSG_CHECK, payload, len);
}

static struct check *
check_new(struct session *s, const char *verifier)
{
	struct check *check = mem_new(sizeof *check);
	check->session = s;
	check->agent = s->agent;
	check->pepper = s->agent->pepper;
	check->begun = mono_now();
	check->rounds = s->flow.office.users && s->flow.office.users->count > 0;
	str_copy(check->verifier, sizeof check->verifier, verifier);
	s->check = check;
	return check;
}

static void
not_started(struct check *check, int r)
{
	LOG(ERROR, "check.start", F_STR("method", check->verifier), F_ERR("code", r));
	done(check, -ERR_PERSON_SERVICE);
}

void
session_check(void *user, const char *verifier, const char *text)
{
	struct session *s = user;
	struct check *check = check_new(s, verifier);
	str_copy(check->text, sizeof check->text, text);
	if (user_method_fit(verifier)) {
		int r = ask_service(check);
		if (r < 0)
			not_started(check, r);
		return;
	}
	check->running = 1;
	loop_work(s->agent->loop, run_check, on_checked, check);
}

void
session_check_certificate(void *user, const struct login_certificate *certificate)
{
	static struct certificate_question question;
	static uint8_t payload[CERTIFICATE_QUESTION_MAX_BYTES];
	struct session *s = user;
	struct check *check = check_new(s, USER_CERTIFICATE);
	check->is_certificate = 1;
	SHA256(certificate->proof->certificate, certificate->proof->certificate_len,
		check->certificate_hash);
	int r = question_put_certificate(&question, &s->agent->options, &s->policy, certificate);
	if (r == 0)
		r = start_helper(check, ROLE_CHECK_CERTIFICATE, MSG_CHECK_CERTIFICATE, payload,
			certificate_question_put(&question, payload));
	if (r < 0)
		not_started(check, r);
}

void
session_check_drop(struct session *s)
{
	struct check *check = s->check;
	s->check = NULL;
	if (!check)
		return;
	check->session = NULL;
	if (!check->running)
		check_free(check);
}
