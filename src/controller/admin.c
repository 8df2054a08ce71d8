#include "controller/admin.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "controller/enrol.h"
#include "controller/link.h"
#include "controller/network.h"
#include "controller/server.h"
#include "crypto/terminal.h"

enum {
	BODY_MAX_BYTES = 65536,
	CONNECTIONS_MAX = 64,
	REQUEST_S = 30,
	HOUR_S = 3600,
	HOURS_MAX = 24 * 366,
	COUNT_MAX = 100000,
	QUOTA_MAX = 1000000,
	PREFECTURE_MAX = 47, /* JIS X 0401 */
	EVENTS_LIMIT_MAX = 10000,
};

/* What a handler sees. Its result is 0 or the failure; reply is what it fills. */
struct call {
	struct core *core;
	const struct server_request *request;
	const char *id;     /* second part of the path, NULL */
	const char *action; /* third part */
	json_t *body;       /* an object, NULL for GET */
	json_t *reply;
	const char *actor;
	char detail[160];
};

static int
bad(struct call *call, const char *detail)
{
	(void)str_copy(call->detail, sizeof call->detail, detail);
	return -ERR_SETTING;
}

static const char *
get_text(const struct call *call, const char *name)
{
	return json_string_value(json_object_get(call->body, name));
}

/* Missing gives the fallback. */
static int
get_int(struct call *call, const char *name, int64_t fallback, int64_t min, int64_t max,
	int64_t *ret)
{
	json_t *value = json_object_get(call->body, name);
	int64_t n = value ? json_integer_value(value) : fallback;
	if ((value && !json_is_integer(value)) || n < min || n > max)
		return bad(call, name);
	*ret = n;
	return 0;
}

static json_t *
hex_json(const uint8_t *bytes, size_t len)
{
	char hex[2 * 32 + 1];
	str_hex(hex, bytes, len);
	return json_string(hex);
}

static int
name_ok(const char *s, size_t size)
{
	return s && *s && strlen(s) < size && str_printable(s) && str_utf8(s, strlen(s));
}

static int
org_id_ok(const char *s)
{
	return s && *s && strlen(s) < STORE_ORG_SIZE &&
	       !s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-")];
}

static void
add_org(void *user, const struct store_org *org)
{
	json_array_append_new(
		user, json_pack("{s:s, s:s, s:i, s:i, s:i, s:b, s:I}", "id", org->id, "name",
			      org->name, "prefecture", (int)org->prefecture, "quota",
			      (int)org->quota, "agents", (int)org->agents, "suspended",
			      org->suspended, "created_s", (json_int_t)org->created_s));
}

static int
list_orgs(struct call *call)
{
	call->reply = json_array();
	return store_orgs(call->core->store, add_org, call->reply);
}

static int
create_org(struct call *call)
{
	struct store_org org = {.created_s = wall_s()};
	const char *id = get_text(call, "id"), *name = get_text(call, "name");
	int64_t prefecture, quota = 0;
	if (!org_id_ok(id))
		return bad(call, "id");
	if (!name_ok(name, sizeof org.name))
		return bad(call, "name");
	int r = get_int(call, "prefecture", 0, 0, PREFECTURE_MAX, &prefecture);
	if (r == 0)
		r = get_int(call, "quota", 100, 0, QUOTA_MAX, &quota);
	if (r < 0)
		return r;
	(void)str_copy(org.id, sizeof org.id, id);
	(void)str_copy(org.name, sizeof org.name, name);
	org.prefecture = (uint32_t)prefecture;
	org.quota = (uint32_t)quota;
	return store_org_create(call->core->store, &org, call->actor);
}

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
	link_end_session(session->link, session->id, ERR_ENDED_BY_ADMIN);
}

static int
change_org(struct call *call)
{
	struct store_org org;
	int64_t quota = 0;
	json_t *suspended = json_object_get(call->body, "suspended");
	int r = store_org_get(call->core->store, call->id, &org);
	if (r == 0)
		r = get_int(call, "quota", org.quota, 0, QUOTA_MAX, &quota);
	if (r == 0 && suspended && !json_is_boolean(suspended))
		r = bad(call, "suspended");
	if (r < 0)
		return r;
	int now = suspended ? json_is_true(suspended) : org.suspended;
	r = store_org_change(call->core->store, call->id, (uint32_t)quota, now, call->actor);
	if (r == 0 && now && !org.suspended) {
		struct ending ending = {call, NULL, call->id};
		presence_sessions(call->core->presence, end_session, &ending);
	}
	return r;
}

static void
add_code(void *user, const struct store_code *code)
{
	json_array_append_new(
		user, json_pack("{s:I, s:s, s:i, s:i, s:I, s:I, s:s, s:b, s:b}", "id",
			      (json_int_t)code->id, "org", code->org, "count", (int)code->count,
			      "used", (int)code->used, "created_s", (json_int_t)code->created_s,
			      "expires_s", (json_int_t)code->expires_s, "networks", code->networks,
			      "approve", code->approve, "revoked", code->revoked));
}

