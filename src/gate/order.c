#include "gate/order.h"

#include <string.h>

#include "base/err.h"
#include "gate/blame.h"
#include "gate/door.h"
#include "gate/secure.h"
#include "gate/worker.h"
#include "link.pb.h"

enum {
	HELLO_MAX_BYTES =
		256, /* twice what its fields can take: room for fields that a later version adds */
	ID_MAX_BYTES = 64,
	WAITS_MAX_BYTES = 256,
	TICKET_FRAME_MAX_BYTES = 2048 + 64,
	CODE_FRAME_MAX_BYTES = 2048 + 128,
	ENROL_FRAME_MAX_BYTES = 2048,
	ANSWER_MAX_BYTES = 8192, /* of the controller: Enrolled has two certificates */
};

#define OUTER(role, state, type, browser, max, fn)                                                 \
	{                                                                                          \
		engawa_Role_ROLE_##role, LEG_##state, engawa_OuterType_OUTER_##type, browser, max, \
			fn                                                                         \
	}
#define LINK(state, type, max, fn)                                               \
	{                                                                        \
		ORDER_LINK, LEG_##state, engawa_LinkType_LINK_##type, 0, max, fn \
	}

static const struct order table[] = {
	OUTER(NONE, HELLO, HELLO, 1, HELLO_MAX_BYTES, order_hello),

	OUTER(AGENT, READY, PONG, 0, ID_MAX_BYTES, presence_on_pong),
	OUTER(AGENT, READY, REFUSE, 0, ID_MAX_BYTES, presence_on_refuse),
	OUTER(AGENT, READY, SEND_CODE, 0, CODE_FRAME_MAX_BYTES, presence_on_send_code),
	OUTER(AGENT, READY, ENROL, 0, ENROL_FRAME_MAX_BYTES, presence_on_renew),
	OUTER(AGENT, READY, SESSION_WAITS, 0, WAITS_MAX_BYTES, presence_on_session_waits),

	OUTER(AGENT_SESSION, READY, ANSWER, 0, ID_MAX_BYTES, client_on_answer),

	OUTER(CLIENT, READY, ASK, 0, 128, client_on_ask), /* a browser asks with POST /v1/connect */
	OUTER(CLIENT, READY, JOIN, 1, TICKET_FRAME_MAX_BYTES, client_on_join),
	OUTER(CLIENT, READY, RESUME, 1, TICKET_FRAME_MAX_BYTES, client_on_resume),

	OUTER(ENROL, READY, ENROL, 0, ENROL_FRAME_MAX_BYTES, client_on_enrol),

	LINK(HELLO, WELCOME, FRAME_MAX_BYTES, link_on_welcome),
	LINK(READY, WELCOME, FRAME_MAX_BYTES, link_on_welcome), /* new ticket keys */
	LINK(READY, GRANT, ANSWER_MAX_BYTES, link_on_grant),
	LINK(READY, ENROLLED, ANSWER_MAX_BYTES, link_on_enrolled),
	LINK(READY, CODE_SENT, ANSWER_MAX_BYTES, link_on_code_sent),
	LINK(READY, MAIL_STATE, ID_MAX_BYTES, link_on_mail_state),
	LINK(READY, END_SESSION, ID_MAX_BYTES, link_on_end_session),
	LINK(READY, DENY, ID_MAX_BYTES, link_on_deny),
	LINK(READY, ALLOW, ID_MAX_BYTES, link_on_allow),
	LINK(READY, SHARES, ANSWER_MAX_BYTES, link_on_shares),
	LINK(READY, PING, ID_MAX_BYTES, link_on_ping),
	LINK(READY, PONG, ID_MAX_BYTES, link_on_pong),
};

/* Whoever is connected may say goodbye at any time. */
static const struct order bye = {
	ORDER_ANY, 0, engawa_OuterType_OUTER_BYE, 1, ID_MAX_BYTES, order_bye};

const struct order *
order_find(uint8_t role, uint8_t state, uint8_t type, int browser)
{
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		const struct order *o = &table[i];
		if (o->role == role && o->state == state && o->type == type &&
			(o->browser || !browser))
			return o;
	}
	return type == bye.type && state >= LEG_HELLO && state <= LEG_KNOCKING ? &bye : NULL;
}

static int
one_frame(struct worker *w, struct leg *l, const uint8_t *data, size_t len)
{
	uint8_t type;
	const uint8_t *payload;
	size_t payload_len;
	const struct order *o = order_find(l->role, l->state, data[0], l->kind == LEG_BROWSER);
	if (!o)
		return -ERR_PROTOCOL;
	int used = frame_parse(data, len, o->max_bytes, &type, &payload, &payload_len);
	if (used <= 0)
		return used;
	w->surplus = len - (size_t)used;
	int r = o->fn(w, l, payload, payload_len);
	if (l->state == LEG_MOVING)
		return 0; /* as if it had not come whole: it is handled where the leg goes */
	return r < 0 ? r : used;
}

