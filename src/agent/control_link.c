/* One control connection. What comes from the gate is decoded here, where nothing is worth taking.
 */
#include <string.h>

#include "agent/control.h"
#include "agent/role.h"
#include "base/build.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/wire.h"
#include "crypto/resume.h"
#include "net/frame.h"
#include "outer.pb.h"
#include "signed.pb.h"

enum {
	DIAL_MS = 10000,
	HELLO_MS = 10000,
	BACKOFF_FIRST_MS = 1000,
	BACKOFF_MAX_MS = 60000,
	SILENCE_MIN_S = 5,
	SILENCE_MAX_S = 600,
	GOAWAY_MAX_MS = 600000,
	CLOCK_NOTE_S = 60, /* a gate's clock that differs by more is worth a line */
	PROTOCOL_VERSION = 1,
};

static void
report(struct link *link, uint32_t code)
{
	uint8_t out[64];
	struct note note = {.gate = (uint8_t)link->gate, .code = code};
	role_send(MSG_LINK, out, note_put(&note, out, sizeof out), -1);
}

/* Full jitter, so that a herd of agents spreads out. */
static void
retry_later(struct link *link, int code)
{
	LOG(INFO, "link.down", F_STR("gate", link->control->org.gates[link->gate].name),
		F_ERR("code", code), F_STR("detail", link->conn ? conn_error(link->conn) : ""));
	report(link, (uint32_t)-code);
	conn_free(link->conn);
	link->conn = NULL;
	link->state = LINK_IDLE;
	timer_stop(link->silence);
	timer_start(link->retry, control_random(link->backoff_ms), 0);
	link->backoff_ms = link->backoff_ms * 3 / 2 < BACKOFF_MAX_MS ? link->backoff_ms * 3 / 2
								     : BACKOFF_MAX_MS;
}

static void
fail(struct link *link, uint32_t code)
{
	engawa_Bye bye = {.code = code};
	frame_send(link->conn, engawa_OuterType_OUTER_BYE, engawa_Bye_fields, &bye);
	retry_later(link, -(int)code);
}

static int
on_hello(struct link *link, const uint8_t *p, size_t len)
{
	engawa_Hello hello;
	if (frame_decode(engawa_Hello_fields, &hello, p, len) < 0)
		return -ERR_PROTOCOL;
	if (hello.version != PROTOCOL_VERSION)
		return -ERR_VERSION;
	link->state = LINK_WELCOME;
	return 0;
}

static int
on_welcome(struct link *link, const uint8_t *p, size_t len)
{
	engawa_Welcome welcome;
	if (frame_decode(engawa_Welcome_fields, &welcome, p, len) < 0)
		return -ERR_PROTOCOL;
	uint32_t silence_s = welcome.silence_s < SILENCE_MIN_S   ? SILENCE_MIN_S
			     : welcome.silence_s > SILENCE_MAX_S ? SILENCE_MAX_S
								 : welcome.silence_s;
	link->silence_ms = silence_s * UINT64_C(1000);
	link->backoff_ms = BACKOFF_FIRST_MS;
	link->state = LINK_UP;
	timer_start(link->silence, link->silence_ms,
		0); /* the first ping may take longer than a Hello */
	uint64_t now_s = wall_s(),
		 off_s = now_s > welcome.time_s ? now_s - welcome.time_s : welcome.time_s - now_s;
	if (welcome.time_s && off_s > CLOCK_NOTE_S)
		LOG(WARN, "link.clock", F_INT("seconds", off_s));
	LOG(INFO, "link.up", F_STR("gate", link->control->org.gates[link->gate].name),
		F_STR("address", conn_address(link->conn)));
	report(link, 0);
	return 0;
}

static int
on_ping(struct link *link, const uint8_t *p, size_t len)
{
	engawa_Ping ping;
	if (frame_decode(engawa_Ping_fields, &ping, p, len) < 0)
		return -ERR_PROTOCOL;
	engawa_Pong pong = {.id = ping.id};
	return frame_send(link->conn, engawa_OuterType_OUTER_PONG, engawa_Pong_fields, &pong);
}

