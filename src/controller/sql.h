/* Statements on SQLite with a sticky error, for store*.c only. */
#pragma once
#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "controller/store.h"

struct store {
	sqlite3 *db; /* NULL after a failure of the file itself: the next call opens it again */
	char *path;
	dev_t device; /* of the file that is open */
	ino_t inode;
	char error[256];
};

/* One statement: bind in order, step, read columns in order, end. */
struct sql {
	struct store *store;
	sqlite3_stmt *stmt;
	int result; /* 0 or the first failure */
	int bound, column;
};

struct sql sql_start(struct store *store, const char *text);
void sql_text(struct sql *q, const char *s);
void sql_int(struct sql *q, int64_t n);
void sql_blob(struct sql *q, const void *data, size_t len);
/* 1 = a row, 0 = done, negative = failed. */
int sql_step(struct sql *q);
/* Too long or NULL columns give an empty string, a blob of another length zeroes. */
void sql_get_text(struct sql *q, char *out, size_t size);
int64_t sql_get_int(struct sql *q);
void sql_get_blob(struct sql *q, void *out, size_t len);
/* Frees the statement; 0 or the first failure. */
int sql_end(struct sql *q);
/* Steps a statement that gives no rows, then ends it; 0 or negative. */
int sql_done(struct sql *q);
/* The same, and -ERR_NOT_FOUND when it changed no row. */
int sql_changed(struct sql *q);

/* Opens the database again if need be and begins a writing transaction; 0 or negative. */
int sql_begin(struct store *store);
/* Commits when r is 0, else rolls back. Returns r or the commit's failure. */
int sql_finish(struct store *store, int r);
int sql_event(struct store *store, uint64_t time_s, const char *actor, const char *event,
	const char *subject, const char *detail);
/* Notes SQLite's failure and gives our code for it. */
int sql_fail(struct store *store, int code);
int sql_run(struct store *store, const char *text);
