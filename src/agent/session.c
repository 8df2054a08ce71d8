#include "agent/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/health.h"
#include "agent/office.h"
#include "agent/resume.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/wire.h"

enum {
	JOIN_MS = 25000,    /* socket, TLS, the other side's arrival */
	FIRST_MS = 10000,   /* message 1, then Facts */
	LOGIN_MS = 900000,  /* all steps: three codes that run out, and time to type */
	DESKTOP_MS = 30000, /* to the desktop's first picture */
	SWITCH_MS = 10000,  /* Start to the client */
	ENDING_MS = 3000,   /* last words */
	RELEASE_MS = 5000,  /* engawa-desktop lets go of all keys; it waits 3 s for a display */
	MAIL_MS = 30000,    /* until the mail server has it */
	PROMPT_MS = 330000, /* a person types; a code lives as long */
};

/* What the process at the network can say as often as it likes. */
static struct log_limit mail_limit = {.burst = 20, .window_ms = 60000};

static void
on_deadline(void *user)
{
	struct session *s = user;
	if (s->state == SESSION_LOGIN && s->flow.wait == LOGIN_WAIT_MAIL)
		session_login_result(s, login_mailed(&s->flow, -ERR_TIMEOUT));
	else
		session_end(s, s->state == SESSION_LOST ? ERR_PATH_LOST : ERR_TIMEOUT);
}

/* Each wait has its time, and all of them together: nobody sits in a login for ever. */
static void
wait_login(struct session *s)
{
	uint64_t wait_ms = s->flow.wait == LOGIN_WAIT_REPLY ? PROMPT_MS : MAIL_MS;
	uint64_t left_ms = mono_diff_ms(mono_now(), s->login_until);
	timer_start(s->deadline, wait_ms < left_ms ? wait_ms : left_ms, 0);
}

static void
enter(struct session *s, enum session_state state, uint64_t deadline_ms)
{
	s->state = state;
	if (deadline_ms)
		timer_start(s->deadline, deadline_ms, 0);
	else
		timer_stop(s->deadline);
}

static void
on_desktop_left(void *user)
{
	struct agent *agent = user;
	if (--agent->desktops_leaving == 0 && agent->working && agent->working->guarded)
		session_guarded(agent->working);
}

/* It lets go of keys and puts the monitors back; the next one begins after that. */
static void
desktop_leave(struct session *s)
{
	struct process *desktop = s->desktop;
	if (!desktop)
		return;
	s->desktop = NULL;
	s->agent->desktops_leaving++;
	process_finish(desktop, RELEASE_MS, on_desktop_left, s->agent);
}

static void
kill_all(struct session *s)
{
	process_free(s->pump);
	process_free(s->login);
	process_free(s->work);
	s->pump = s->login = s->work = NULL;
	desktop_leave(s);
	if (s->desktop_socket >= 0)
		close(s->desktop_socket);
	s->desktop_socket = -1;
}

/* The one way out: no process is left behind it. */
static void
finish(struct session *s, int code)
{
	if (s->state == SESSION_GONE)
		return;
	if (!s->end_code)
		s->end_code = code;
	LOG(INFO, "session.end", F_STR("session", s->code), F_ERR("code", s->end_code),
		F_STR("step", login_step_name(&s->flow)),
		F_INT("worked_s", s->started_s ? wall_s() - s->started_s : 0));
	resume_over(s);
	session_retire(s);
}

void
session_retire(struct session *s)
{
	int waited = s->state == SESSION_LOST;
	enter(s, SESSION_GONE, 0);
	session_term_stop(s);
	session_term_shutdown(s);
	kill_all(s);
	session_login_close(s);
	agent_session_gone(s->agent, s);
	if (waited)
		resume_tell(s->agent);
}

/* Last words are on their way; when they have gone, the pump ends, and with it the session. */
static void
ending(struct session *s, int code)
{
	s->end_code = code;
	enter(s, SESSION_ENDING, ENDING_MS);
	session_term_stop(s);
	desktop_leave(s);
}

/* One that is not told ends by itself: its process has gone. */
static void
notify(struct process *to, uint32_t code)
{
	uint8_t out[MESSAGE_MAX_BYTES];
	const struct notice notice = {.code = code};
	if (to)
		process_send(to, MSG_NOTICE, out, notice_put(&notice, out), -1);
}

