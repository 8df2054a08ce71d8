/*
 * Whether a password is right: Argon2 on a thread, or a service in a process with a deadline. Where
 * an office PC has several persons, every "no" comes at a full multiple of ROUND_MS after the
 * question: how long it took tells neither whether the name exists nor who knows it.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/check.h"
#include "agent/message.h"
#include "agent/persons.h"
#include "agent/session.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	ROUND_MS = 1500,
	HELPER_MS = 12000, /* below the wait of the login for its check */
	SECRET_MAX_BYTES = 256
};

struct check {
	struct session *session; /* NULL when it is gone */
	struct agent *agent;
	const struct pepper *pepper;
	char verifier[SETTINGS_HASH_SIZE], text[REPLY_TEXT_SIZE];
	char rehashed[SETTINGS_HASH_SIZE]; /* "" = not needed */
	struct process *helper;
	struct timer *timer; /* deadline of the helper, then the round time */
	struct mono begun;
	int rounds, running, result;
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
	int result = check->result;
	LOG(DEBUG, "check.told", F_ERR("code", result),
		F_INT("after_ms", mono_diff_ms(check->begun, mono_now())));
	check_free(check);
	s->check = NULL;
	if (s->state == SESSION_LOGIN)
		session_login_result(s, login_checked(&s->flow, result));
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
	if (check->result == 0 && password_is_old(check->verifier) &&
		password_hash(check->pepper, check->text, check->rehashed) < 0)
		check->rehashed[0] = '\0';
}

static void
on_checked(void *user)
{
	struct check *check = user;
	check->running = 0;
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
	uint32_t code;
	(void)role, (void)fd;
	int fits = type == MSG_CHECKED && code_get(payload, len, &code) == 0 &&
		   (code == 0 || err_find(-(int)code));
	done(check, fits ? -(int)code : -ERR_PERSON_SERVICE);
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

static int
put_field(struct check_question *q, enum check_field field, const char *text)
{
	return text ? str_copy(q->field[field], CHECK_FIELD_SIZE, text) : 0;
}

static int
put_radius(struct check_question *q, const struct options *o)
{
	char *secret, servers[CHECK_FIELD_SIZE] = "";
	size_t len, used = 0;
	for (size_t i = 0; i < o->radius_servers.count; i++) {
		if (str_print(servers + used, sizeof servers - used, "%s ",
			    o->radius_servers.items[i]) < 0)
			return -ERR_SETTING;
		used += strlen(servers + used);
	}
	if (!used || !o->radius_secret_file)
		return -ERR_SETTING;
	int r = conf_read_secret(o->radius_secret_file, SECRET_MAX_BYTES, &secret, &len);
	if (r < 0)
		return r;
	secret[strcspn(secret, "\r\n")] = '\0';
	r = secret[0] ? put_field(q, CHECK_SECRET, secret) : -ERR_SETTING;
	mem_wipe_free(secret, len);
	return r < 0 ? r : put_field(q, CHECK_SERVICE, servers);
}

static int
put_ldap(struct check_question *q, const struct options *o)
{
	if (!o->ldap_url || !o->ldap_bind ||
		((o->ldap_allow_group || o->ldap_deny_group) && !o->ldap_base))
		return -ERR_SETTING;
	int r = put_field(q, CHECK_SERVICE, o->ldap_url);
	if (r == 0)
		r = put_field(q, CHECK_CA, o->ldap_ca_file);
	if (r == 0)
		r = put_field(q, CHECK_BIND, o->ldap_bind);
	if (r == 0)
		r = put_field(q, CHECK_PLACE, o->ldap_base);
	if (r == 0)
		r = put_field(q, CHECK_FILTER, o->ldap_filter);
	if (r == 0)
		r = put_field(q, CHECK_ALLOW, o->ldap_allow_group);
	if (r == 0)
		r = put_field(q, CHECK_DENY, o->ldap_deny_group);
	return r < 0 ? r : put_field(q, CHECK_NESTED, o->ldap_nested ? "1" : "0");
}

static int
put_question(const struct check *check, const char *name, struct check_question *q)
{
	const struct options *o = &check->agent->options;
	int r = put_field(q, CHECK_USER, name);
	if (r == 0)
		r = put_field(q, CHECK_PASSWORD, check->text);
	if (r < 0)
		return r;
	if (strcmp(check->verifier, "radius") == 0)
		return put_radius(q, o);
	if (strcmp(check->verifier, "ldap") == 0)
		return put_ldap(q, o);
	r = put_field(q, CHECK_SERVICE, o->pam_service);
	return r < 0 ? r : put_field(q, CHECK_PLACE, o->pam_directory);
}

static int
start_helper(struct check *check)
{
	static const struct process_events events = {on_answer, on_gone};
	static struct check_question question;
	static uint8_t payload[CHECK_MAX_BYTES];
	struct process_start start = {.loop = check->agent->loop,
		.options = &check->agent->options,
		.role = strcmp(check->verifier, "radius") == 0 ? ROLE_CHECK_RADIUS
			: strcmp(check->verifier, "ldap") == 0 ? ROLE_CHECK_LDAP
							       : ROLE_CHECK_PAM,
		.fds = {-1, -1},
		.events = &events,
		.user = check};
	int r = put_question(check, check->session->flow.password.name, &question);
	size_t len = r == 0 ? check_put(&question, payload) : 0;
	if (r == 0)
		check->helper = process_new(&start);
	if (r == 0)
		r = check->helper ? process_send(check->helper, MSG_CHECK, payload, len, -1)
				  : -ERR_INTERNAL;
	mem_wipe(&question, sizeof question);
	mem_wipe(payload, sizeof payload);
	if (r < 0)
		LOG(ERROR, "check.start", F_STR("method", check->verifier), F_ERR("code", r));
	return r;
}

void
session_check(void *user, const char *verifier, const char *text)
{
	struct session *s = user;
	struct check *check = mem_new(sizeof *check);
	check->session = s;
	check->agent = s->agent;
	check->pepper = s->agent->pepper;
	check->begun = mono_now();
	check->rounds = s->flow.office.users && s->flow.office.users->count > 0;
	str_copy(check->verifier, sizeof check->verifier, verifier);
	str_copy(check->text, sizeof check->text, text);
	s->check = check;
	if (!user_method_fit(verifier)) {
		check->running = 1;
		loop_work(s->agent->loop, run_check, on_checked, check);
		return;
	}
	if (start_helper(check) < 0) {
		done(check, -ERR_PERSON_SERVICE);
		return;
	}
	check->timer = timer_new(s->agent->loop, on_late, check);
	timer_start(check->timer, HELPER_MS, 0);
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
