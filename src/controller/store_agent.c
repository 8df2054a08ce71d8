/* Agents: enrolment, look-up, states. */
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "controller/sql.h"

#define AGENT_SELECT                                                                                                  \
	"SELECT agent.id, agent.org, terminal, computer, anchor, salt, key, serial, cert_expires_s, agent.created_s," \
	" code, state, prefecture, weight, suspended FROM agent JOIN org ON org.id = agent.org "

static void
read_agent(struct sql *q, struct store_agent *agent)
{
	sql_get_blob(q, agent->id, sizeof agent->id);
	sql_get_text(q, agent->org, sizeof agent->org);
	sql_get_text(q, agent->terminal, sizeof agent->terminal);
	sql_get_text(q, agent->computer, sizeof agent->computer);
	sql_get_blob(q, agent->anchor, sizeof agent->anchor);
	sql_get_blob(q, agent->salt, sizeof agent->salt);
	sql_get_blob(q, agent->key, sizeof agent->key);
	sql_get_text(q, agent->serial, sizeof agent->serial);
	agent->cert_expires_s = (uint64_t)sql_get_int(q);
	agent->created_s = (uint64_t)sql_get_int(q);
	agent->code = sql_get_int(q);
	agent->state = (enum store_state)sql_get_int(q);
	agent->prefecture = (uint32_t)sql_get_int(q);
	agent->weight = (uint32_t)sql_get_int(q);
	agent->org_suspended = (int)sql_get_int(q);
}

static int
read_one(struct sql *q, struct store_agent *ret_agent)
{
	int row = sql_step(q);
	if (row == 1)
		read_agent(q, ret_agent);
	int r = sql_end(q);
	return r < 0 ? r : row == 1 ? 0 : -ERR_NOT_FOUND;
}

int
store_agent_get(
	struct store *store, const uint8_t id[static STORE_ID_BYTES], struct store_agent *ret_agent)
{
	struct sql q = sql_start(store, AGENT_SELECT "WHERE agent.id = ?");
	sql_blob(&q, id, STORE_ID_BYTES);
	return read_one(&q, ret_agent);
}

int
store_agent_by_terminal(struct store *store, const char *terminal, struct store_agent *ret_agent)
{
	struct sql q = sql_start(store, AGENT_SELECT "WHERE terminal = ?");
	sql_text(&q, terminal);
	return read_one(&q, ret_agent);
}

int
store_agent_by_key(struct store *store, const uint8_t key[static 32], struct store_agent *ret_agent)
{
	struct sql q = sql_start(store, AGENT_SELECT "WHERE key = ?");
	sql_blob(&q, key, 32);
	return read_one(&q, ret_agent);
}

static int
agent_event(struct store *store, const uint8_t *id, const char *event, const char *detail,
	const char *actor)
{
	char hex[2 * STORE_ID_BYTES + 1];
	str_hex(hex, id, STORE_ID_BYTES);
	return sql_event(store, wall_s(), actor, event, hex, detail);
}

/* Why no use could be taken of the organisation: the numbers as they are inside the transaction. */
static int
check_org(struct store *store, const char *id)
{
	struct store_org org;
	int r = store_org_get(store, id, &org);
	if (r < 0)
		return r;
	if (org.suspended)
		return -ERR_SUSPENDED;
	return org.agents >= org.quota ? -ERR_QUOTA : 0;
}

static int
take_code(struct store *store, const char *org, int64_t code, uint64_t now_s)
{
	struct sql q = sql_start(store,
		"UPDATE code SET used = used + 1 WHERE id = ? AND org = ? AND used < count"
		" AND revoked = 0 AND expires_s > ?");
	sql_int(&q, code);
	sql_text(&q, org);
	sql_int(&q, (int64_t)now_s);
	int r = sql_changed(&q);
	return r == -ERR_NOT_FOUND ? -ERR_ENROL_CODE_WRONG : r;
}

static int
insert_agent(struct store *store, const struct store_agent *agent)
{
	struct sql q = sql_start(store,
		"INSERT INTO agent(id, org, terminal, computer, anchor, salt, key, serial, cert_expires_s, created_s,"
		" code, state) VALUES(?,?,?,?,?,?,?,?,?,?,?,?)");
	sql_blob(&q, agent->id, sizeof agent->id);
	sql_text(&q, agent->org);
	sql_text(&q, agent->terminal);
	sql_text(&q, agent->computer);
	sql_blob(&q, agent->anchor, sizeof agent->anchor);
	sql_blob(&q, agent->salt, sizeof agent->salt);
	sql_blob(&q, agent->key, sizeof agent->key);
	sql_text(&q, agent->serial);
	sql_int(&q, (int64_t)agent->cert_expires_s);
	sql_int(&q, (int64_t)agent->created_s);
	sql_int(&q, agent->code);
	sql_int(&q, (int64_t)agent->state);
	return sql_done(&q);
}

int
store_agent_enrol(
	struct store *store, const struct store_agent *agent, uint64_t now_s, const char *actor)
{
	int r = sql_begin(store);
	if (r < 0)
		return r;
	r = take_code(store, agent->org, agent->code, now_s);
	if (r == 0)
		r = check_org(store, agent->org);
	if (r == 0)
		r = insert_agent(store, agent);
	if (r == 0)
		r = agent_event(
			store, agent->id, "agent.enrol", store_state_name(agent->state), actor);
	return sql_finish(store, r);
}

int
store_agent_certificate(struct store *store, const struct store_agent *agent, int64_t code,
	uint64_t now_s, const char *actor)
{
	int r = sql_begin(store);
	if (r < 0)
		return r;
	if (code)
		r = take_code(store, agent->org, code, now_s);
	if (r < 0)
		return sql_finish(store, r);
	struct sql q =
		sql_start(store, "UPDATE agent SET serial = ?, cert_expires_s = ? WHERE id = ?");
	sql_text(&q, agent->serial);
	sql_int(&q, (int64_t)agent->cert_expires_s);
	sql_blob(&q, agent->id, sizeof agent->id);
	r = sql_changed(&q);
	if (r == 0)
		r = agent_event(store, agent->id, "agent.certificate", agent->serial, actor);
	return sql_finish(store, r);
}

int
store_agent_move(struct store *store, const uint8_t id[static STORE_ID_BYTES], unsigned from_mask,
	enum store_state to, const char *actor)
{
	struct store_agent agent;
	int r = sql_begin(store);
	if (r < 0)
		return r;
	r = store_agent_get(store, id, &agent);
	if (r == 0 && !(from_mask & 1u << agent.state))
		r = -ERR_DENIED;
	if (r == 0) {
		struct sql q = sql_start(store, "UPDATE agent SET state = ? WHERE id = ?");
		sql_int(&q, to);
		sql_blob(&q, id, STORE_ID_BYTES);
		r = sql_changed(&q);
	}
	if (r == 0)
		r = agent_event(store, id, "agent.state", store_state_name(to), actor);
	return sql_finish(store, r);
}

int
store_agents(struct store *store, const char *org, unsigned states, store_agent_fn *fn, void *user)
{
	struct sql q = sql_start(store, AGENT_SELECT
		"WHERE (?1 IS NULL OR agent.org = ?1) AND (?2 >> state) & 1 ORDER BY agent.org, computer, terminal");
	sql_text(&q, org);
	sql_int(&q, states);
	while (sql_step(&q) == 1) {
		struct store_agent agent;
		read_agent(&q, &agent);
		fn(user, &agent);
	}
	return sql_end(&q);
}