void
session_notice(struct session *s, uint32_t code)
{
	if (s->state == SESSION_WORK)
		notify(s->work, code);
}

void
session_login_notice(struct session *s, uint32_t code)
{
	if (s->state == SESSION_LOGIN)
		notify(s->login, code);
}

void
session_end(struct session *s, uint32_t code)
{
	uint8_t out[MESSAGE_MAX_BYTES];
	struct refusal refusal = {.code = code, .retry_s = s->flow.retry_s};
	if (s->state == SESSION_WORK && s->pump &&
		process_send(s->work, MSG_END, out, code_put(code, out), -1) == 0) {
		ending(s, -(int)code);
		return;
	}
	if (s->state < SESSION_LOGIN || s->state >= SESSION_START || !s->login) {
		finish(s, -(int)code);
		return;
	}
	snprintf(refusal.support, sizeof refusal.support, "%s", s->agent->keys.org.support);
	process_free(s->work); /* else the pump would turn to it */
	s->work = NULL;
	if (process_send(s->login, MSG_REFUSED, out, refusal_put(&refusal, out), -1) == 0)
		ending(s, -(int)code);
	else
		finish(s, -(int)code);
}

/* Several things may be wrong with a home PC: all of them are named before the refusal. */
static void
tell_findings(struct session *s)
{
	uint8_t out[MESSAGE_MAX_BYTES];
	char codes[FINDINGS_TEXT_SIZE];
	const struct notice notice = {.code = ERR_INSPECTION, .findings = s->flow.findings};
	if (!notice.findings.count || !s->login)
		return;
	findings_text(&notice.findings, codes);
	LOG(INFO, "login.inspection", F_STR("session", s->code), F_STR("findings", codes));
	process_send(s->login, MSG_NOTICE, out, notice_put(&notice, out), -1);
}

void
session_login_result(struct session *s, int r)
{
	if (r == LOGIN_WAITS) {
		wait_login(s);
		return;
	}
	if (r == LOGIN_PASSED && s->base) {
		r = resume_adopt(s);
		if (r < 0)
			session_end(s, (uint32_t)-r);
		return;
	}
	if (r == LOGIN_PASSED) {
		enter(s, SESSION_TURN, DESKTOP_MS);
		agent_session_passed(s->agent, s);
		return;
	}
	tell_findings(s);
	LOG(INFO, "login.refused", F_STR("session", s->code),
		F_STR("step", login_step_name(&s->flow)), F_ERR("code", r),
		F_STR("address", s->ticket.client_address),
		F_HEX("device", s->ticket.device_hash.bytes, 4), F_INT("known", s->known));
	/* a client out of order is not told anything */
	if (r == -ERR_PROTOCOL)
		finish(s, r);
	else
		session_end(s, err_find(r) ? (uint32_t)-r : ERR_INTERNAL);
}

static void
on_joined(struct session *s, const uint8_t *payload, size_t len)
{
	(void)payload, (void)len;
	enter(s, SESSION_FIRST, FIRST_MS);
}

static void
on_first(struct session *s, const uint8_t *payload, size_t len)
{
	int r = session_handshake(s, payload, len);
	if (r < 0)
		finish(s, r);
	else
		enter(s, SESSION_LOGIN, FIRST_MS);
}

static void
on_facts(struct session *s, const uint8_t *payload, size_t len)
{
	struct facts facts;
	s->login_until = mono_add_ms(mono_now(), LOGIN_MS);
	int r = facts_get(payload, len, &facts);
	session_login_result(s, r < 0 ? r : login_facts(&s->flow, &facts));
}

static void
on_reply(struct session *s, const uint8_t *payload, size_t len)
{
	struct reply reply;
	int r = reply_get(payload, len, &reply);
	session_login_result(s, r < 0 ? r : login_reply(&s->flow, &reply));
	mem_wipe(&reply, sizeof reply);
}

/* An empty payload: the client's report could not be read. */
static void
on_posture(struct session *s, const uint8_t *payload, size_t len)
{
	struct report report;
	int r = len ? report_get(payload, len, &report) : 0;
	if (r < 0) {
		finish(s, r); /* no process of ours makes such a message */
		return;
	}
	if (s->state == SESSION_WORK)
		session_term_report(s, len ? &report : NULL);
	if (s->state != SESSION_LOGIN)
		return; /* of a path that is gone */
	r = login_posture(&s->flow, len ? &report : NULL);
	s->inspected = r >= 0;
	session_login_result(s, r);
}

