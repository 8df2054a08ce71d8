#include "controller/link.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "controller/ask.h"
#include "controller/divide.h"
#include "controller/enrol.h"
#include "controller/post.h"
#include "net/frame.h"

enum {
	WAIT_MAX_S = 660, /* longer than an office PC may be set to wait */
	VERSION = 1,
	HELLO_DEADLINE_MS = 10000,
	LINKS_MAX = 256
};

struct link {
	struct link *next, **link;
	struct core *core;
	struct conn *conn;
	struct timer *deadline;
	uint64_t number;
	uint64_t process; /* divide_gate */
	int welcome;      /* LinkHello was accepted */
	char gate[sizeof((engawa_LinkHello *)0)->gate];
	uint32_t worker, build;
	uint64_t since_s;
};

static void
on_lost(void *user, const struct presence_session *session)
{
	struct link *link = user;
	char id[2 * PRESENCE_ID_BYTES + 1];
	str_hex(id, session->id, sizeof session->id);
	trail_add(link->core->trail, link->gate, "session.lost", id, "link closed");
}

static void
link_free(struct link *link)
{
	presence_link_gone(link->core->presence, link, on_lost, link);
	divide_gone(link->core->divide, link->process, link->number);
	*link->link = link->next;
	if (link->next)
		link->next->link = link->link;
	timer_free(link->deadline);
	conn_free(link->conn);
	free(link);
}

void
link_free_all(struct core *core)
{
	while (core->links)
		link_free(core->links);
}

static struct link *
find(struct core *core, uint64_t number)
{
	struct link *link = core->links;
	while (link && link->number != number)
		link = link->next;
	return link;
}

/* A gate that does not read its answers is cut: it connects again and starts clean. */
static void
send(struct link *link, uint8_t type, const pb_msgdesc_t *fields, const void *msg)
{
	if (frame_send(link->conn, type, fields, msg) < 0)
		conn_finish(link->conn);
}

const char *
link_gate(const struct link *link)
{
	return link->gate;
}

void
link_grant(struct core *core, uint64_t number, const engawa_LinkGrant *grant)
{
	struct link *link = find(core, number);
	if (link)
		send(link, engawa_LinkType_LINK_GRANT, engawa_LinkGrant_fields, grant);
}

void
link_enrolled(struct core *core, uint64_t number, const engawa_LinkEnrolled *enrolled)
{
	struct link *link = find(core, number);
	if (link)
		send(link, engawa_LinkType_LINK_ENROLLED, engawa_LinkEnrolled_fields, enrolled);
}

void
link_code_sent(struct core *core, uint64_t number, const engawa_LinkCodeSent *sent)
{
	struct link *link = find(core, number);
	if (link)
		send(link, engawa_LinkType_LINK_CODE_SENT, engawa_LinkCodeSent_fields, sent);
}

void
link_mail_state(struct core *core, const engawa_LinkMailState *state)
{
	struct link *links[PRESENCE_GATES_MAX];
	size_t count = presence_links(core->presence, state->agent_id.bytes, links);
	engawa_LinkMailState out = {.agent_id = state->agent_id,
		.has_mail_state = true,
		.mail_state = state->mail_state};
	for (size_t i = 0; i < count; i++)
		send(links[i], engawa_LinkType_LINK_MAIL_STATE, engawa_LinkMailState_fields, &out);
}

void
link_shares(struct core *core, uint64_t number, const engawa_LinkShares *shares)
{
	struct link *link = find(core, number);
	if (link)
		send(link, engawa_LinkType_LINK_SHARES, engawa_LinkShares_fields, shares);
}

static void
send_deny(struct link *link, const uint8_t *agent, int code)
{
	engawa_Deny deny = {.code = (uint32_t)abs(code)};
	memcpy(deny.agent_id.bytes, agent, deny.agent_id.size = PRESENCE_ID_BYTES);
	send(link, code ? engawa_LinkType_LINK_DENY : engawa_LinkType_LINK_ALLOW,
		engawa_Deny_fields, &deny);
}