static int
list_codes(struct call *call)
{
	call->reply = json_array();
	return store_codes(
		call->core->store, server_query(call->request, "org"), add_code, call->reply);
}

static int
create_code(struct call *call)
{
	struct store_code code = {.created_s = wall_s()};
	const char *org = get_text(call, "org"), *networks = get_text(call, "networks");
	char text[ENROL_CODE_SIZE];
	uint8_t hash[STORE_HASH_BYTES];
	int64_t count, hours = 0;
	if (!org_id_ok(org))
		return bad(call, "org");
	if (networks && (network_list_check(networks) < 0 ||
				str_copy(code.networks, sizeof code.networks, networks) < 0))
		return bad(call, "networks");
	int r = get_int(call, "count", 1, 1, COUNT_MAX, &count);
	if (r == 0)
		r = get_int(call, "hours", 24, 1, HOURS_MAX, &hours);
	if (r == 0)
		r = enrol_code_make(text, hash);
	if (r < 0)
		return r;
	(void)str_copy(code.org, sizeof code.org, org);
	code.count = (uint32_t)count;
	code.expires_s = code.created_s + (uint64_t)hours * HOUR_S;
	code.approve = json_is_true(json_object_get(call->body, "approve"));
	r = store_code_create(call->core->store, &code, hash, call->actor, &code.id);
	if (r == 0)
		call->reply = json_pack("{s:I, s:s, s:I}", "id", (json_int_t)code.id, "code", text,
			"expires_s", (json_int_t)code.expires_s);
	mem_wipe(text, sizeof text);
	return r;
}

static int
revoke_code(struct call *call)
{
	int64_t id;
	if (str_int(call->id, 1, INT64_MAX, &id) < 0)
		return -ERR_NOT_FOUND;
	return store_code_revoke(call->core->store, id, call->actor);
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
	return json_pack("{s:o, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:o}", "id",
		hex_json(agent->id, sizeof agent->id), "org", agent->org, "terminal_id", terminal,
		"computer", agent->computer, "state", store_state_name(agent->state), "serial",
		agent->serial, "cert_expires_s", (json_int_t)agent->cert_expires_s, "created_s",
		(json_int_t)agent->created_s, "code", (json_int_t)agent->code, "gates", gates);
}

static void
add_agent(void *user, const struct store_agent *agent)
{
	struct agent_list *list = user;
	json_array_append_new(list->array, agent_json(list->core, agent));
}

static int
list_agents(struct call *call)
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

static int
show_agent(struct call *call)
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
	{"retire", PENDING | ACTIVE | SUSPENDED, STORE_RETIRED, ERR_SUSPENDED},
};

static int
move_agent(struct call *call)
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
		struct ending ending = {call, agent.id, NULL};
		presence_sessions(call->core->presence, end_session, &ending);
	}
	return 0;
}

static void
add_session(void *user, const struct presence_session *s)
{
	json_array_append_new(user,
		json_pack("{s:o, s:o, s:s, s:s, s:I, s:b, s:s}", "id",
			hex_json(s->id, sizeof s->id), "agent", hex_json(s->agent, sizeof s->agent),
			"org", s->organisation, "client_address", s->client_address, "started_s",
			(json_int_t)s->started_s, "browser", s->browser, "gate",
			link_gate(s->link)));
}

static int
list_sessions(struct call *call)
{
	call->reply = json_array();
	presence_sessions(call->core->presence, add_session, call->reply);
	return 0;
}

static int
stop_session(struct call *call)
{
	uint8_t id[PRESENCE_ID_BYTES];
	if (str_unhex(call->id, id, sizeof id) < 0 || strlen(call->id) != 2 * sizeof id)
		return -ERR_NOT_FOUND;
	const struct presence_session *session = presence_session(call->core->presence, id);
	if (!session)
		return -ERR_NOT_FOUND;
	trail_add(call->core->trail, call->actor, "session.end", call->id, "");
	link_end_session(session->link, id, ERR_ENDED_BY_ADMIN);
	return 0;
}

static void
add_gate(void *user, const struct link_info *info)
{
	json_array_append_new(
		user, json_pack("{s:s, s:i, s:i, s:I, s:I}", "gate", info->gate, "worker",
			      (int)info->worker, "build", (int)info->build, "since_s",
			      (json_int_t)info->since_s, "agents", (json_int_t)info->agents));
}

static int
list_gates(struct call *call)
{
	call->reply = json_array();
	link_each(call->core, add_gate, call->reply);
	return 0;
}

static void
add_event(void *user, const struct store_event *e)
{
	json_array_append_new(user,
		json_pack("{s:I, s:s, s:s, s:s, s:s}", "time_s", (json_int_t)e->time_s, "actor",
			e->actor, "event", e->event, "subject", e->subject, "detail", e->detail));
}