/* The office PC is made ready for nobody to look on or reach in; session_guarded follows. */
void
session_turn(struct session *s)
{
	office_begin(s->agent, s);
}

void
session_guarded(struct session *s)
{
	if (s->state != SESSION_TURN)
		return;
	s->guarded = 1;
	if (s->agent->desktops_leaving > 0)
		return; /* on_desktop_left */
	int r = session_desktop_start(s);
	if (r < 0)
		session_end(s, ERR_DESKTOP_FAILED);
	else
		session_wait_picture(s);
}

void
session_wait_picture(struct session *s)
{
	enter(s, SESSION_DESKTOP, DESKTOP_MS);
}

void
session_move(struct session *s, uint32_t seconds)
{
	uint8_t out[4];
	if (s->state == SESSION_WORK)
		process_send(s->work, MSG_MOVE, out, code_put(seconds, out), -1);
}

static void
on_display(struct session *s, const uint8_t *payload, size_t len)
{
	struct display_auth auth;
	int r = display_auth_get(payload, len, &auth);
	if (r == 0)
		r = session_desktop_display(s, &auth);
	mem_wipe(&auth, sizeof auth);
	if (r < 0)
		session_end(s, ERR_DESKTOP_FAILED);
}

/* Start goes out when there is a picture and no byte of the client can reach the login process any
 * more. */
static void
start_when_ready(struct session *s)
{
	uint8_t out[MESSAGE_MAX_BYTES];
	struct start start = {.layout = s->layout,
		.idle_s = (uint32_t)s->policy.idle_timeout_s,
		.window_mib = s->flow.facts.window_mib,
		.stream = s->stream,
		.from = s->stream_from,
		.own_display =
			s->agent->options.display_virtual || options_rdp(&s->agent->options)};
	if (!s->held || !s->ready)
		return;
	memcpy(start.session_code, s->code, sizeof s->code);
	resume_ticket(s, &start);
	if (process_send(s->login, MSG_START, out, start_put(&start, out), -1) < 0)
		finish(s, -ERR_INTERNAL);
	else
		enter(s, SESSION_START, SWITCH_MS);
}

static void
on_ready(struct session *s, const uint8_t *payload, size_t len)
{
	struct ready ready;
	if (ready_get(payload, len, &ready) < 0 || (s->ready && ready.epoch == s->epoch)) {
		session_end(s, ERR_DESKTOP_FAILED);
		return;
	}
	if (ready.epoch != s->epoch)
		return; /* for the path before */
	s->layout = ready.layout;
	s->stream = ready.stream;
	s->stream_from = ready.from;
	s->ready = 1;
	start_when_ready(s);
}

static void
on_held(struct session *s, const uint8_t *payload, size_t len)
{
	(void)payload, (void)len;
	s->held = 1;
	start_when_ready(s);
}

static void
on_switched(struct session *s, const uint8_t *payload, size_t len)
{
	(void)payload, (void)len;
	if (process_send(s->work, MSG_BEGIN, NULL, 0, -1) < 0) {
		finish(s, -ERR_INTERNAL);
		return;
	}
	enter(s, SESSION_WORK, 0);
	health_tell(s->agent->health, s);
	session_term_start(s);
	office_tell(s->agent, s);
	if (s->resumed) {
		LOG(INFO, "session.resumed", F_STR("session", s->code),
			F_STR("gate", s->agent->keys.org.gates[s->gate].name),
			F_STR("address", s->ticket.client_address),
			F_INT("lost_ms", mono_diff_ms(s->lost_at, mono_now())),
			F_STR("picture", s->stream == s->flow.facts.stream ? "goes on" : "new"));
		return;
	}
	s->started_s = wall_s();
	LOG(INFO, "session.start", F_STR("session", s->code),
		F_STR("address", s->ticket.client_address),
		F_STR("computer", s->flow.facts.computer_name), F_STR("os", s->flow.facts.os),
		F_HEX("device", s->ticket.device_hash.bytes, 4), F_INT("known", s->known));
}

/* The work process has said its last words to the client, if it could. Before Start it is the login
 * process that tells. */