/* The session's id out of a ticket that nobody has checked yet: only to name the knock when it is
 * refused. */
static int
claimed_session(const engawa_Knock *knock, uint8_t ret_id[static SESSION_ID_BYTES])
{
	engawa_Signed envelope;
	engawa_TicketBody body;
	if (frame_decode(engawa_Signed_fields, &envelope, knock->ticket.bytes, knock->ticket.size) <
			0 ||
		frame_decode(engawa_TicketBody_fields, &body, envelope.body.bytes,
			envelope.body.size) < 0 ||
		body.session_id.size != SESSION_ID_BYTES)
		return -ERR_PROTOCOL;
	memcpy(ret_id, body.session_id.bytes, SESSION_ID_BYTES);
	return 0;
}

static int
on_knock(struct link *link, const uint8_t *p, size_t len)
{
	uint8_t out[sizeof(struct note) + sizeof(engawa_Knock)];
	engawa_Knock knock;
	struct note note = {.gate = (uint8_t)link->gate};
	if (frame_decode(engawa_Knock_fields, &knock, p, len) < 0 ||
		claimed_session(&knock, note.session_id) < 0)
		return -ERR_PROTOCOL;
	note.rest = knock.ticket.bytes;
	note.rest_len = knock.ticket.size;
	role_send(MSG_KNOCK, out, note_put(&note, out, sizeof out), -1);
	return 0;
}

/* Nothing in it is believed here either: the id is what the gate calls this attempt. */
static int
on_resume(struct link *link, const uint8_t *p, size_t len)
{
	uint8_t out[sizeof(struct note) + sizeof(engawa_Resume)], rest[sizeof(engawa_Resume)];
	engawa_Resume resume;
	struct note note = {.gate = (uint8_t)link->gate, .rest = rest};
	if (frame_decode(engawa_Resume_fields, &resume, p, len) < 0 ||
		resume.attempt.size != RESUME_ATTEMPT_BYTES || resume.ticket.size == 0)
		return -ERR_PROTOCOL;
	resume_session_id(
		resume.ticket.bytes, resume.ticket.size, resume.attempt.bytes, note.session_id);
	struct wr w = wr_init(rest, sizeof rest);
	size_t address_len = strlen(resume.client_address);
	wr_u8(&w, (uint8_t)address_len);
	wr_bytes(&w, resume.client_address, address_len);
	wr_bytes(&w, resume.ticket.bytes, resume.ticket.size);
	note.rest_len = w.len;
	role_send(MSG_RESUME, out, note_put(&note, out, sizeof out), -1);
	return 0;
}

static int
on_ended(struct link *link, const uint8_t *p, size_t len)
{
	uint8_t out[64];
	engawa_Ended ended;
	struct note note = {.gate = (uint8_t)link->gate};
	if (frame_decode(engawa_Ended_fields, &ended, p, len) < 0 ||
		(ended.session_id.size != SESSION_ID_BYTES && ended.session_id.size != 0))
		return -ERR_PROTOCOL;
	memcpy(note.session_id, ended.session_id.bytes, ended.session_id.size);
	note.code = err_find((int)ended.code) ? ended.code : ERR_ENDED_BY_ADMIN;
	role_send(MSG_ENDED_BY, out, note_put(&note, out, sizeof out), -1);
	return 0;
}

static int
on_code_sent(struct link *link, const uint8_t *p, size_t len)
{
	uint8_t out[64];
	engawa_CodeSent sent;
	struct note note = {.gate = (uint8_t)link->gate};
	if (frame_decode(engawa_CodeSent_fields, &sent, p, len) < 0 ||
		sent.session_id.size != SESSION_ID_BYTES)
		return -ERR_PROTOCOL;
	memcpy(note.session_id, sent.session_id.bytes, SESSION_ID_BYTES);
	note.code = sent.code;
	role_send(MSG_CODE_SENT, out, note_put(&note, out, sizeof out), -1);
	return 0;
}

