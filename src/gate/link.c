#include "gate/link.h"

#include <pb_encode.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/str.h"
#include "gate/order.h"
#include "gate/tell.h"
#include "gate/worker.h"
#include "link.pb.h"

void
link_init(struct link *link)
{
	*link = (struct link){.wait_ms = LINK_RETRY_FIRST_MS};
}

int
link_up(const struct worker *w)
{
	return w->link.leg && w->link.leg->state == LEG_READY;
}

static void
retry(struct worker *w)
{
	struct link *link = &w->link;
	link->retry_at = w->now + link->wait_ms / WHEEL_TICK_MS;
	link->wait_ms = link->wait_ms * 3 / 2;
	if (link->wait_ms > LINK_RETRY_MAX_MS)
		link->wait_ms = LINK_RETRY_MAX_MS;
}

void
link_tick(struct worker *w)
{
	struct link *link = &w->link;
	struct leg *l = link->leg;
	const engawa_Ping ping = {.id = w->now};
	if (!l) {
		if (!link->asked && !w->stopping && (int32_t)(w->now - link->retry_at) >= 0)
			link->asked = worker_tell(w, TELL_WANT_LINK, NULL, 0) == 0;
		return;
	}
	if (w->now - l->heard >= wheel_ticks(LINK_SILENCE_S)) {
		leg_close(w, l, -ERR_TIMEOUT);
		return;
	}
	if (link_up(w) && w->now - l->pinged >= wheel_ticks(LINK_PING_S)) {
		l->pinged = w->now;
		link_send(w, engawa_LinkType_LINK_PING, engawa_Ping_fields, &ping);
	}
	share_tick(w);
}

void
link_connected(struct worker *w, int fd)
{
	static const struct address nobody;
	engawa_LinkHello hello = {.version = 1, .worker = w->seat.seat};
	struct link *link = &w->link;
	link->asked = 0;
	if (fd < 0 || link->leg) {
		if (fd >= 0)
			close(fd);
		else
			retry(w);
		return;
	}
	struct leg *l = leg_new(w, LEG_LINK, fd, NULL, &nobody);
	if (!l) {
		retry(w);
		return;
	}
	l->state = LEG_HELLO;
	l->role = ORDER_LINK;
	link->leg = l;
	str_copy(hello.gate, sizeof hello.gate, w->settings.name);
	if (leg_frame(w, l, engawa_LinkType_LINK_HELLO, engawa_LinkHello_fields, &hello) == 0)
		leg_deadline(w, l, w->settings.controller_s);
}

void
link_gone(struct worker *w, struct leg *l, int code)
{
	struct link *link = &w->link;
	if (link->leg != l)
		return;
	link->leg = NULL;
	retry(w);
	LOG(WARN, "link.down", F_ERR("code", code), F_INT("agents", w->presence.count),
		F_INT("sessions", w->sessions.count));
	requests_refuse_all(w, -ERR_NO_CONTROLLER);
	share_end(w);
}

int
link_send(struct worker *w, uint8_t type, const pb_msgdesc_t *fields, const void *msg)
{
	if (!link_up(w))
		return -ERR_NO_CONTROLLER;
	return leg_frame(w, w->link.leg, type, fields, msg) < 0 ? -ERR_NO_CONTROLLER : 0;
}

void
link_agent_up(struct worker *w, struct leg *l)
{
	engawa_AgentUp up = {.build = l->build, .agent_id.size = 16, .instance.size = 16};
	memcpy(up.agent_id.bytes, l->agent.id, 16);
	memcpy(up.instance.bytes, l->agent.instance, 16);
	address_text(&l->address, up.address);
	l->announced = link_send(w, engawa_LinkType_LINK_AGENT_UP, engawa_AgentUp_fields, &up) == 0;
}

void
link_agent_down(struct worker *w, const struct leg *l, int code)
{
	engawa_AgentDown down = {.code = (uint32_t)(code < 0 ? -code : code),
		.agent_id.size = 16,
		.instance.size = 16};
	if (!l->announced)
		return;
	memcpy(down.agent_id.bytes, l->agent.id, 16);
	memcpy(down.instance.bytes, l->agent.instance, 16);
	link_send(w, engawa_LinkType_LINK_AGENT_DOWN, engawa_AgentDown_fields, &down);
}

void
link_session_up(struct worker *w, struct session *s)
{
	engawa_SessionUp up = {.started_s = s->started_s,
		.browser = s->browser,
		.session_id.size = 16,
		.agent_id.size = 16};
	memcpy(up.session_id.bytes, s->id, 16);
	memcpy(up.agent_id.bytes, s->agent_id, 16);
	address_text(&s->client->address, up.client_address);
	str_copy(up.organisation, sizeof up.organisation, s->organisation);
	s->announced =
		link_send(w, engawa_LinkType_LINK_SESSION_UP, engawa_SessionUp_fields, &up) == 0;
}

void
link_session_down(struct worker *w, const struct session *s, int code)
{
	engawa_SessionDown down = {.bytes_to_client = s->to_client,
		.bytes_to_agent = s->to_agent,
		.code = (uint32_t)(code < 0 ? -code : code),
		.session_id.size = 16};
	if (!s->announced)
		return;
	memcpy(down.session_id.bytes, s->id, 16);
	link_send(w, engawa_LinkType_LINK_SESSION_DOWN, engawa_SessionDown_fields, &down);
}