void
link_deny_all(struct core *core, const uint8_t agent[static PRESENCE_ID_BYTES], int code)
{
	for (struct link *link = core->links; link; link = link->next)
		if (link->welcome)
			send_deny(link, agent, code);
}

size_t
link_end_session(struct core *core, const struct presence_session *session, int code)
{
	struct link *links[PRESENCE_GATES_MAX];
	size_t count = presence_links(core->presence, session->agent, links);
	engawa_EndSession end = {.code = (uint32_t)abs(code)};
	memcpy(end.session_id.bytes, session->id, end.session_id.size = PRESENCE_ID_BYTES);
	memcpy(end.agent_id.bytes, session->agent, end.agent_id.size = PRESENCE_ID_BYTES);
	/* first the agents' gates: the agent must not take the end for a broken path */
	for (size_t i = 0; i < count; i++)
		if (links[i] != session->link)
			send(links[i], engawa_LinkType_LINK_END_SESSION, engawa_EndSession_fields,
				&end);
	if (session->link)
		send(session->link, engawa_LinkType_LINK_END_SESSION, engawa_EndSession_fields,
			&end);
	return count;
}

void
link_end_agent(struct core *core, const uint8_t agent[static PRESENCE_ID_BYTES], int code)
{
	struct link *links[PRESENCE_GATES_MAX];
	size_t count = presence_links(core->presence, agent, links);
	engawa_EndSession end = {.code = (uint32_t)abs(code)};
	memcpy(end.agent_id.bytes, agent, end.agent_id.size = PRESENCE_ID_BYTES);
	for (size_t i = 0; i < count; i++)
		send(links[i], engawa_LinkType_LINK_END_SESSION, engawa_EndSession_fields, &end);
}

void
link_each(struct core *core, link_fn *fn, void *user)
{
	for (struct link *link = core->links; link; link = link->next) {
		if (!link->welcome)
			continue;
		struct link_info info = {link->gate, link->worker, link->build, link->since_s,
			presence_agents(core->presence, link)};
		fn(user, &info);
	}
}

static int
gate_ok(const struct settings *settings, const char *gate)
{
	if (!gate[0] || !str_printable(gate))
		return 0;
	for (size_t i = 0; i < settings->gates.count; i++)
		if (strcmp(settings->gates.items[i], gate) == 0)
			return 1;
	return settings->gates.count == 0;
}

static void
on_denied(void *user, const struct store_agent *agent)
{
	send_deny(
		user, agent->id, agent->state == STORE_RETIRED ? ERR_AGENT_RETIRED : ERR_SUSPENDED);
}

static int
on_hello(struct link *link, const void *msg)
{
	const engawa_LinkHello *hello = msg;
	struct core *core = link->core;
	engawa_LinkWelcome welcome = {.divides = true};
	engawa_TicketKey *key = &welcome.ticket_keys[welcome.ticket_keys_count++];
	const uint8_t *point = authority_ticket_point(core->authority);
	if (link->welcome)
		return -ERR_PROTOCOL;
	if (hello->version != VERSION)
		return -ERR_VERSION;
	if (!gate_ok(core->settings, hello->gate))
		return -ERR_DENIED;
	(void)str_copy(link->gate, sizeof link->gate, hello->gate);
	link->worker = hello->worker;
	link->build = hello->build;
	link->since_s = welcome.now_s = wall_s();
	link->welcome = 1;
	timer_stop(link->deadline);
	memcpy(key->public_key.bytes, point, key->public_key.size = SIGN_POINT_BYTES);
	sign_key_id(point, key->key_id.bytes);
	key->key_id.size = SIGN_KEY_ID_BYTES;
	send(link, engawa_LinkType_LINK_WELCOME, engawa_LinkWelcome_fields, &welcome);
	/* the deny list goes as single messages, however long it is. Without a store there is none
	 * to send: the gate checks certificates anyway and asks are refused meanwhile; it is cut so
	 * that it comes again for the list. */
	int r = store_agents(
		core->store, NULL, 1u << STORE_SUSPENDED | 1u << STORE_RETIRED, on_denied, link);
	LOG(INFO, "gate.up", F_STR("gate", link->gate), F_INT("worker", link->worker),
		F_INT("link", link->number));
	trail_add(core->trail, link->gate, "gate.up", link->gate, "");
	return r;
}