static void
on_ended(struct session *s, const uint8_t *payload, size_t len)
{
	uint32_t code;
	if (code_get(payload, len, &code) < 0)
		finish(s, -ERR_PROTOCOL);
	else if (s->state == SESSION_DESKTOP)
		session_end(s, code ? code : ERR_DESKTOP_FAILED);
	else if (!s->pump)
		finish(s, code ? -(int)code : -ERR_ENDED);
	else
		ending(s, code ? -(int)code : -ERR_ENDED);
}

/* The path is gone. What the client said last (that it leaves) may still be on its way to the work
 * process, which ends now. */
static void
path_gone(struct session *s, int code)
{
	int desktop = s->state == SESSION_WORK ||
		      (s->resumed && (s->state == SESSION_DESKTOP || s->state == SESSION_START));
	process_free(s->pump);
	s->pump = NULL;
	if (desktop && s->work && s->agent->options.resume_s) {
		/* the work process sees its end of it too: MSG_LOST, or MSG_ENDED when the client
		 * had said so before; not yet when it does not read */
		if (s->state != SESSION_WORK)
			process_send(s->work, MSG_LOSE, NULL, 0, -1);
		s->path_code = code;
		timer_start(s->deadline, ENDING_MS, 0);
		return;
	}
	if (s->state != SESSION_WORK || !s->work) {
		finish(s, code);
		return;
	}
	s->path_code = code;
	ending(s, 0);
}

static void
on_lost(struct session *s, const uint8_t *payload, size_t len)
{
	struct lost lost;
	/* where nobody may come back no process of ours says so, and nothing would end the wait */
	if (lost_get(payload, len, &lost) < 0 || !s->agent->options.resume_s) {
		finish(s, -ERR_PROTOCOL);
		return;
	}
	if (lost.epoch != s->epoch || s->state == SESSION_LOST)
		return;
	process_free(s->pump);
	process_free(s->login);
	s->pump = s->login = NULL;
	s->held = s->ready = 0;
	s->lost_at = mono_now();
	LOG(INFO, "session.lost", F_STR("session", s->code), F_ERR("code", -(int)lost.code),
		F_STR("gate", s->agent->keys.org.gates[s->gate].name),
		F_INT("wait_s", s->agent->options.resume_s));
	enter(s, SESSION_LOST, (uint64_t)s->agent->options.resume_s * 1000);
	resume_tell(s->agent);
}

/* The client has what Start brought: the older key and ticket are worth nothing any more. */
static void
on_heard(struct session *s, const uint8_t *payload, size_t len)
{
	struct lost lost;
	if (lost_get(payload, len, &lost) < 0)
		finish(s, -ERR_PROTOCOL);
	else if (lost.epoch == s->epoch) {
		LOG(DEBUG, "session.heard", F_STR("session", s->code));
		mem_wipe(&s->keys[1], sizeof s->keys[1]);
	}
}

static void
on_pump_ended(struct session *s, const uint8_t *payload, size_t len)
{
	struct note note;
	if (note_get(payload, len, &note) < 0) {
		finish(s, -ERR_PROTOCOL);
		return;
	}
	struct rd counts = rd_init(note.rest, note.rest_len);
	uint64_t in = rd_u64(&counts), out = rd_u64(&counts);
	LOG(INFO, "session.bytes", F_STR("session", s->code), F_INT("in", in), F_INT("out", out));
	path_gone(s, note.code && note.code < 100000 ? -(int)note.code : -ERR_CLOSED);
}

/* While the last words are said all that counts is that they are out; what else was on its way no
 * longer matters. */
static void
ending_message(struct session *s, enum role role, uint16_t type, const uint8_t *payload, size_t len)
{
	uint32_t code;
	if (role == ROLE_PUMP && type == MSG_PUMP_ENDED)
		on_pump_ended(s, payload, len);
	else if (role == ROLE_WORK && type == MSG_ENDED && !s->end_code &&
		 code_get(payload, len, &code) == 0)
		s->end_code = code && code != ERR_CLOSED ? -(int)code
			      : code                     ? s->path_code
							 : -ERR_ENDED;
}

#define IN(state) (1u << SESSION_##state)
static const unsigned whenever = IN(JOIN) | IN(FIRST) | IN(LOGIN) | IN(TURN) | IN(DESKTOP) |
				 IN(START) | IN(WORK) | IN(ENDING);

