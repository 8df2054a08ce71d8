#include "controller/store.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "controller/sql.h"

enum {
	APPLICATION_ID = 0x656e6777, /* "engw": never take another program's file for ours */
	BUSY_TIMEOUT_MS = 200,       /* the loop stands still meanwhile */
};

/* Number n brings a database from version n to n + 1. Never edit one that was released. */
static const char *const migrations[] = {
	"CREATE TABLE org("
	" id TEXT PRIMARY KEY, name TEXT NOT NULL, prefecture INTEGER NOT NULL, quota INTEGER NOT NULL,"
	" suspended INTEGER NOT NULL DEFAULT 0, created_s INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE code("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, org TEXT NOT NULL REFERENCES org(id), hash BLOB NOT NULL UNIQUE,"
	" count INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0 CHECK(used <= count), created_s INTEGER NOT NULL,"
	" expires_s INTEGER NOT NULL, networks TEXT NOT NULL, approve INTEGER NOT NULL,"
	" revoked INTEGER NOT NULL DEFAULT 0) STRICT;"
	"CREATE TABLE agent("
	" id BLOB PRIMARY KEY, org TEXT NOT NULL REFERENCES org(id), terminal TEXT NOT NULL UNIQUE,"
	" computer TEXT NOT NULL, anchor BLOB NOT NULL, salt BLOB NOT NULL, key BLOB NOT NULL UNIQUE,"
	" serial TEXT NOT NULL, cert_expires_s INTEGER NOT NULL, created_s INTEGER NOT NULL,"
	" code INTEGER NOT NULL REFERENCES code(id), state INTEGER NOT NULL CHECK(state BETWEEN 0 AND 3)"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX agent_org ON agent(org, state);"
	"CREATE TABLE event("
	" id INTEGER PRIMARY KEY, time_s INTEGER NOT NULL, actor TEXT NOT NULL, event TEXT NOT NULL,"
	" subject TEXT NOT NULL, detail TEXT NOT NULL) STRICT;",
	"ALTER TABLE org ADD COLUMN weight INTEGER NOT NULL DEFAULT 1",
};
enum {
	SCHEMA_VERSION = sizeof migrations / sizeof migrations[0]
};

static int
pragma_int(struct store *store, const char *text, int64_t *ret)
{
	sqlite3_stmt *stmt;
	if (sqlite3_prepare_v2(store->db, text, -1, &stmt, NULL) != SQLITE_OK)
		return sql_fail(store, sqlite3_extended_errcode(store->db));
	int code = sqlite3_step(stmt);
	*ret = code == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
	sqlite3_finalize(stmt);
	return code == SQLITE_ROW ? 0 : sql_fail(store, sqlite3_extended_errcode(store->db));
}

static int
migrate_one(struct store *store, int64_t version)
{
	char stamp[96];
	str_print(stamp, sizeof stamp, "PRAGMA application_id=%d; PRAGMA user_version=%lld",
		APPLICATION_ID, (long long)version + 1);
	int r = sql_run(store, "BEGIN IMMEDIATE");
	if (r < 0)
		return r;
	r = sql_run(store, migrations[version]);
	if (r == 0)
		r = sql_run(store, stamp);
	return sql_finish(store, r);
}

static int
migrate(struct store *store, int create)
{
	int64_t application, version, tables;
	int r = pragma_int(store, "PRAGMA application_id", &application);
	if (r == 0)
		r = pragma_int(store, "PRAGMA user_version", &version);
	if (r == 0)
		r = pragma_int(store, "SELECT count(*) FROM sqlite_schema", &tables);
	if (r == 0 && (version > SCHEMA_VERSION || (application != APPLICATION_ID && tables > 0))) {
		str_print(store->error, sizeof store->error,
			"schema %lld of application %llx, this program knows %d",
			(long long)version, (long long)application, SCHEMA_VERSION);
		return -ERR_VERSION;
	}
	if (r == 0 && version == 0 && !create) {
		str_print(store->error, sizeof store->error, "the database has become empty");
		return -ERR_BUSY_DATABASE;
	}
	for (; r == 0 && version < SCHEMA_VERSION; version++)
		r = migrate_one(store, version);
	return r;
}