static int
on_agent_up(struct link *link, const void *msg)
{
	const engawa_AgentUp *up = msg;
	struct core *core = link->core;
	struct store_agent agent;
	if (up->agent_id.size != PRESENCE_ID_BYTES || up->instance.size != PRESENCE_ID_BYTES)
		return -ERR_PROTOCOL;
	int r = presence_up(core->presence, up->agent_id.bytes, up->instance.bytes, link);
	if (r == 1)
		LOG(WARN, "agent.twice", F_HEX("agent", up->agent_id.bytes, PRESENCE_ID_BYTES),
			F_HEX("instance", up->instance.bytes, 4), F_STR("from", up->address),
			F_STR("gate", link->gate));
	if (r < 0)
		LOG(WARN, "agent.up", F_ERR("code", r),
			F_HEX("agent", up->agent_id.bytes, PRESENCE_ID_BYTES));
	/* a certificate of ours whose agent the store does not know: of another controller's life
	 */
	r = store_agent_get(core->store, up->agent_id.bytes, &agent);
	if (r == -ERR_NOT_FOUND || (r == 0 && agent.state == STORE_SUSPENDED))
		send_deny(link, up->agent_id.bytes, ERR_SUSPENDED);
	if (r == 0 && agent.state == STORE_RETIRED)
		send_deny(link, agent.id, ERR_AGENT_RETIRED);
	LOG(DEBUG, "agent.up", F_HEX("agent", up->agent_id.bytes, PRESENCE_ID_BYTES),
		F_STR("gate", link->gate));
	return 0;
}

static int
on_agent_down(struct link *link, const void *msg)
{
	const engawa_AgentDown *down = msg;
	if (down->agent_id.size != PRESENCE_ID_BYTES || down->instance.size != PRESENCE_ID_BYTES)
		return -ERR_PROTOCOL;
	presence_down(link->core->presence, down->agent_id.bytes, down->instance.bytes, link);
	LOG(DEBUG, "agent.down", F_HEX("agent", down->agent_id.bytes, PRESENCE_ID_BYTES),
		F_STR("gate", link->gate), F_STR("code", err_name((int)down->code)));
	return 0;
}

static int
on_ask(struct link *link, const void *msg)
{
	ask_start(link->core, link->number, msg);
	return 0;
}

static int
on_enrol(struct link *link, const void *msg)
{
	enrol_start(link->core, link->number, msg);
	return 0;
}

static int
on_send_code(struct link *link, const void *msg)
{
	post_start(link->core, link->number, msg);
	return 0;
}

static int
on_session_up(struct link *link, const void *msg)
{
	const engawa_SessionUp *up = msg;
	struct presence_session session = {
		.started_s = up->started_s, .browser = up->browser, .link = link};
	char id[2 * PRESENCE_ID_BYTES + 1], agent[2 * PRESENCE_ID_BYTES + 1], detail[160];
	if (up->session_id.size != PRESENCE_ID_BYTES || up->agent_id.size != PRESENCE_ID_BYTES)
		return -ERR_PROTOCOL;
	memcpy(session.id, up->session_id.bytes, sizeof session.id);
	memcpy(session.agent, up->agent_id.bytes, sizeof session.agent);
	(void)str_copy(session.client_address, sizeof session.client_address, up->client_address);
	(void)str_copy(session.organisation, sizeof session.organisation, up->organisation);
	int r = presence_session_up(link->core->presence, &session);
	str_hex(id, session.id, sizeof session.id);
	str_hex(agent, session.agent, sizeof session.agent);
	str_print(detail, sizeof detail, "agent %s from %.60s%s", agent, session.client_address,
		session.browser ? " browser" : "");
	LOG(INFO, "session.up", F_STR("session", id), F_STR("agent", agent),
		F_STR("from", session.client_address), F_ERR("result", r));
	if (r == 0)
		trail_add(link->core->trail, link->gate, "session.up", id, detail);
	return 0;
}