static const struct rule {
	enum role role;
	uint16_t type;
	unsigned states;
	size_t min, max; /* of the payload */
	void (*fn)(struct session *s, const uint8_t *payload, size_t len);
} rules[] = {
	{ROLE_PUMP, MSG_JOINED, IN(JOIN), 0, 0, on_joined},
	{ROLE_PUMP, MSG_FIRST, IN(FIRST), FIRST_BYTES, FIRST_BYTES, on_first},
	{ROLE_PUMP, MSG_HELD, IN(DESKTOP), 0, 0, on_held},
	{ROLE_PUMP, MSG_SWITCHED, IN(START), 0, 0, on_switched},
	{ROLE_PUMP, MSG_PUMP_ENDED, whenever, 0, 64, on_pump_ended},
	{ROLE_LOGIN, MSG_FACTS, IN(LOGIN), 0, MESSAGE_MAX_BYTES, on_facts},
	{ROLE_LOGIN, MSG_REPLY, IN(LOGIN), 0, MESSAGE_MAX_BYTES, on_reply},
	{ROLE_LOGIN, MSG_POSTURE, IN(LOGIN), 0, MESSAGE_MAX_BYTES, on_posture},
	{ROLE_WORK, MSG_POSTURE, IN(DESKTOP) | IN(START) | IN(WORK) | IN(LOST), 0,
		MESSAGE_MAX_BYTES, on_posture},
	{ROLE_DESKTOP, MSG_DISPLAY, IN(DESKTOP), 0, MESSAGE_MAX_BYTES, on_display},
	{ROLE_WORK, MSG_READY, IN(DESKTOP), 0, MESSAGE_MAX_BYTES, on_ready},
	{ROLE_WORK, MSG_ENDED, IN(DESKTOP) | IN(START) | IN(WORK) | IN(LOST), 4, 4, on_ended},
	{ROLE_WORK, MSG_LOST, IN(DESKTOP) | IN(START) | IN(WORK) | IN(LOST), 8, 8, on_lost},
	{ROLE_WORK, MSG_HEARD, IN(DESKTOP) | IN(START) | IN(WORK) | IN(LOST), 8, 8, on_heard},
};

void
session_message(
	struct session *s, enum role role, uint16_t type, const uint8_t *payload, size_t len)
{
	if (s->state == SESSION_ENDING)
		ending_message(s, role, type, payload, len);
	if (s->state >= SESSION_ENDING)
		return;
	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
		const struct rule *rule = &rules[i];
		if (rule->role == role && rule->type == type && (rule->states >> s->state & 1) &&
			len >= rule->min && len <= rule->max) {
			rule->fn(s, payload, len);
			return;
		}
	}
	LOG(WARN, "session.violation", F_STR("session", s->code), F_STR("role", role_name(role)),
		F_INT("type", type), F_INT("state", s->state));
	finish(s, -ERR_PROTOCOL);
}

void
session_process_gone(struct session *s, enum role role)
{
	struct process **slot = role == ROLE_PUMP    ? &s->pump
				: role == ROLE_LOGIN ? &s->login
				: role == ROLE_WORK  ? &s->work
						     : &s->desktop;
	process_free(*slot);
	*slot = NULL;
	if (role == ROLE_PUMP)
		path_gone(s, -ERR_CLOSED);
	else if (role == ROLE_WORK && s->state == SESSION_ENDING && !s->pump)
		finish(s, s->path_code);
	else if (role == ROLE_LOGIN && s->resumed && s->state == SESSION_DESKTOP)
		path_gone(s, -ERR_CLOSED);
	else if (role == ROLE_LOGIN && s->state != SESSION_START && s->state != SESSION_WORK &&
		 s->state != SESSION_LOST && s->state != SESSION_ENDING)
		finish(s, -ERR_CLOSED);
	else if (role == ROLE_WORK && s->state >= SESSION_DESKTOP && s->state < SESSION_ENDING)
		finish(s, -ERR_INTERNAL);
	else if (role == ROLE_DESKTOP && s->state >= SESSION_DESKTOP && s->state < SESSION_ENDING &&
		 s->work && process_is_gone(s->work))
		finish(s, -ERR_INTERNAL); /* the desktop only followed it, and is heard of first */
	else if (role == ROLE_DESKTOP && s->state >= SESSION_DESKTOP && s->state < SESSION_ENDING)
		session_end(s, ERR_DESKTOP_FAILED);
}

