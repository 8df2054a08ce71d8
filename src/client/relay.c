/* The frames of a client's outer connection (docs/protocol.md 1 and 4): Hello, Ask, Grant, Join,
 * Joined, or Bye. */
#include <string.h>

#include "base/build.h"
#include "base/err.h"
#include "base/mem.h"
#include "client/inside.h"
#include "net/frame.h"
#include "outer.pb.h"

enum {
	PROTOCOL_VERSION = 1
};

int
relay_hello(struct session *s)
{
	engawa_Hello hello = {
		.version = PROTOCOL_VERSION,
		.role = engawa_Role_ROLE_CLIENT,
		.build = BUILD,
	};
	memcpy(hello.locale, s->facts.locale, sizeof hello.locale);
	return frame_send(s->conn, engawa_OuterType_OUTER_HELLO, engawa_Hello_fields, &hello);
}

/* A refusal of the relay. Another gate may well do where only this one is in trouble. */
static int
refused(struct session *s, uint32_t code)
{
	if (code == 0 || !err_find((int)code))
		return code == 0 ? -ERR_CLOSED : -ERR_PROTOCOL;
	if (s->resume.active)
		resume_refused(s, (int)code);
	s->final = code != ERR_DRAIN && code != ERR_NO_CONTROLLER && code != ERR_BUSY_DATABASE &&
		   code != ERR_TOO_MANY && code != ERR_TIMEOUT && code != ERR_ORGANISATION_FULL;
	return -(int)code;
}

static int
on_bye(struct session *s, const uint8_t *payload, size_t len)
{
	engawa_Bye bye;
	int r = frame_decode(engawa_Bye_fields, &bye, payload, len);
	return r < 0 ? r : refused(s, bye.code);
}

static int
on_hello(struct session *s, const uint8_t *payload, size_t len)
{
	engawa_Hello hello;
	engawa_Ask ask = {.device_hash.size = sizeof s->device_hash};
	int r = frame_decode(engawa_Hello_fields, &hello, payload, len);
	if (r < 0)
		return r;
	if (hello.version != PROTOCOL_VERSION)
		return -ERR_VERSION;
	if (hello.role != engawa_Role_ROLE_GATE)
		return -ERR_PROTOCOL;
	if (s->resume.active) {
		s->state = JOIN;
		return resume_send(s);
	}
	memcpy(ask.terminal_id, s->terminal, sizeof s->terminal);
	memcpy(ask.device_hash.bytes, s->device_hash, sizeof s->device_hash);
	s->state = ASK;
	r = frame_send(s->conn, engawa_OuterType_OUTER_ASK, engawa_Ask_fields, &ask);
	mem_wipe(&ask, sizeof ask);
	return r;
}

/*
 * The ticket's signature and that it is for us; its time is the business of gate and agent: a home
 * PC with a wrong clock must not fail here. What it says of the agent is proved in the channel.
 */
static int
take_ticket(struct session *s, const uint8_t *ticket, size_t len)
{
	uint8_t body[SIGN_ENVELOPE_MAX_BYTES];
	size_t body_len;
	engawa_TicketBody *t = &s->ticket_body;
	int r = sign_open(s->org->ticket_keys, s->org->ticket_key_count, "engawa ticket v1", ticket,
		len, body, sizeof body, &body_len);
	if (r < 0)
		return r;
	r = frame_decode(engawa_TicketBody_fields, t, body, body_len);
	if (r < 0)
		return r;
	if (t->session_id.size != 16 || t->agent_key.size != NOISE_KEY_BYTES ||
		t->device_hash.size != sizeof s->device_hash ||
		memcmp(t->device_hash.bytes, s->device_hash, sizeof s->device_hash) != 0 ||
		strcmp(t->organisation, s->org->id) != 0)
		return -ERR_TICKET_BAD;
	memcpy(s->ticket, ticket, len);
	s->ticket_len = len;
	return 0;
}

static int
on_grant(struct session *s, const uint8_t *payload, size_t len)
{
	engawa_Grant grant;
	engawa_Join join;
	int r = frame_decode(engawa_Grant_fields, &grant, payload, len);
	if (r < 0)
		return r;
	if (grant.code)
		return refused(s, grant.code);
	s->final = 1; /* a forged ticket is no gate's trouble */
	r = take_ticket(s, grant.ticket.bytes, grant.ticket.size);
	if (r < 0)
		return r;
	s->final = 0;
	session_reached(s, SESSION_TICKET);
	join.ticket.size = grant.ticket.size;
	memcpy(join.ticket.bytes, grant.ticket.bytes, grant.ticket.size);
	s->state = JOIN;
	return frame_send(s->conn, engawa_OuterType_OUTER_JOIN, engawa_Join_fields, &join);
}

static int
on_joined(struct session *s, const uint8_t *payload, size_t len)
{
	engawa_Joined joined;
	int r = frame_decode(engawa_Joined_fields, &joined, payload, len);
	if (r < 0)
		return r;
	const uint8_t *id = s->resume.active ? s->resume.id : s->ticket_body.session_id.bytes;
	if (joined.session_id.size != 16 || memcmp(joined.session_id.bytes, id, 16) != 0)
		return -ERR_PROTOCOL;
	s->state = NOISE;
	return channel_start(s);
}

static const struct {
	enum state state;
	engawa_OuterType type;
	int (*handle)(struct session *s, const uint8_t *payload, size_t len);
} order[] = {
	{HELLO, engawa_OuterType_OUTER_HELLO, on_hello},
	{ASK, engawa_OuterType_OUTER_GRANT, on_grant},
	{JOIN, engawa_OuterType_OUTER_JOINED, on_joined},
	{HELLO, engawa_OuterType_OUTER_BYE, on_bye},
	{ASK, engawa_OuterType_OUTER_BYE, on_bye},
	{JOIN, engawa_OuterType_OUTER_BYE, on_bye},
};

int
relay_data(struct session *s, const uint8_t *data, size_t len)
{
	uint8_t type;
	const uint8_t *payload;
	size_t payload_len;
	size_t max = s->state == HELLO ? FRAME_FIRST_MAX_BYTES : FRAME_MAX_BYTES;
	int used = frame_parse(data, len, max, &type, &payload, &payload_len);
	if (used <= 0)
		return used;
	timer_start(s->deadline, s->resume.active ? AGAIN_RELAY_MS : RELAY_MS, 0);
	for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
		if (order[i].state == s->state && order[i].type == type) {
			int r = order[i].handle(s, payload, payload_len);
			return r < 0 ? r : used;
		}
	}
	return -ERR_PROTOCOL;
}