int
order_frames(struct worker *w, struct leg *l, uint8_t *data, size_t len)
{
	size_t used = 0;
	while (used < len) {
		if (l->state >= LEG_PIPE)
			return 0; /* closed by a handler; or a pipe, and then nothing was left
				     (surplus) */
		int r = one_frame(w, l, data + used, len - used);
		if (r < 0)
			return l->state >= LEG_PIPE ? 0 : r;
		if (r == 0)
			break;
		used += (size_t)r;
	}
	return l->state >= LEG_PIPE ? leg_hold(w, l, NULL, 0)
				    : leg_hold(w, l, data + used, len - used);
}

static int
greet(struct worker *w, struct leg *l)
{
	const engawa_Hello hello = {.version = 1, .role = engawa_Role_ROLE_GATE};
	l->greeted = 1;
	return leg_frame(w, l, engawa_OuterType_OUTER_HELLO, engawa_Hello_fields, &hello);
}

/* An organisation's handshakes all count; a session that somebody waits for is not refused for
 * them, nor an office PC that takes its own place again for the number of them. */
static int
in_quota(struct worker *w, const struct leg *l, engawa_Role role, const uint8_t agent_id[static 16])
{
	int r = quota_handshake(w, l->share, role == engawa_Role_ROLE_AGENT);
	if (role != engawa_Role_ROLE_AGENT || r < 0)
		return r;
	blame_agent(w, agent_id);
	return presence_find(w, agent_id) ? 0 : quota_ask(w, l->share, QUOTA_AGENTS);
}

/* Who may be what: agents have a certificate, nobody else has one, browsers are clients. */
static int
admit(struct worker *w, const struct leg *l, const engawa_Hello *hello, uint8_t agent_id[static 16])
{
	int agent = hello->role == engawa_Role_ROLE_AGENT ||
		    hello->role == engawa_Role_ROLE_AGENT_SESSION;
	int other = hello->role == engawa_Role_ROLE_CLIENT || hello->role == engawa_Role_ROLE_ENROL;
	if (hello->version != 1)
		return -ERR_VERSION;
	if (!agent && !other)
		return -ERR_PROTOCOL;
	if (l->kind == LEG_BROWSER)
		return hello->role == engawa_Role_ROLE_CLIENT ? 0 : -ERR_PROTOCOL;
	if (other)
		return secure_has_certificate(l->secure) ? -ERR_PROTOCOL : 0;
	if (secure_agent(l->secure, agent_id) < 0)
		return -ERR_DENIED;
	if (blame_ask_agent(w, agent_id) < 0)
		return -ERR_TOO_OFTEN;
	if (hello->role == engawa_Role_ROLE_AGENT && hello->instance.size != 16)
		return -ERR_PROTOCOL;
	if (hello->role == engawa_Role_ROLE_AGENT && w->draining)
		return -ERR_DRAIN;
	uint32_t denied = presence_denied(&w->presence, agent_id);
	return denied ? -(int)denied : in_quota(w, l, hello->role, agent_id);
}

int
order_hello(struct worker *w, struct leg *l, const uint8_t *payload, size_t len)
{
	engawa_Hello hello;
	uint8_t agent_id[16];
	int r = frame_decode(engawa_Hello_fields, &hello, payload, len);
	if (r == 0)
		r = admit(w, l, &hello, agent_id);
	if (r < 0)
		return r;
	if (greet(w, l) < 0)
		return 0;
	if (hello.role == engawa_Role_ROLE_AGENT || hello.role == engawa_Role_ROLE_AGENT_SESSION)
		door_known(w, l);
	l->build = hello.build;
	l->role = (uint8_t)hello.role;
	l->state = LEG_READY;
	if (hello.role == engawa_Role_ROLE_AGENT)
		presence_enter(w, l, agent_id, hello.instance.bytes);
	else
		leg_deadline(w, l, w->settings.frame_s);
	return 0;
}

int
order_bye(struct worker *w, struct leg *l, const uint8_t *payload, size_t len)
{
	engawa_Bye msg;
	int r = frame_decode(engawa_Bye_fields, &msg, payload, len);
	if (r < 0)
		return r;
	leg_end(w, l, err_find((int)msg.code) ? -(int)msg.code : -ERR_CLOSED);
	return 0;
}