static void
on_message(void *user, enum role role, uint16_t type, const uint8_t *payload, size_t len, int fd)
{
	if (fd >= 0)
		close(fd); /* no process of a session has a descriptor to give */
	session_message(user, role, type, payload, len);
}

static void
on_gone(void *user, enum role role, int status)
{
	(void)status;
	session_process_gone(user, role);
}

struct process *
session_start_process(struct session *s, enum role role, int fd1, int fd2)
{
	static const struct process_events events = {.message = on_message, .gone = on_gone};
	struct process_start start = {.loop = s->agent->loop,
		.options = &s->agent->options,
		.role = role,
		.fds = {fd1, fd2},
		.sign_key = role == ROLE_PUMP ? s->agent->keys.tls : NULL,
		.events = &events,
		.user = s};
	return process_new(&start);
}

void
session_dialed(struct session *s, uint32_t code, int fd)
{
	uint8_t out[64];
	const struct keys *keys = &s->agent->keys;
	struct note note = {.gate = s->gate};
	memcpy(note.session_id, s->ticket.session_id.bytes, SESSION_ID_BYTES);
	if (s->state != SESSION_DIAL || code || fd < 0) {
		if (fd >= 0)
			close(fd);
		if (s->state == SESSION_DIAL)
			finish(s, code ? -(int)code : -ERR_NO_GATE);
		return;
	}
	s->pump = session_start_process(s, ROLE_PUMP, -1, -1);
	int r = s->pump ? process_send(s->pump, MSG_ORGANISATION, keys->org_text, keys->org_len, -1)
			: -ERR_INTERNAL;
	if (r == 0)
		r = process_send(
			s->pump, MSG_CERTIFICATE, keys->certificate, keys->certificate_len, -1);
	if (r == 0)
		r = process_send(s->pump, MSG_RUN, out, note_put(&note, out, sizeof out), fd);
	close(fd);
	if (r < 0)
		finish(s, r);
	else
		enter(s, SESSION_JOIN, JOIN_MS);
}

void
session_code_sent(struct session *s, uint32_t code)
{
	uint32_t held;
	if (code && log_limit_pass(&mail_limit, &held))
		LOG(WARN, "session.mail", F_INT("held", held), F_STR("session", s->code),
			F_ERR("code", (int)code));
	if (s->state == SESSION_LOGIN && s->flow.wait == LOGIN_WAIT_MAIL)
		session_login_result(
			s, login_mailed(&s->flow, code < 100000 ? -(int)code : -ERR_MAIL_FAILED));
}

struct session *
session_new(struct agent *agent, const engawa_TicketBody *ticket,
	const uint8_t ticket_hash[static 32], uint8_t gate, struct session *base)
{
	struct note note = {.gate = gate};
	struct session *s = mem_new(sizeof *s);
	s->agent = agent;
	s->ticket = *ticket;
	memcpy(s->ticket_hash, ticket_hash, sizeof s->ticket_hash);
	s->gate = gate;
	s->base = base;
	memcpy(s->origin, base ? base->origin : ticket->session_id.bytes, sizeof s->origin);
	s->known = devices_known(agent->devices, ticket->device_hash.bytes);
	s->desktop_socket = -1;
	session_code_make(s->origin, s->code);
	policy_init(&s->policy);
	s->deadline = timer_new(agent->loop, on_deadline, s);
	memcpy(note.session_id, ticket->session_id.bytes, SESSION_ID_BYTES);
	if (agent_control(agent, MSG_DIAL, &note) < 0) {
		session_free(s);
		return NULL;
	}
	enter(s, SESSION_DIAL, JOIN_MS);
	LOG(INFO, base ? "session.resuming" : "session.knock", F_STR("session", s->code),
		F_STR("gate", agent->keys.org.gates[gate].name),
		F_STR("address", ticket->client_address), F_INT("known", s->known));
	return s;
}

void
session_free(struct session *session)
{
	if (!session)
		return;
	kill_all(session);
	session_login_close(session);
	session_term_stop(session);
	policy_fini(&session->policy);
	mem_wipe(session->keys, sizeof session->keys);
	timer_free(session->deadline);
	mem_wipe_free(session, sizeof *session);
}