static int
list_events(struct call *call)
{
	const char *text = server_query(call->request, "limit");
	int64_t limit = 100;
	if (text && str_int(text, 1, EVENTS_LIMIT_MAX, &limit) < 0)
		return bad(call, "limit");
	call->reply = json_array();
	return store_events(call->core->store, (unsigned)limit, add_event, call->reply);
}

static int
show_status(struct call *call)
{
	int clock = authority_clock(call->core->authority, wall_s());
	call->reply = json_pack("{s:s, s:I, s:i}", "version", ENGAWA_VERSION, "time_s",
		(json_int_t)wall_s(), "clock", -clock);
	return store_check(call->core->store);
}

/* parts: how many parts the path has. */
static const struct {
	const char *method, *collection;
	int parts;
	const char *action; /* NULL = any */
	int (*handle)(struct call *call);
} routes[] = {
	{"GET", "orgs", 1, NULL, list_orgs},
	{"POST", "orgs", 1, NULL, create_org},
	{"POST", "orgs", 2, NULL, change_org},
	{"GET", "codes", 1, NULL, list_codes},
	{"POST", "codes", 1, NULL, create_code},
	{"POST", "codes", 3, "revoke", revoke_code},
	{"GET", "agents", 1, NULL, list_agents},
	{"GET", "agents", 2, NULL, show_agent},
	{"POST", "agents", 3, NULL, move_agent},
	{"GET", "sessions", 1, NULL, list_sessions},
	{"POST", "sessions", 3, "end", stop_session},
	{"GET", "gates", 1, NULL, list_gates},
	{"GET", "events", 1, NULL, list_events},
	{"GET", "status", 1, NULL, show_status},
};

static int
route(struct call *call, char *path)
{
	char *save = NULL;
	const char *parts[4] = {NULL};
	int count = 0;
	for (char *p = strtok_r(path, "/", &save); p && count < 4; p = strtok_r(NULL, "/", &save))
		parts[count++] = p;
	call->id = parts[1];
	call->action = parts[2];
	const char *method = server_method(call->request);
	for (size_t i = 0; count > 0 && i < sizeof routes / sizeof routes[0]; i++)
		if (strcmp(routes[i].method, method) == 0 &&
			strcmp(routes[i].collection, parts[0]) == 0 && routes[i].parts == count &&
			(!routes[i].action || strcmp(routes[i].action, parts[2]) == 0))
			return routes[i].handle(call);
	return -ERR_NOT_FOUND;
}

static unsigned
status_of(int code)
{
	switch (-code) {
	case 0:
		return 200;
	case ERR_NOT_FOUND:
		return 404;
	case ERR_EXISTS:
	case ERR_DENIED:
	case ERR_QUOTA:
	case ERR_SUSPENDED:
		return 409;
	case ERR_SETTING:
		return 400;
	default:
		return 503;
	}
}

static void
on_request(void *user, struct server_request *request)
{
	struct call call = {.core = user, .request = request, .actor = "admin.sock"};
	size_t len;
	const char *body = server_body(request, &len);
	char *path = mem_str(server_path(request));
	int r = 0;
	if (strcmp(server_method(request), "POST") == 0) {
		call.body =
			len ? json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL) : json_object();
		r = json_is_object(call.body) ? 0 : bad(&call, "JSON");
	}
	if (r == 0)
		r = route(&call, path);
	if (r < 0) {
		json_decref(call.reply);
		call.reply = json_pack("{s:i, s:s}", "code", -r, "detail", call.detail);
	}
	if (!call.reply)
		call.reply = json_object();
	char *text = json_dumps(call.reply, JSON_COMPACT);
	server_reply(request, status_of(r), "application/json", text ? text : "{}",
		text ? strlen(text) : 2, NULL);
	LOG(DEBUG, "admin", F_STR("method", server_method(request)), F_ERR("result", r));
	if (text)
		mem_wipe_free(text, strlen(text)); /* a new code may be in it */
	json_decref(call.reply);
	json_decref(call.body);
	free(path);
}

int
admin_start(struct core *core)
{
	static const struct server_header always[] = {{"Cache-Control", "no-store"}, {NULL, NULL}};
	static const struct server_limits limits = {
		BODY_MAX_BYTES, CONNECTIONS_MAX, 0, REQUEST_S, REQUEST_S};
	core->admin = server_new(core->loop, &limits, always, on_request, core);
	return core->admin ? 0 : -ERR_INTERNAL;
}

void
admin_stop(struct core *core)
{
	server_free(core->admin);
	core->admin = NULL;
}

/* The socket's mode says the same; this is what an attacker with a path to it meets. */
void
admin_accept(struct core *core, int fd)
{
	static const struct sockaddr_un nobody = {.sun_family = AF_UNIX};
	struct ucred peer;
	socklen_t len = sizeof peer;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
		(peer.uid != 0 && peer.uid != geteuid())) {
		LOG(WARN, "admin.denied", F_INT("uid", peer.uid));
		close(fd);
		return;
	}
	server_add(core->admin, fd, (const struct sockaddr *)&nobody, sizeof nobody);
}