/* create: only at the first start. A file that vanishes later is never replaced by an empty one. */
static int
connect_file(struct store *store, int create)
{
	struct stat st = {0};
	int flags = SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0) | SQLITE_OPEN_NOMUTEX;
	int code = sqlite3_open_v2(store->path, &store->db, flags, NULL);
	if (code != SQLITE_OK) {
		int r = sql_fail(store, code);
		sqlite3_close_v2(store->db);
		store->db = NULL;
		return r;
	}
	sqlite3_extended_result_codes(store->db, 1);
	sqlite3_busy_timeout(store->db, BUSY_TIMEOUT_MS);
	int r = sql_run(store,
		"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
		"PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA journal_size_limit=4194304");
	if (r == 0)
		r = migrate(store, create);
	if (r == 0 && stat(store->path, &st) < 0)
		r = sql_fail(store, SQLITE_CANTOPEN);
	store->device = st.st_dev;
	store->inode = st.st_ino;
	if (r < 0 && store->db) {
		sqlite3_close_v2(store->db);
		store->db = NULL;
	}
	return r;
}

int
store_open(const char *path, struct store **ret_store)
{
	struct store *store = mem_new(sizeof *store);
	store->path = mem_str(path);
	*ret_store = store; /* also after a failure: it says why, and can be tried again */
	return connect_file(store, 1);
}

void
store_close(struct store *store)
{
	if (!store)
		return;
	sqlite3_close_v2(store->db);
	free(store->path);
	free(store);
}

const char *
store_error(const struct store *store)
{
	return store->error;
}

/* A file that was moved or removed can be written to for ever, and nobody would find it again. */
static int
is_moved(const struct store *store)
{
	struct stat st;
	return stat(store->path, &st) < 0 || st.st_dev != store->device ||
	       st.st_ino != store->inode;
}

int
store_check(struct store *store)
{
	if (store->db && sqlite3_get_autocommit(store->db) && is_moved(store)) {
		sqlite3_close_v2(store->db);
		store->db = NULL;
	}
	return store->db ? 0 : connect_file(store, 0);
}

int
store_latest(struct store *store, uint64_t *ret_s)
{
	struct sql q = sql_start(store, "SELECT time_s FROM event ORDER BY id DESC LIMIT 1");
	uint64_t latest_s = sql_step(&q) == 1 ? (uint64_t)sql_get_int(&q) : 0;
	int r = sql_end(&q);
	if (r == 0)
		*ret_s = latest_s;
	return r;
}

const char *
store_state_name(enum store_state state)
{
	static const char *const names[] = {"pending", "active", "suspended", "retired"};
	return names[state];
}

int
store_events_add(struct store *store, const struct store_event *events, size_t count)
{
	int r = sql_begin(store);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < count; i++)
		r = sql_event(store, events[i].time_s, events[i].actor, events[i].event,
			events[i].subject, events[i].detail);
	return sql_finish(store, r);
}

int
store_events(struct store *store, uint64_t since_s, unsigned limit, store_event_fn *fn, void *user)
{
	struct sql q = sql_start(store,
		"SELECT time_s, actor, event, subject, detail FROM event WHERE time_s >= ? ORDER BY id DESC LIMIT ?");
	sql_int(&q, (int64_t)since_s);
	sql_int(&q, limit);
	while (sql_step(&q) == 1) {
		struct store_event event;
		event.time_s = (uint64_t)sql_get_int(&q);
		sql_get_text(&q, event.actor, sizeof event.actor);
		sql_get_text(&q, event.event, sizeof event.event);
		sql_get_text(&q, event.subject, sizeof event.subject);
		sql_get_text(&q, event.detail, sizeof event.detail);
		fn(user, &event);
	}
	return sql_end(&q);
}
