#include "gate/presence.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "gate/blame.h"
#include "gate/order.h"
#include "gate/worker.h"
#include "link.pb.h"

void
presence_init(struct presence *p, size_t agents)
{
	size_t size = 64;
	while (size < agents)
		size *= 2;
	*p = (struct presence){.mask = size - 1};
	p->buckets = mem_new(size * sizeof(struct leg *));
}

void
presence_fini(struct presence *p)
{
	free(p->buckets);
	free(p->denied);
	*p = (struct presence){0};
}

/* Ids come from certificates that the controller issued, with random ids: nobody can choose a
 * bucket. */
static struct leg **
bucket(struct presence *p, const uint8_t id[static 16])
{
	uint32_t hash;
	memcpy(&hash, id, sizeof hash);
	return &p->buckets[hash & p->mask];
}

struct leg *
presence_find(struct worker *w, const uint8_t agent_id[static 16])
{
	struct leg *l = *bucket(&w->presence, agent_id);
	while (l && memcmp(l->agent.id, agent_id, 16) != 0)
		l = l->agent.next;
	return l;
}

/* The next look at this agent: its ping, spread by a tenth so that agents who came together do not
 * stay together. */
static void
set_due(struct worker *w, struct leg *l)
{
	wheel_tick period = wheel_ticks(w->settings.keepalive_s), spread = period / 5 + 1;
	wheel_tick jitter = (l->serial * 2654435761u + w->now * 40503u) % spread;
	wheel_set(&w->wheel, &l->timer, w->now + period - period / 10 + jitter);
}

static int
send_welcome(struct worker *w, struct leg *l)
{
	engawa_Welcome welcome = {.keepalive_s = (uint32_t)w->settings.keepalive_s,
		.silence_s = (uint32_t)w->settings.silence_s,
		.time_s = wall_s()};
	size_t max = sizeof welcome.sites / sizeof welcome.sites[0];
	for (size_t i = 0; i < w->settings.sites.count && i < max; i++)
		if (str_copy(welcome.sites[welcome.sites_count], sizeof welcome.sites[0],
			    w->settings.sites.items[i]) == 0)
			welcome.sites_count++;
	return leg_frame(w, l, engawa_OuterType_OUTER_WELCOME, engawa_Welcome_fields, &welcome);
}

static void
replace(struct worker *w, struct leg *old, const uint8_t instance[static 16])
{
	int clone = memcmp(old->agent.instance, instance, 16) != 0;
	uint64_t silent_ms = (uint64_t)(w->now - old->heard) * WHEEL_TICK_MS;
	/* a restarted computer looks the same, once: two that take turns are the clone */
	if (clone)
		LOG(WARN, "agent.clone", F_AGENT(old->agent.id), F_INT("silent_ms", silent_ms));
	else
		LOG(INFO, "agent.replaced", F_AGENT(old->agent.id), F_INT("silent_ms", silent_ms));
	leg_bye(w, old, clone ? -ERR_TAKEN_OVER : -ERR_CLOSED);
}

void
presence_taken(struct worker *w, const struct tell_place *place)
{
	struct leg *old = presence_find(w, place->id);
	if (old && old->serial == place->serial)
		replace(w, old, place->instance);
}

static void
tell_place(struct worker *w, enum tell type, const struct leg *l)
{
	struct tell_place place = {.kind = TELL_AGENT, .serial = l->serial};
	memcpy(place.id, l->agent.id, sizeof place.id);
	memcpy(place.instance, l->agent.instance, sizeof place.instance);
	if (w->seat.seats > 1)
		worker_tell(w, (uint16_t)type, &place, sizeof place);
}

void
presence_attach(struct worker *w, struct leg *l)
{
	struct leg **at = bucket(&w->presence, l->agent.id);
	l->agent.next = *at;
	*at = l;
	w->presence.count++;
	quota_count(w, l->share, QUOTA_AGENTS, 1);
}

void
presence_detach(struct worker *w, struct leg *l)
{
	struct leg **at = bucket(&w->presence, l->agent.id);
	while (*at && *at != l)
		at = &(*at)->agent.next;
	if (!*at)
		return;
	*at = l->agent.next;
	w->presence.count--;
	quota_count(w, l->share, QUOTA_AGENTS, -1);
}