static int
on_session_down(struct link *link, const void *msg)
{
	const engawa_SessionDown *down = msg;
	char id[2 * PRESENCE_ID_BYTES + 1], detail[160];
	if (down->session_id.size != PRESENCE_ID_BYTES)
		return -ERR_PROTOCOL;
	const struct presence_session *session =
		presence_session(link->core->presence, down->session_id.bytes, wall_s());
	if (!session || session->link != link)
		return 0;
	str_hex(id, session->id, sizeof session->id);
	str_print(detail, sizeof detail, "%s, %llu to client, %llu to agent",
		err_name((int)down->code), (unsigned long long)down->bytes_to_client,
		(unsigned long long)down->bytes_to_agent);
	presence_session_down(link->core->presence, down->session_id.bytes);
	LOG(INFO, "session.down", F_STR("session", id), F_STR("code", err_name((int)down->code)));
	trail_add(link->core->trail, link->gate, "session.down", id, detail);
	return 0;
}

/* Between two connections: the office PC's word. */
static int
on_session_waits(struct link *link, const void *msg)
{
	const engawa_LinkSessionWaits *told = msg;
	const engawa_SessionWaits *waits = &told->waits;
	struct presence *presence = link->core->presence;
	struct presence_session session = {
		.started_s = waits->started_s, .browser = waits->browser};
	struct store_agent agent;
	if (told->agent_id.size != PRESENCE_ID_BYTES || !told->has_waits ||
		(waits->session_id.size && waits->session_id.size != PRESENCE_ID_BYTES))
		return -ERR_PROTOCOL;
	if (waits->session_id.size == 0) {
		presence_session_waits(presence, told->agent_id.bytes, NULL);
		return 0;
	}
	if (store_agent_get(link->core->store, told->agent_id.bytes, &agent) < 0)
		return 0; /* removed meanwhile */
	memcpy(session.id, waits->session_id.bytes, sizeof session.id);
	(void)str_copy(session.client_address, sizeof session.client_address,
		str_printable(waits->client_address) ? waits->client_address : "");
	(void)str_copy(session.organisation, sizeof session.organisation, agent.org);
	session.until_s = wall_s() + (waits->wait_s < WAIT_MAX_S ? waits->wait_s : WAIT_MAX_S);
	presence_session_waits(presence, told->agent_id.bytes, &session);
	return 0;
}

static int
on_demand(struct link *link, const void *msg)
{
	return divide_demand(link->core->divide, link->process, link->number, msg);
}

static int
on_ping(struct link *link, const void *msg)
{
	const engawa_Ping *ping = msg;
	engawa_Pong pong = {.id = ping->id};
	send(link, engawa_LinkType_LINK_PONG, engawa_Pong_fields, &pong);
	return 0;
}

union any {
	engawa_LinkHello hello;
	engawa_AgentUp up;
	engawa_AgentDown down;
	engawa_LinkAsk ask;
	engawa_LinkEnrol enrol;
	engawa_LinkSendCode send_code;
	engawa_SessionUp session_up;
	engawa_SessionDown session_down;
	engawa_LinkSessionWaits session_waits;
	engawa_LinkDemand demand;
	engawa_Ping ping;
};