/* In pieces, each when the one before has left: telling of twenty thousand agents takes no queue of
 * that size. */
void
link_announce(struct worker *w)
{
	struct presence *p = &w->presence;
	struct sessions *s = &w->sessions;
	while (w->link.telling && link_up(w) && w->link.leg->out.len < LINK_ANNOUNCE_BYTES) {
		if (p->announced_to <= p->mask) {
			for (struct leg *l = p->buckets[p->announced_to++]; l; l = l->agent.next)
				if (!l->announced)
					link_agent_up(w, l);
		} else if (s->announced_to <= s->mask) {
			for (struct session *at = s->buckets[s->announced_to++]; at; at = at->next)
				if (at->agent && !at->announced)
					link_session_up(w, at);
		} else {
			w->link.telling = 0;
		}
	}
}

static int
take_welcome(struct worker *w, const uint8_t *payload, size_t len, engawa_LinkWelcome *ret_welcome)
{
	engawa_LinkWelcome welcome;
	int r = frame_decode(engawa_LinkWelcome_fields, &welcome, payload, len);
	if (r < 0)
		return r;
	for (size_t i = 0; i < welcome.ticket_keys_count; i++)
		if (welcome.ticket_keys[i].public_key.size != SIGN_POINT_BYTES)
			return -ERR_PROTOCOL;
	for (size_t i = 0; i < welcome.denied_count; i++)
		if (welcome.denied[i].size != 16)
			return -ERR_PROTOCOL;
	w->ticket_keys.count = welcome.ticket_keys_count;
	for (size_t i = 0; i < welcome.ticket_keys_count; i++)
		memcpy(w->ticket_keys.points[i], welcome.ticket_keys[i].public_key.bytes,
			SIGN_POINT_BYTES);
	presence_allow_all(&w->presence);
	for (size_t i = 0; i < welcome.denied_count; i++) {
		struct tell_deny deny = {.code = ERR_SUSPENDED};
		memcpy(deny.agent_id, welcome.denied[i].bytes, sizeof deny.agent_id);
		presence_deny(w, &deny);
	}
	*ret_welcome = welcome;
	return 0;
}

int
link_welcome(struct worker *w, const uint8_t *payload, size_t len)
{
	engawa_LinkWelcome welcome;
	return take_welcome(w, payload, len, &welcome);
}

static void
forget_announced(struct worker *w)
{
	for (size_t i = 0; i <= w->presence.mask; i++)
		for (struct leg *l = w->presence.buckets[i]; l; l = l->agent.next)
			l->announced = 0;
	for (size_t i = 0; i <= w->sessions.mask; i++)
		for (struct session *s = w->sessions.buckets[i]; s; s = s->next)
			s->announced = 0;
	w->presence.announced_to = w->sessions.announced_to = 0;
	w->link.telling = 1;
}

/* Certificates and tickets are judged by this machine's clock, and made by the controller's. */
static void
compare_clocks(uint64_t controller_s)
{
	int64_t ahead_s = (int64_t)(wall_s() - controller_s);
	if (controller_s && (ahead_s > CLOCK_OFF_S || ahead_s < -CLOCK_OFF_S))
		LOG(WARN, "gate.clock", F_INT("ahead_s", ahead_s), F_ERR("code", ERR_CLOCK));
}

/* The parent compares what the workers say (said.h): the keys, the same for all. */
static void
tell_parent(struct worker *w, const uint8_t *payload, size_t len)
{
	engawa_LinkWelcome welcome, keys = engawa_LinkWelcome_init_zero;
	uint8_t out[engawa_LinkWelcome_size];
	pb_ostream_t stream = pb_ostream_from_buffer(out, sizeof out);
	if (frame_decode(engawa_LinkWelcome_fields, &welcome, payload, len) < 0)
		return;
	keys.ticket_keys_count = welcome.ticket_keys_count;
	memcpy(keys.ticket_keys, welcome.ticket_keys, sizeof keys.ticket_keys);
	if (pb_encode(&stream, engawa_LinkWelcome_fields, &keys))
		worker_tell(w, TELL_WELCOME, out, stream.bytes_written);
	for (size_t i = 0; i < welcome.denied_count; i++) {
		struct tell_deny deny = {.code = ERR_SUSPENDED};
		memcpy(deny.agent_id, welcome.denied[i].bytes, sizeof deny.agent_id);
		worker_tell(w, TELL_DENY, &deny, sizeof deny);
	}
}

int
link_on_welcome(struct worker *w, struct leg *l, const uint8_t *payload, size_t len)
{
	int first = l->state == LEG_HELLO;
	engawa_LinkWelcome welcome;
	int r = take_welcome(w, payload, len, &welcome);
	if (r < 0)
		return r;
	compare_clocks(welcome.now_s);
	tell_parent(w, payload, len);
	if (!first)
		return 0;
	l->state = LEG_READY;
	wheel_clear(&l->timer); /* link_tick watches it from here on */
	w->link.wait_ms = LINK_RETRY_FIRST_MS;
	forget_announced(w);
	share_begin(w, welcome.divides);
	LOG(INFO, "link.up", F_INT("ticket_keys", w->ticket_keys.count),
		F_INT("denied", w->presence.denied_count), F_INT("agents", w->presence.count),
		F_INT("sessions", w->sessions.count));
	return 0;
}