static int
on_mail_state(struct link *link, const uint8_t *p, size_t len)
{
	uint8_t out[64], mark[4];
	engawa_MailState state;
	struct note note = {.gate = (uint8_t)link->gate, .rest = mark, .rest_len = sizeof mark};
	if (frame_decode(engawa_MailState_fields, &state, p, len) < 0)
		return -ERR_PROTOCOL;
	note.code = state.code;
	memcpy(mark, &state.address_mark, sizeof mark); /* the agent's own, as it went out */
	role_send(MSG_MAIL_STATE, out, note_put(&note, out, sizeof out), -1);
	return 0;
}

static int
on_enrolled(struct link *link, const uint8_t *p, size_t len)
{
	uint8_t out[MESSAGE_MAX_BYTES];
	engawa_Enrolled enrolled;
	struct note note = {.gate = (uint8_t)link->gate};
	if (frame_decode(engawa_Enrolled_fields, &enrolled, p, len) < 0 || enrolled.code > 99999)
		return -ERR_PROTOCOL;
	note.code = enrolled.code;
	note.rest = enrolled.certificate.bytes;
	note.rest_len = enrolled.certificate.size;
	role_send(MSG_RENEWED, out, note_put(&note, out, sizeof out), -1);
	return 0;
}

/* The connection lives on until the gate closes it or the time comes to make a new one. */
static int
on_goaway(struct link *link, const uint8_t *p, size_t len)
{
	uint8_t out[64];
	engawa_Goaway goaway;
	if (frame_decode(engawa_Goaway_fields, &goaway, p, len) < 0)
		return -ERR_PROTOCOL;
	uint64_t after_ms = goaway.after_ms < GOAWAY_MAX_MS ? goaway.after_ms : GOAWAY_MAX_MS;
	LOG(INFO, "link.goaway", F_ERR("code", (int)goaway.code), F_INT("after_ms", after_ms));
	timer_start(link->retry, after_ms, 0);
	struct note note = {.gate = (uint8_t)link->gate, .code = (uint32_t)(after_ms / 1000)};
	role_send(MSG_GOAWAY, out, note_put(&note, out, sizeof out), -1);
	return 0;
}

static int
on_bye(struct link *link, const uint8_t *p, size_t len)
{
	engawa_Bye bye;
	(void)link;
	if (frame_decode(engawa_Bye_fields, &bye, p, len) < 0 || bye.code == 0 || bye.code > 99999)
		return -ERR_PROTOCOL;
	return -(int)bye.code;
}

static const struct rule {
	uint8_t type;
	unsigned states; /* bits */
	int (*fn)(struct link *link, const uint8_t *p, size_t len);
} rules[] = {
	{engawa_OuterType_OUTER_HELLO, 1 << LINK_HELLO, on_hello},
	{engawa_OuterType_OUTER_WELCOME, 1 << LINK_WELCOME, on_welcome},
	{engawa_OuterType_OUTER_PING, 1 << LINK_UP, on_ping},
	{engawa_OuterType_OUTER_KNOCK, 1 << LINK_UP, on_knock},
	{engawa_OuterType_OUTER_RESUME, 1 << LINK_UP, on_resume},
	{engawa_OuterType_OUTER_ENDED, 1 << LINK_UP, on_ended},
	{engawa_OuterType_OUTER_CODE_SENT, 1 << LINK_UP, on_code_sent},
	{engawa_OuterType_OUTER_MAIL_STATE, 1 << LINK_UP, on_mail_state},
	{engawa_OuterType_OUTER_ENROLLED, 1 << LINK_UP, on_enrolled},
	{engawa_OuterType_OUTER_GOAWAY, 1 << LINK_UP, on_goaway},
	{engawa_OuterType_OUTER_BYE, 1 << LINK_HELLO | 1 << LINK_WELCOME | 1 << LINK_UP, on_bye},
};

