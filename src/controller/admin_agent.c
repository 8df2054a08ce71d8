/* Agents and sessions, as the engawa command sees them. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "controller/admin_call.h"
#include "controller/link.h"
#include "controller/server.h"
#include "crypto/terminal.h"

struct ending {
	struct call *call;
	const uint8_t *agent; /* or NULL: */
	const char *org;
};

static void
end_session(void *user, const struct presence_session *session)
{
	struct ending *e = user;
	char id[2 * PRESENCE_ID_BYTES + 1];
	if (e->agent ? memcmp(session->agent, e->agent, sizeof session->agent) != 0
		     : strcmp(session->organisation, e->org) != 0)
		return;
	str_hex(id, session->id, sizeof session->id);
	trail_add(e->call->core->trail, e->call->actor, "session.end", id, "");
	link_end_session(e->call->core, session, ERR_ENDED_BY_ADMIN);
}

static void
end_agent(void *user, const struct store_agent *agent)
{
	struct call *call = user;
	link_end_agent(call->core, agent->id, ERR_ENDED_BY_ADMIN);
	presence_session_waits(call->core->presence, agent->id, NULL);
}

void
admin_end_sessions(struct call *call, const uint8_t *agent, const char *org)
{
	struct ending ending = {call, agent, org};
	presence_sessions(call->core->presence, wall_s(), end_session, &ending);
	/* and those that no gate has at the moment */
	if (agent)
		presence_session_waits(call->core->presence, agent, NULL);
	if (org)
		store_agents(call->core->store, org, 1u << STORE_ACTIVE, end_agent, call);
}

struct agent_list {
	struct core *core;
	json_t *array;
};

static json_t *
agent_json(struct core *core, const struct store_agent *agent)
{
	char terminal[TERMINAL_ID_TEXT_SIZE];
	struct link *links[PRESENCE_GATES_MAX];
	size_t count = presence_links(core->presence, agent->id, links);
	json_t *gates = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(gates, json_string(link_gate(links[i])));
	terminal_id_format(agent->terminal, terminal);
	return json_pack("{s:o, s:o, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:o}", "id",
		admin_hex(agent->id, sizeof agent->id), "agent_key",
		admin_hex(agent->key, sizeof agent->key), "org", agent->org, "terminal_id",
		terminal, "computer", agent->computer, "state", store_state_name(agent->state),
		"serial", agent->serial, "cert_expires_s", (json_int_t)agent->cert_expires_s,
		"created_s", (json_int_t)agent->created_s, "code", (json_int_t)agent->code, "gates",
		gates);
}

static void
add_agent(void *user, const struct store_agent *agent)
{
	struct agent_list *list = user;
	json_array_append_new(list->array, agent_json(list->core, agent));
}

int
admin_list_agents(struct call *call)
{
	const char *state = server_query(call->request, "state");
	unsigned mask = 0;
	for (int i = STORE_PENDING; i <= STORE_RETIRED; i++)
		if (!state || strcmp(state, store_state_name((enum store_state)i)) == 0)
			mask |= 1u << i;
	call->reply = json_array();
	struct agent_list list = {call->core, call->reply};
	return store_agents(
		call->core->store, server_query(call->request, "org"), mask, add_agent, &list);
}

/* By 32 hex digits or by terminal ID. */
static int
find_agent(struct call *call, struct store_agent *ret_agent)
{
	uint8_t id[STORE_ID_BYTES];
	char terminal[TERMINAL_ID_SIZE];
	if (strlen(call->id) == 2 * sizeof id && str_unhex(call->id, id, sizeof id) == 0)
		return store_agent_get(call->core->store, id, ret_agent);
	int r = terminal_id_parse(call->id, terminal);
	return r < 0 ? -ERR_NOT_FOUND
		     : store_agent_by_terminal(call->core->store, terminal, ret_agent);
}

int
admin_show_agent(struct call *call)
{
	struct store_agent agent;
	int r = find_agent(call, &agent);
	if (r == 0)
		call->reply = agent_json(call->core, &agent);
	return r;
}

enum {
	PENDING = 1u << STORE_PENDING,
	ACTIVE = 1u << STORE_ACTIVE,
	SUSPENDED = 1u << STORE_SUSPENDED
};

static const struct {
	const char *action;
	unsigned from_mask;
	enum store_state to;
	int code; /* that gates refuse it with; 0 = they may take it again */
} moves[] = {
	{"approve", PENDING, STORE_ACTIVE, 0},
	{"suspend", PENDING | ACTIVE, STORE_SUSPENDED, ERR_SUSPENDED},
	{"resume", SUSPENDED, STORE_ACTIVE, 0},
	{"retire", PENDING | ACTIVE | SUSPENDED, STORE_RETIRED, ERR_AGENT_RETIRED},
};

int
admin_move_agent(struct call *call)
{
	struct store_agent agent;
	size_t i = 0;
	while (i < sizeof moves / sizeof moves[0] && strcmp(moves[i].action, call->action) != 0)
		i++;
	if (i == sizeof moves / sizeof moves[0])
		return -ERR_NOT_FOUND;
	int r = find_agent(call, &agent);
	if (r == 0)
		r = store_agent_move(
			call->core->store, agent.id, moves[i].from_mask, moves[i].to, call->actor);
	if (r < 0)
		return r;
	link_deny_all(call->core, agent.id, moves[i].code);
	if (moves[i].code) {
		admin_end_sessions(call, agent.id, NULL);
	}
	return 0;
}

static void
add_session(void *user, const struct presence_session *s)
{
	json_array_append_new(user,
		json_pack("{s:o, s:o, s:s, s:s, s:I, s:b, s:s, s:s}", "id",
			admin_hex(s->id, sizeof s->id), "agent",
			admin_hex(s->agent, sizeof s->agent), "org", s->organisation,
			"client_address", s->client_address, "started_s", (json_int_t)s->started_s,
			"browser", s->browser, "gate", s->link ? link_gate(s->link) : "", "state",
			s->link ? "up" : "waiting"));
}

int
admin_list_sessions(struct call *call)
{
	call->reply = json_array();
	presence_sessions(call->core->presence, wall_s(), add_session, call->reply);
	return 0;
}

int
admin_stop_session(struct call *call)
{
	uint8_t id[PRESENCE_ID_BYTES];
	if (str_unhex(call->id, id, sizeof id) < 0 || strlen(call->id) != 2 * sizeof id)
		return -ERR_NOT_FOUND;
	const struct presence_session *session =
		presence_session(call->core->presence, id, wall_s());
	if (!session)
		return -ERR_NOT_FOUND;
	struct presence *presence = call->core->presence;
	int waits = !session->link;
	uint8_t agent[PRESENCE_ID_BYTES];
	memcpy(agent, session->agent, sizeof agent);
	trail_add(call->core->trail, call->actor, "session.end", call->id, "");
	/* what its office PC says then may come to a gate that has just lost us */
	if (link_end_session(call->core, session, ERR_ENDED_BY_ADMIN) > 0 && waits)
		presence_session_waits(presence, agent, NULL);
	return 0;
}