/* Everything a gate may send. All but the first need the Hello. */
static const struct {
	uint8_t type;
	const pb_msgdesc_t *fields;
	int (*handle)(struct link *link, const void *msg);
} messages[] = {
	{engawa_LinkType_LINK_HELLO, engawa_LinkHello_fields, on_hello},
	{engawa_LinkType_LINK_AGENT_UP, engawa_AgentUp_fields, on_agent_up},
	{engawa_LinkType_LINK_AGENT_DOWN, engawa_AgentDown_fields, on_agent_down},
	{engawa_LinkType_LINK_ASK, engawa_LinkAsk_fields, on_ask},
	{engawa_LinkType_LINK_ENROL, engawa_LinkEnrol_fields, on_enrol},
	{engawa_LinkType_LINK_SEND_CODE, engawa_LinkSendCode_fields, on_send_code},
	{engawa_LinkType_LINK_SESSION_UP, engawa_SessionUp_fields, on_session_up},
	{engawa_LinkType_LINK_SESSION_DOWN, engawa_SessionDown_fields, on_session_down},
	{engawa_LinkType_LINK_SESSION_WAITS, engawa_LinkSessionWaits_fields, on_session_waits},
	{engawa_LinkType_LINK_DEMAND, engawa_LinkDemand_fields, on_demand},
	{engawa_LinkType_LINK_PING, engawa_Ping_fields, on_ping},
};

static int
dispatch(struct link *link, uint8_t type, const uint8_t *payload, size_t len)
{
	union any msg;
	for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
		if (messages[i].type != type)
			continue;
		if (!link->welcome && i > 0)
			return -ERR_PROTOCOL;
		int r = frame_decode(messages[i].fields, &msg, payload, len);
		r = r < 0 ? r : messages[i].handle(link, &msg);
		mem_wipe(&msg, sizeof msg); /* an enrolment code may be in it */
		return r;
	}
	return -ERR_PROTOCOL;
}

static void
fail(struct link *link, int code)
{
	LOG(WARN, "link.failed", F_ERR("code", code), F_STR("gate", link->gate),
		F_INT("link", link->number));
	engawa_Bye bye = {.code = (uint32_t)abs(code)};
	frame_send(link->conn, engawa_OuterType_OUTER_BYE, engawa_Bye_fields, &bye);
	conn_pause(link->conn);
	conn_finish(link->conn);
}

static void
on_ready(void *user)
{
	(void)user; /* a Unix socket is connected when it is accepted */
}

static size_t
on_data(void *user, const uint8_t *data, size_t len)
{
	struct link *link = user;
	size_t used = 0;
	for (;;) {
		const uint8_t *payload;
		size_t payload_len;
		uint8_t type;
		int n = frame_parse(data + used, len - used,
			link->welcome ? FRAME_MAX_BYTES : FRAME_FIRST_MAX_BYTES, &type, &payload,
			&payload_len);
		if (n == 0)
			return used;
		int r = n < 0 ? n : dispatch(link, type, payload, payload_len);
		if (r < 0) {
			fail(link, r);
			return len;
		}
		used += (size_t)n;
	}
}

static void
on_closed(void *user, int code)
{
	struct link *link = user;
	LOG(INFO, "gate.down", F_STR("gate", link->gate), F_ERR("code", code),
		F_INT("link", link->number));
	if (link->welcome)
		trail_add(link->core->trail, link->gate, "gate.down", link->gate, err_name(code));
	link_free(link);
}

static void
on_deadline(void *user)
{
	fail(user, -ERR_SLOW);
}

void
link_accept(struct core *core, int fd)
{
	static const struct conn_events events = {on_ready, on_data, NULL, on_closed};
	unsigned count = 0;
	for (struct link *link = core->links; link; link = link->next)
		count++;
	if (count >= LINKS_MAX) {
		close(fd);
		return;
	}
	struct link *link = mem_new(sizeof *link);
	link->core = core;
	link->number = ++core->next_link;
	link->process = divide_gate(fd, link->number);
	link->next = core->links;
	link->link = &core->links;
	if (link->next)
		link->next->link = &link->next;
	core->links = link;
	link->deadline = timer_new(core->loop, on_deadline, link);
	timer_start(link->deadline, HELLO_DEADLINE_MS, 0);
	link->conn = conn_new(core->loop, fd, NULL, NULL, 1, HELLO_DEADLINE_MS, &events, link);
}