void
presence_arrive(struct worker *w, struct leg *l)
{
	presence_attach(w, l);
	tell_place(w, TELL_PUT, l);
	link_agent_up(w, l);
	if (!l->timer.next)
		set_due(w, l);
	move_go_on(w, l);
}

void
presence_enter(struct worker *w, struct leg *l, const uint8_t agent_id[static 16],
	const uint8_t instance[static 16])
{
	char address[ADDRESS_TEXT_SIZE];
	struct leg *old = presence_find(w, agent_id);
	if (old)
		replace(w, old, instance);
	memcpy(l->agent.id, agent_id, sizeof l->agent.id);
	memcpy(l->agent.instance, instance, sizeof l->agent.instance);
	presence_attach(w, l);
	tell_place(w, TELL_PUT, l);
	address_text(&l->address, address);
	LOG(INFO, "agent.up", F_AGENT(agent_id), F_STR("address", address),
		F_INT("build", l->build), F_INT("agents", w->presence.count));
	link_agent_up(w, l);
	if (send_welcome(w, l) == 0)
		set_due(w, l);
}

void
presence_leave(struct worker *w, struct leg *l, int code)
{
	size_t before = w->presence.count;
	presence_detach(w, l);
	if (w->presence.count == before)
		return;
	tell_place(w, TELL_DROP, l);
	LOG(INFO, "agent.down", F_AGENT(l->agent.id), F_ERR("code", code),
		F_INT("agents", w->presence.count));
	link_agent_down(w, l, code);
}

void
presence_due(struct worker *w, struct leg *l)
{
	const engawa_Ping ping = {.id = w->now};
	if (w->now - l->heard >= wheel_ticks(w->settings.silence_s)) {
		leg_bye(w, l, -ERR_TIMEOUT);
		return;
	}
	if (leg_frame(w, l, engawa_OuterType_OUTER_PING, engawa_Ping_fields, &ping) < 0)
		return;
	set_due(w, l);
	/* silence must not wait for the next ping */
	wheel_tick end = l->heard + wheel_ticks(w->settings.silence_s);
	if ((int32_t)(l->timer.due - end) > 0)
		wheel_set(&w->wheel, &l->timer, end);
}

void
presence_ended(struct worker *w, const uint8_t agent_id[static 16], const uint8_t *session_id,
	uint32_t code)
{
	engawa_Ended ended = {.code = code, .session_id.size = session_id ? 16 : 0};
	struct leg *l = presence_find(w, agent_id);
	if (session_id)
		memcpy(ended.session_id.bytes, session_id, 16);
	if (l)
		leg_frame(w, l, engawa_OuterType_OUTER_ENDED, engawa_Ended_fields, &ended);
}

void
presence_goaway(struct worker *w, int code)
{
	enum {
		SPREAD_MS = 10000
	};
	for (size_t i = 0; i <= w->presence.mask; i++) {
		struct leg *next;
		for (struct leg *l = w->presence.buckets[i]; l; l = next) {
			engawa_Goaway goaway = {.code = (uint32_t)code,
				.after_ms = l->serial * 2654435761u % SPREAD_MS};
			next = l->agent.next;
			leg_frame(
				w, l, engawa_OuterType_OUTER_GOAWAY, engawa_Goaway_fields, &goaway);
		}
	}
}

uint32_t
presence_denied(const struct presence *p, const uint8_t agent_id[static 16])
{
	for (size_t i = 0; i < p->denied_count; i++)
		if (memcmp(p->denied[i].agent_id, agent_id, 16) == 0)
			return p->denied[i].code;
	return 0;
}

static int
denied_add(struct presence *p, const struct tell_deny *deny)
{
	if (presence_denied(p, deny->agent_id))
		return 0;
	if (p->denied_count == p->denied_cap) {
		size_t cap = p->denied_cap ? p->denied_cap * 2 : 64;
		struct tell_deny *list = cap <= PRESENCE_DENIED_MAX
						 ? mem_resize(p->denied, cap, sizeof *list)
						 : NULL;
		if (!list)
			return -ERR_TOO_MANY;
		p->denied = list;
		p->denied_cap = cap;
	}
	p->denied[p->denied_count++] = *deny;
	return 0;
}

