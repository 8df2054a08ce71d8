#include "controller/sql.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"

static int
is_space_errno(int e)
{
	return e == ENOSPC || e == EDQUOT || e == EFBIG;
}

int
sql_fail(struct store *store, int code)
{
	int system = store->db ? sqlite3_system_errno(store->db) : 0;
	str_print(store->error, sizeof store->error, "%.180s (%d, errno %d)",
		store->db ? sqlite3_errmsg(store->db) : sqlite3_errstr(code), code, system);
	switch (code & 0xff) {
	case SQLITE_FULL:
		return -ERR_DISK_FULL;
	case SQLITE_CONSTRAINT:
		return code == SQLITE_CONSTRAINT_FOREIGNKEY ? -ERR_NOT_FOUND : -ERR_EXISTS;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_NOMEM:
		return -ERR_BUSY_DATABASE;
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		if (is_space_errno(system))
			return -ERR_DISK_FULL;
	}
	/* the file itself: damaged, replaced, removed, on a dead disk. Statements may still be
	 * open: a zombie close. */
	sqlite3_close_v2(store->db);
	store->db = NULL;
	return -ERR_BUSY_DATABASE;
}

int
sql_run(struct store *store, const char *text)
{
	int code = sqlite3_exec(store->db, text, NULL, NULL, NULL);
	return code == SQLITE_OK ? 0 : sql_fail(store, sqlite3_extended_errcode(store->db));
}

struct sql
sql_start(struct store *store, const char *text)
{
	struct sql q = {.store = store, .result = store_check(store)};
	if (q.result == 0 && sqlite3_prepare_v2(store->db, text, -1, &q.stmt, NULL) != SQLITE_OK)
		q.result = sql_fail(store, sqlite3_extended_errcode(store->db));
	return q;
}

static void
bound(struct sql *q, int code)
{
	if (code != SQLITE_OK)
		q->result = sql_fail(q->store, code);
}

void
sql_text(struct sql *q, const char *s)
{
	q->bound++;
	if (q->result == 0)
		bound(q, sqlite3_bind_text(q->stmt, q->bound, s, -1, SQLITE_TRANSIENT));
}

void
sql_int(struct sql *q, int64_t n)
{
	q->bound++;
	if (q->result == 0)
		bound(q, sqlite3_bind_int64(q->stmt, q->bound, n));
}

void
sql_blob(struct sql *q, const void *data, size_t len)
{
	q->bound++;
	if (q->result == 0)
		bound(q, sqlite3_bind_blob64(q->stmt, q->bound, data, len, SQLITE_TRANSIENT));
}

int
sql_step(struct sql *q)
{
	if (q->result < 0)
		return q->result;
	int code = sqlite3_step(q->stmt);
	q->column = 0;
	if (code == SQLITE_ROW)
		return 1;
	if (code == SQLITE_DONE)
		return 0;
	return q->result = sql_fail(q->store, sqlite3_extended_errcode(q->store->db));
}

void
sql_get_text(struct sql *q, char *out, size_t size)
{
	const char *s = (const char *)sqlite3_column_text(q->stmt, q->column++);
	(void)str_copy(out, size, s ? s : "");
}

int64_t
sql_get_int(struct sql *q)
{
	return sqlite3_column_int64(q->stmt, q->column++);
}

void
sql_get_blob(struct sql *q, void *out, size_t len)
{
	const void *data = sqlite3_column_blob(q->stmt, q->column);
	if (data && (size_t)sqlite3_column_bytes(q->stmt, q->column) == len)
		memcpy(out, data, len);
	else
		memset(out, 0, len);
	q->column++;
}

int
sql_end(struct sql *q)
{
	sqlite3_finalize(q->stmt);
	q->stmt = NULL;
	return q->result;
}

int
sql_done(struct sql *q)
{
	sql_step(q);
	return sql_end(q);
}

int
sql_changed(struct sql *q)
{
	int r = sql_done(q);
	if (r == 0 && sqlite3_changes(q->store->db) == 0)
		r = -ERR_NOT_FOUND;
	return r;
}

int
sql_begin(struct store *store)
{
	int r = store_check(store);
	return r < 0 ? r : sql_run(store, "BEGIN IMMEDIATE");
}

int
sql_finish(struct store *store, int r)
{
	if (!store->db)
		return r < 0 ? r : -ERR_BUSY_DATABASE;
	if (r == 0)
		r = sql_run(store, "COMMIT");
	if (r < 0 && store->db && !sqlite3_get_autocommit(store->db)) {
		/* the first failure is what the caller and the log want to know */
		char first[sizeof store->error];
		memcpy(first, store->error, sizeof first);
		sql_run(store, "ROLLBACK");
		memcpy(store->error, first, sizeof first);
	}
	return r;
}

int
sql_event(struct store *store, uint64_t time_s, const char *actor, const char *event,
	const char *subject, const char *detail)
{
	struct sql q = sql_start(store,
		"INSERT INTO event(time_s, actor, event, subject, detail) VALUES(?,?,?,?,?)");
	sql_int(&q, (int64_t)time_s);
	sql_text(&q, actor);
	sql_text(&q, event);
	sql_text(&q, subject);
	sql_text(&q, detail);
	return sql_done(&q);
}
