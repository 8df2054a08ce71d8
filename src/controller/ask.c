#include "controller/ask.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "controller/link.h"
#include "controller/network.h"
#include "crypto/terminal.h"
#include "crypto/ticket.h"

enum {
	PENDING_MAX = 8192,
	HASH_BYTES = 32,
	NS_PER_MS = 1000000
};

struct ask {
	struct ask *next, **link;
	struct core *core;
	struct timer *timer;
	struct mono start;
	uint64_t origin;
	engawa_LinkGrant grant;
};

static void
ask_free(struct ask *ask)
{
	*ask->link = ask->next;
	if (ask->next)
		ask->next->link = ask->link;
	ask->core->pending_count--;
	timer_free(ask->timer);
	free(ask);
}

static void
on_due(void *user)
{
	struct ask *ask = user;
	core_grant(ask->core, ask->origin, &ask->grant);
	ask_free(ask);
}

void
ask_cancel_all(struct core *core)
{
	while (core->pending)
		ask_free(core->pending);
}

/* A stand-in where there is no agent: its ticket is signed too and thrown away. */
static void
stand_in(struct store_agent *agent)
{
	*agent = (struct store_agent){.org = "organisation", .state = STORE_ACTIVE};
	if (RAND_bytes(agent->id, sizeof agent->id) != 1)
		memset(agent->id, 0xff, sizeof agent->id);
}

static void
fill_body(engawa_TicketBody *body, const struct store_agent *agent, const engawa_LinkAsk *ask,
	uint64_t now_s)
{
	body->session_id.size = PRESENCE_ID_BYTES;
	memcpy(body->agent_id.bytes, agent->id, body->agent_id.size = sizeof agent->id);
	memcpy(body->agent_key.bytes, agent->key, body->agent_key.size = sizeof agent->key);
	body->device_hash.size = ask->ask.device_hash.size;
	memcpy(body->device_hash.bytes, ask->ask.device_hash.bytes, body->device_hash.size);
	(void)str_copy(body->client_address, sizeof body->client_address, ask->address);
	(void)str_copy(body->organisation, sizeof body->organisation, agent->org);
	body->prefecture = agent->prefecture;
	body->rate_class = agent->weight;
	body->issued_s = now_s;
	body->not_after_s = now_s + TICKET_LIFE_S;
}

static void
fill_gates(struct core *core, engawa_TicketBody *body, const struct store_agent *agent)
{
	struct link *links[PRESENCE_GATES_MAX];
	size_t count = presence_links(core->presence, agent->id, links);
	for (size_t i = 0; i < count; i++) {
		const char *gate = link_gate(links[i]);
		size_t at = 0;
		while (at < body->gates_count && strcmp(body->gates[at], gate) != 0)
			at++;
		if (at == body->gates_count)
			(void)str_copy(
				body->gates[body->gates_count++], sizeof body->gates[0], gate);
	}
}

/* Why this one would get no ticket; the log has it, the asker does not. */
static int
refusal(const struct store_agent *agent, int known, int online)
{
	if (!known)
		return -ERR_NOT_FOUND;
	if (agent->state == STORE_PENDING)
		return -ERR_PENDING;
	if (agent->state != STORE_ACTIVE || agent->org_suspended)
		return -ERR_SUSPENDED;
	return online ? 0 : -ERR_UNREACHABLE;
}

/* 0 with a ticket, or why not. The same steps are taken either way. */
static int
decide(struct core *core, const engawa_LinkAsk *ask, engawa_Grant *grant)
{
	char id[TERMINAL_ID_SIZE];
	struct store_agent agent;
	engawa_TicketBody body = engawa_TicketBody_init_zero;
	uint64_t now_s = wall_s();
	size_t len = 0;
	int r = authority_clock(core->authority, now_s);
	if (r == 0)
		r = terminal_id_parse(ask->ask.terminal_id, id);
	if (r < 0)
		return r;
	int found = store_agent_by_terminal(core->store, id, &agent);
	mem_wipe(id, sizeof id);
	if (found < 0 && found != -ERR_NOT_FOUND)
		return found;
	if (found < 0)
		stand_in(&agent);
	fill_body(&body, &agent, ask, now_s);
	fill_gates(core, &body, &agent);
	int why = refusal(&agent, found == 0, body.gates_count > 0);
	if (body.gates_count == 0)
		(void)str_copy(body.gates[body.gates_count++], sizeof body.gates[0], "none");
	if (RAND_bytes(body.session_id.bytes, PRESENCE_ID_BYTES) != 1)
		return -ERR_INTERNAL;
	r = authority_ticket(
		core->authority, &body, grant->ticket.bytes, sizeof grant->ticket.bytes, &len);
	if (r < 0 || why < 0)
		mem_wipe(grant->ticket.bytes, sizeof grant->ticket.bytes);
	else
		presence_issued(core->presence, body.session_id.bytes, agent.id, now_s);
	grant->ticket.size = (pb_size_t)(r < 0 || why < 0 ? 0 : len);
	uint32_t held = 0;
	if ((why == 0 && r == 0) || log_limit_pass(&core->ask_log, &held))
		LOG(INFO, "ask", F_ERR("result", why < 0 ? why : r),
			F_HEX("agent", agent.id, found == 0 ? sizeof agent.id : 0),
			F_HEX("session", body.session_id.bytes, why < 0 ? 0u : PRESENCE_ID_BYTES),
			F_STR("from", ask->address), F_INT("held", held));
	return why < 0 ? -ERR_UNREACHABLE : r < 0 ? -ERR_INTERNAL : 0;
}

static void
refuse_now(struct core *core, uint64_t origin, const engawa_LinkAsk *ask, int code)
{
	engawa_LinkGrant grant = {.request = ask->request, .has_grant = true};
	grant.grant.code = (uint32_t)abs(code);
	core_grant(core, origin, &grant);
}

/* The first free point of the grid that began with the question. Both ends are whole milliseconds
 * of the one clock that timers count by, so what the work took leaves no trace, not even in a
 * fraction. */
static uint64_t
until_due_ms(struct mono start)
{
	uint64_t start_ms = start.ns / NS_PER_MS, now_ms = mono_now().ns / NS_PER_MS;
	uint64_t points = (now_ms - start_ms) / ASK_QUANTUM_MS + 1;
	return start_ms + points * ASK_QUANTUM_MS + 1 - now_ms;
}

void
ask_start(struct core *core, uint64_t origin, const engawa_LinkAsk *ask)
{
	uint8_t source[LIMIT_KEY_BYTES];
	struct mono start = mono_now();
	network_source(ask->address, source);
	if (!ask->has_ask || ask->ask.device_hash.size != HASH_BYTES) {
		refuse_now(core, origin, ask, -ERR_PROTOCOL);
		return;
	}
	if (!limit_take(core->asks, source, start)) {
		refuse_now(core, origin, ask, -ERR_LIMIT);
		return;
	}
	if (core->pending_count >= PENDING_MAX) {
		refuse_now(core, origin, ask, -ERR_TOO_MANY);
		return;
	}
	struct ask *pending = mem_new(sizeof *pending);
	pending->core = core;
	pending->origin = origin;
	pending->grant.request = ask->request;
	pending->grant.has_grant = true;
	pending->grant.grant.code = (uint32_t)-decide(core, ask, &pending->grant.grant);
	pending->link = &core->pending;
	pending->next = core->pending;
	if (pending->next)
		pending->next->link = &pending->next;
	core->pending = pending;
	core->pending_count++;
	pending->timer = timer_new(core->loop, on_due, pending);
	timer_start(pending->timer, until_due_ms(start), 0);
}