void
presence_deny(struct worker *w, const struct tell_deny *deny)
{
	struct tell_deny d = *deny;
	if (d.code == 0)
		d.code = ERR_SUSPENDED;
	/* refused now in any case; when the list is full the controller is the one who keeps it out
	 */
	if (denied_add(&w->presence, &d) < 0)
		LOG(ERROR, "agent.deny", F_AGENT(d.agent_id), F_ERR("code", ERR_TOO_MANY));
	presence_ended(w, d.agent_id, NULL, d.code);
	sessions_end_agent(w, d.agent_id, -(int)d.code);
	struct leg *l = presence_find(w, d.agent_id);
	if (l)
		leg_bye(w, l, -(int)d.code);
}

void
presence_allow(struct worker *w, const uint8_t agent_id[static 16])
{
	struct presence *p = &w->presence;
	for (size_t i = 0; i < p->denied_count; i++) {
		if (memcmp(p->denied[i].agent_id, agent_id, 16) == 0) {
			p->denied[i] = p->denied[--p->denied_count];
			return;
		}
	}
}

void
presence_allow_all(struct presence *p)
{
	p->denied_count = 0;
}

/* Any byte counts as life: leg_read has noted it. */
int
presence_on_pong(struct worker *w, struct leg *l, const uint8_t *payload, size_t len)
{
	engawa_Pong pong;
	(void)w, (void)l;
	return frame_decode(engawa_Pong_fields, &pong, payload, len);
}

int
presence_on_refuse(struct worker *w, struct leg *l, const uint8_t *payload, size_t len)
{
	engawa_Refuse refuse;
	int r = frame_decode(engawa_Refuse_fields, &refuse, payload, len);
	if (r < 0 || refuse.session_id.size != 16 || !err_find((int)refuse.code))
		return -ERR_PROTOCOL;
	struct tell_refuse told = {.code = refuse.code};
	memcpy(told.session_id, refuse.session_id.bytes, sizeof told.session_id);
	memcpy(told.agent_id, l->agent.id, sizeof told.agent_id);
	session_refuse(w, &told);
	return 0;
}

int
presence_on_send_code(struct worker *w, struct leg *l, const uint8_t *payload, size_t len)
{
	engawa_LinkSendCode msg = {.has_send_code = true, .agent_id.size = 16};
	int r = frame_decode(engawa_SendCode_fields, &msg.send_code, payload, len);
	if (r < 0 || msg.send_code.session_id.size != 16)
		return -ERR_PROTOCOL;
	const uint8_t *id = msg.send_code.session_id.bytes;
	memcpy(msg.agent_id.bytes, l->agent.id, 16);
	r = request_new(w, l, REQUEST_SEND_CODE, id, &msg.request);
	if (r < 0)
		request_refuse(w, l, REQUEST_SEND_CODE, id, r);
	else
		link_send(w, engawa_LinkType_LINK_SEND_CODE, engawa_LinkSendCode_fields, &msg);
	return 0;
}

/* The next certificate of an agent that has one: without a code, which is for those who have none.
 */
int
presence_on_renew(struct worker *w, struct leg *l, const uint8_t *payload, size_t len)
{
	engawa_LinkEnrol msg = {.has_enrol = true};
	int r = frame_decode(engawa_Enrol_fields, &msg.enrol, payload, len);
	if (r < 0 || msg.enrol.code[0])
		return -ERR_PROTOCOL;
	address_text(&l->address, msg.address);
	r = request_new(w, l, REQUEST_RENEW, NULL, &msg.request);
	if (r < 0)
		request_refuse(w, l, REQUEST_RENEW, NULL, r);
	else
		link_send(w, engawa_LinkType_LINK_ENROL, engawa_LinkEnrol_fields, &msg);
	return 0;
}

/* Nobody answers it: it counts against the office PC's certificate, as a new connection does. */
int
presence_on_session_waits(struct worker *w, struct leg *l, const uint8_t *payload, size_t len)
{
	engawa_LinkSessionWaits msg = {.agent_id.size = 16, .has_waits = true};
	int r = frame_decode(engawa_SessionWaits_fields, &msg.waits, payload, len);
	if (r < 0 || (msg.waits.session_id.size != 16 && msg.waits.session_id.size != 0))
		return -ERR_PROTOCOL;
	memcpy(msg.agent_id.bytes, l->agent.id, 16);
	blame_agent(w, l->agent.id);
	r = blame_ask_agent(w, l->agent.id);
	if (r == 0)
		link_send(w, engawa_LinkType_LINK_SESSION_WAITS, engawa_LinkSessionWaits_fields,
			&msg);
	return r;
}
