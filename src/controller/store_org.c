/* Organisations and their enrolment codes. */
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "controller/sql.h"

#define ORG_SELECT                                                          \
	"SELECT id, name, prefecture, quota, weight, suspended, created_s," \
	" (SELECT count(*) FROM agent WHERE agent.org = org.id AND agent.state != 3) FROM org "

static void
read_org(struct sql *q, struct store_org *org)
{
	sql_get_text(q, org->id, sizeof org->id);
	sql_get_text(q, org->name, sizeof org->name);
	org->prefecture = (uint32_t)sql_get_int(q);
	org->quota = (uint32_t)sql_get_int(q);
	org->weight = (uint32_t)sql_get_int(q);
	org->suspended = (int)sql_get_int(q);
	org->created_s = (uint64_t)sql_get_int(q);
	org->agents = (uint32_t)sql_get_int(q);
}

int
store_org_create(struct store *store, const struct store_org *org, const char *actor)
{
	int r = sql_begin(store);
	if (r < 0)
		return r;
	struct sql q = sql_start(store,
		"INSERT INTO org(id, name, prefecture, quota, weight, created_s) VALUES(?,?,?,?,?,?)");
	sql_text(&q, org->id);
	sql_text(&q, org->name);
	sql_int(&q, org->prefecture);
	sql_int(&q, org->quota);
	sql_int(&q, org->weight);
	sql_int(&q, (int64_t)org->created_s);
	r = sql_done(&q);
	if (r == 0)
		r = sql_event(store, wall_s(), actor, "org.create", org->id, org->name);
	return sql_finish(store, r);
}

int
store_org_get(struct store *store, const char *id, struct store_org *ret_org)
{
	struct sql q = sql_start(store, ORG_SELECT "WHERE id = ?");
	sql_text(&q, id);
	int row = sql_step(&q);
	if (row == 1)
		read_org(&q, ret_org);
	int r = sql_end(&q);
	return r < 0 ? r : row == 1 ? 0 : -ERR_NOT_FOUND;
}

int
store_org_change(struct store *store, const struct store_org *org, const char *actor)
{
	char detail[64];
	str_print(detail, sizeof detail, "quota %u, weight %u%s", org->quota, org->weight,
		org->suspended ? ", suspended" : "");
	int r = sql_begin(store);
	if (r < 0)
		return r;
	struct sql q = sql_start(
		store, "UPDATE org SET quota = ?, weight = ?, suspended = ? WHERE id = ?");
	sql_int(&q, org->quota);
	sql_int(&q, org->weight);
	sql_int(&q, org->suspended != 0);
	sql_text(&q, org->id);
	r = sql_changed(&q);
	if (r == 0)
		r = sql_event(store, wall_s(), actor, "org.change", org->id, detail);
	return sql_finish(store, r);
}

int
store_orgs(struct store *store, store_org_fn *fn, void *user)
{
	struct sql q = sql_start(store, ORG_SELECT "ORDER BY id");
	while (sql_step(&q) == 1) {
		struct store_org org;
		read_org(&q, &org);
		fn(user, &org);
	}
	return sql_end(&q);
}

#define CODE_SELECT \
	"SELECT id, org, count, used, created_s, expires_s, networks, approve, revoked FROM code "

static void
read_code(struct sql *q, struct store_code *code)
{
	code->id = sql_get_int(q);
	sql_get_text(q, code->org, sizeof code->org);
	code->count = (uint32_t)sql_get_int(q);
	code->used = (uint32_t)sql_get_int(q);
	code->created_s = (uint64_t)sql_get_int(q);
	code->expires_s = (uint64_t)sql_get_int(q);
	sql_get_text(q, code->networks, sizeof code->networks);
	code->approve = (int)sql_get_int(q);
	code->revoked = (int)sql_get_int(q);
}

static int
code_event(struct store *store, int64_t id, const char *event, const char *org, const char *actor)
{
	char subject[32];
	str_print(subject, sizeof subject, "code %lld", (long long)id);
	return sql_event(store, wall_s(), actor, event, subject, org);
}

int
store_code_create(struct store *store, const struct store_code *code,
	const uint8_t hash[static STORE_HASH_BYTES], const char *actor, int64_t *ret_id)
{
	int r = sql_begin(store);
	if (r < 0)
		return r;
	struct sql q = sql_start(store,
		"INSERT INTO code(org, hash, count, created_s, expires_s, networks, approve)"
		" VALUES(?,?,?,?,?,?,?)");
	sql_text(&q, code->org);
	sql_blob(&q, hash, STORE_HASH_BYTES);
	sql_int(&q, code->count);
	sql_int(&q, (int64_t)code->created_s);
	sql_int(&q, (int64_t)code->expires_s);
	sql_text(&q, code->networks);
	sql_int(&q, code->approve != 0);
	r = sql_done(&q);
	int64_t id = r == 0 ? sqlite3_last_insert_rowid(store->db) : 0;
	if (r == 0)
		r = code_event(store, id, "code.create", code->org, actor);
	r = sql_finish(store, r);
	if (r == 0)
		*ret_id = id;
	return r;
}

int
store_code_find(struct store *store, const uint8_t hash[static STORE_HASH_BYTES],
	struct store_code *ret_code)
{
	struct sql q = sql_start(store, CODE_SELECT "WHERE hash = ?");
	sql_blob(&q, hash, STORE_HASH_BYTES);
	int row = sql_step(&q);
	if (row == 1)
		read_code(&q, ret_code);
	int r = sql_end(&q);
	return r < 0 ? r : row == 1 ? 0 : -ERR_NOT_FOUND;
}

int
store_code_revoke(struct store *store, int64_t id, const char *actor)
{
	int r = sql_begin(store);
	if (r < 0)
		return r;
	struct sql q = sql_start(store, "UPDATE code SET revoked = 1 WHERE id = ?");
	sql_int(&q, id);
	r = sql_changed(&q);
	if (r == 0)
		r = code_event(store, id, "code.revoke", "", actor);
	return sql_finish(store, r);
}

int
store_codes(struct store *store, const char *org, store_code_fn *fn, void *user)
{
	struct sql q = sql_start(store, CODE_SELECT "WHERE ?1 IS NULL OR org = ?1 ORDER BY id");
	sql_text(&q, org);
	while (sql_step(&q) == 1) {
		struct store_code code;
		read_code(&q, &code);
		fn(user, &code);
	}
	return sql_end(&q);
}
