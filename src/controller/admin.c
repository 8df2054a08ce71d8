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
#include "controller/admin_call.h"
#include "controller/link.h"
#include "controller/server.h"

enum {
	BODY_MAX_BYTES = 65536,
	CONNECTIONS_MAX = 64,
	REQUEST_S = 30,
	EVENTS_LIMIT_MAX = 10000,
};

int
admin_bad(struct call *call, const char *detail)
{
	(void)str_copy(call->detail, sizeof call->detail, detail);
	return -ERR_SETTING;
}

const char *
admin_text(const struct call *call, const char *name)
{
	return json_string_value(json_object_get(call->body, name));
}

/* Missing gives the fallback. */
int
admin_int(struct call *call, const char *name, int64_t fallback, int64_t min, int64_t max,
	int64_t *ret)
{
	json_t *value = json_object_get(call->body, name);
	int64_t n = value ? json_integer_value(value) : fallback;
	if ((value && !json_is_integer(value)) || n < min || n > max)
		return admin_bad(call, name);
	*ret = n;
	return 0;
}

json_t *
admin_hex(const uint8_t *bytes, size_t len)
{
	char hex[2 * 32 + 1];
	str_hex(hex, bytes, len);
	return json_string(hex);
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
	const char *text = server_query(call->request, "limit"),
		   *since = server_query(call->request, "since");
	int64_t limit = 100, since_s = 0;
	if (text && str_int(text, 1, EVENTS_LIMIT_MAX, &limit) < 0)
		return admin_bad(call, "limit");
	if (since && str_int(since, 0, INT64_MAX, &since_s) < 0)
		return admin_bad(call, "since");
	call->reply = json_array();
	return store_events(
		call->core->store, (uint64_t)since_s, (unsigned)limit, add_event, call->reply);
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
	{"GET", "orgs", 1, NULL, admin_list_orgs},
	{"POST", "orgs", 1, NULL, admin_create_org},
	{"POST", "orgs", 2, NULL, admin_change_org},
	{"GET", "codes", 1, NULL, admin_list_codes},
	{"POST", "codes", 1, NULL, admin_create_code},
	{"POST", "codes", 3, "revoke", admin_revoke_code},
	{"GET", "agents", 1, NULL, admin_list_agents},
	{"GET", "agents", 2, NULL, admin_show_agent},
	{"POST", "agents", 3, NULL, admin_move_agent},
	{"GET", "sessions", 1, NULL, admin_list_sessions},
	{"POST", "sessions", 3, "end", admin_stop_session},
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
		r = json_is_object(call.body) ? 0 : admin_bad(&call, "JSON");
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