static int
take(struct link *link, uint8_t type, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
		if (rules[i].type == type && (rules[i].states >> link->state & 1))
			return rules[i].fn(link, p, len);
	return -ERR_PROTOCOL;
}

static void
on_closed(void *user, int code)
{
	retry_later(user, code);
}

static size_t
on_data(void *user, const uint8_t *data, size_t len)
{
	struct link *link = user;
	const uint8_t *payload;
	size_t payload_len, used = 0;
	uint8_t type = 0;
	int r;
	timer_start(link->silence, link->state == LINK_UP ? link->silence_ms : HELLO_MS, 0);
	while ((r = frame_parse(data + used, len - used,
			link->state == LINK_UP ? FRAME_MAX_BYTES : FRAME_FIRST_MAX_BYTES, &type,
			&payload, &payload_len)) > 0) {
		used += (size_t)r;
		r = take(link, type, payload, payload_len);
		if (r < 0)
			break;
	}
	if (r < 0 && type == engawa_OuterType_OUTER_BYE)
		retry_later(link, r);
	else if (r < 0)
		fail(link, r > -200 ? ERR_CLOSED : (uint32_t)-r);
	return used;
}

static void
on_ready(void *user)
{
	struct link *link = user;
	engawa_Hello hello = {.version = PROTOCOL_VERSION,
		.role = engawa_Role_ROLE_AGENT,
		.build = BUILD,
		.locale = "ja"};
	hello.instance.size = INSTANCE_BYTES;
	memcpy(hello.instance.bytes, link->control->instance, INSTANCE_BYTES);
	link->state = LINK_HELLO;
	timer_start(link->silence, HELLO_MS, 0);
	frame_send(link->conn, engawa_OuterType_OUTER_HELLO, engawa_Hello_fields, &hello);
}

static const struct conn_events events = {.ready = on_ready, .data = on_data, .closed = on_closed};

static void
on_dial(void *user, int fd)
{
	struct link *link = user;
	char host[128], port[16];
	link->dial = NULL;
	if (fd < 0) {
		retry_later(link, fd);
		return;
	}
	if (dial_split(link->control->org.gates[link->gate].target, host, sizeof host, port,
		    sizeof port) < 0)
		host[0] = '\0'; /* the organisation file was checked: matches no certificate */
	link->state = LINK_TLS;
	link->conn = conn_new(
		link->control->loop, fd, link->control->tls, host, 0, HELLO_MS, &events, link);
}

static void
on_silence(void *user)
{
	retry_later(user, -ERR_TIMEOUT);
}

static void
on_retry(void *user)
{
	link_start(user);
}

void
link_init(struct link *link, struct control *control)
{
	link->control = control;
	link->backoff_ms = BACKOFF_FIRST_MS;
	link->retry = timer_new(control->loop, on_retry, link);
	link->silence = timer_new(control->loop, on_silence, link);
}

static int
is_taken(const struct link *link, size_t gate)
{
	const struct control *c = link->control;
	for (size_t i = 0; i < c->link_count; i++)
		if (&c->links[i] != link && c->links[i].state != LINK_IDLE &&
			c->links[i].gate == gate)
			return 1;
	return 0;
}

void
link_start(struct link *link)
{
	struct control *c = link->control;
	conn_free(link->conn);
	link->conn = NULL;
	timer_stop(link->silence);
	size_t gate = control_random(c->org.gate_count);
	while (is_taken(link, gate))
		gate = (gate + 1) % c->org.gate_count;
	link->gate = gate;
	link->state = LINK_DIAL;
	link->dial =
		dial_start(c->loop, c->org.gates[gate].target, c->proxy, DIAL_MS, on_dial, link);
}
