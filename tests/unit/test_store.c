/* The store: what it keeps, what it refuses, and what it does when the disk or the file fails. */
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/str.h"
#include "controller/store.h"

static char directory[64], path[96];
static struct store *store;

static int
set_up(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/engawa-store.XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	str_print(path, sizeof path, "%s/c.db", directory);
	return store_open(path, &store);
}

static int
tear_down(void **state)
{
	char command[128];
	(void)state;
	store_close(store);
	store = NULL;
	str_print(command, sizeof command, "rm -rf %s", directory);
	return system(command);
}

static int
make_org(const char *id, uint32_t quota)
{
	struct store_org org = {
		.name = "緑町", .prefecture = 13, .quota = quota, .weight = 4, .created_s = 1};
	strcpy(org.id, id);
	return store_org_create(store, &org, "test");
}

static int
change_org(const char *id, uint32_t quota, int suspended)
{
	struct store_org org = {.quota = quota, .weight = 7, .suspended = suspended};
	strcpy(org.id, id);
	return store_org_change(store, &org, "test");
}

static int64_t
make_code(const char *org, uint32_t count, uint8_t seed)
{
	struct store_code code = {.count = count, .created_s = 1, .expires_s = 1000};
	uint8_t hash[STORE_HASH_BYTES];
	int64_t id = 0;
	memset(hash, seed, sizeof hash);
	strcpy(code.org, org);
	assert_int_equal(store_code_create(store, &code, hash, "test", &id), 0);
	return id;
}

static struct store_agent
make_agent(int64_t code, uint8_t seed)
{
	struct store_agent agent = {
		.org = "a", .computer = "PC-1", .serial = "01", .code = code, .cert_expires_s = 5};
	memset(agent.id, seed, sizeof agent.id);
	memset(agent.key, seed, sizeof agent.key);
	memset(agent.anchor, seed, sizeof agent.anchor);
	memset(agent.salt, seed, sizeof agent.salt);
	memset(agent.terminal, 'A' + seed, 16);
	return agent;
}

static void
count_event(void *user, const struct store_event *event)
{
	(void)event;
	++*(int *)user;
}

static int
events(void)
{
	int count = 0;
	assert_int_equal(store_events(store, 0, 1000, count_event, &count), 0);
	return count;
}

static void
test_orgs(void **state)
{
	struct store_org org;
	(void)state;
	assert_int_equal(make_org("a", 3), 0);
	assert_int_equal(make_org("a", 3), -ERR_EXISTS);
	assert_int_equal(store_org_get(store, "a", &org), 0);
	assert_string_equal(org.name, "緑町");
	assert_int_equal(org.prefecture, 13);
	assert_int_equal(store_org_get(store, "b", &org), -ERR_NOT_FOUND);
	assert_int_equal(org.weight, 4);
	assert_int_equal(change_org("a", 9, 1), 0);
	assert_int_equal(change_org("b", 9, 1), -ERR_NOT_FOUND);
	assert_int_equal(store_org_get(store, "a", &org), 0);
	assert_true(org.suspended && org.quota == 9 && org.weight == 7);
	assert_int_equal(events(), 2); /* a refused change leaves no event */
}

static void
test_enrolment(void **state)
{
	struct store_agent agent, found;
	struct store_code code;
	uint8_t hash[STORE_HASH_BYTES];
	(void)state;
	assert_int_equal(make_org("a", 2), 0);
	int64_t id = make_code("a", 3, 1);
	agent = make_agent(id, 1);
	assert_int_equal(store_agent_enrol(store, &agent, 1000, "test"),
		-ERR_ENROL_CODE_WRONG); /* expired then */
	assert_int_equal(store_agent_enrol(store, &agent, 999, "test"), 0);
	assert_int_equal(store_agent_enrol(store, &agent, 999, "test"), -ERR_EXISTS);
	agent = make_agent(id, 2);
	assert_int_equal(store_agent_enrol(store, &agent, 1, "test"), 0);
	agent = make_agent(id, 3);
	assert_int_equal(store_agent_enrol(store, &agent, 1, "test"), -ERR_QUOTA);
	memset(hash, 1, sizeof hash);
	assert_int_equal(store_code_find(store, hash, &code), 0);
	assert_int_equal(code.used, 2); /* what was refused used nothing up */
	agent = make_agent(id, 2);
	assert_int_equal(
		store_agent_move(store, agent.id, 1u << STORE_PENDING, STORE_RETIRED, "test"), 0);
	agent = make_agent(id, 3);
	assert_int_equal(
		store_agent_enrol(store, &agent, 1, "test"), 0); /* a retired one frees its place */
	assert_int_equal(change_org("a", 9, 0), 0);
	agent = make_agent(id, 4);
	assert_int_equal(
		store_agent_enrol(store, &agent, 1, "test"), -ERR_ENROL_CODE_WRONG); /* used up */
	id = make_code("a", 1, 2);
	assert_int_equal(store_code_revoke(store, id, "test"), 0);
	agent = make_agent(id, 4);
	assert_int_equal(store_agent_enrol(store, &agent, 1, "test"), -ERR_ENROL_CODE_WRONG);
	agent = make_agent(make_code("a", 1, 3), 4);
	assert_int_equal(change_org("a", 9, 1), 0);
	assert_int_equal(store_agent_enrol(store, &agent, 1, "test"), -ERR_SUSPENDED);
	assert_int_equal(store_agent_by_terminal(store, "BBBBBBBBBBBBBBBB", &found), 0);
	assert_true(found.id[0] == 1 && found.org_suspended && found.prefecture == 13 &&
		    found.weight == 7);
	assert_int_equal(
		store_agent_by_terminal(store, "ZZZZZZZZZZZZZZZZ", &found), -ERR_NOT_FOUND);
}

static void
test_states(void **state)
{
	(void)state;
	make_org("a", 5);
	struct store_agent agent = make_agent(make_code("a", 3, 1), 1);
	assert_int_equal(store_agent_enrol(store, &agent, 1, "test"), 0);
	assert_int_equal(
		store_agent_move(store, agent.id, 1u << STORE_SUSPENDED, STORE_ACTIVE, "test"),
		-ERR_DENIED);
	assert_int_equal(
		store_agent_move(store, agent.id, 1u << STORE_PENDING, STORE_ACTIVE, "test"), 0);
	assert_int_equal(store_agent_get(store, agent.id, &agent), 0);
	assert_int_equal(agent.state, STORE_ACTIVE);
	agent.id[0] ^= 1;
	assert_int_equal(
		store_agent_move(store, agent.id, ~0u, STORE_ACTIVE, "test"), -ERR_NOT_FOUND);
}

/* Text from outside goes in and comes out as it is; nothing of it is SQL. */
static void
test_hostile_text(void **state)
{
	static const char name[] = "'); DROP TABLE org; --";
	struct store_org org = {.quota = 1}, back;
	(void)state;
	strcpy(org.id, "x");
	strcpy(org.name, name);
	assert_int_equal(store_org_create(store, &org, name), 0);
	assert_int_equal(store_org_get(store, "x", &back), 0);
	assert_string_equal(back.name, name);
	assert_int_equal(store_org_get(store, name, &back), -ERR_NOT_FOUND);
}

static void
exec(const char *text)
{
	sqlite3 *db;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void
test_schema_version(void **state)
{
	(void)state;
	make_org("a", 1);
	store_close(store);
	assert_int_equal(store_open(path, &store), 0); /* again, nothing to migrate */
	struct store_org org;
	assert_int_equal(store_org_get(store, "a", &org), 0);
	store_close(store);
	/* what the first version wrote: everybody weighs the same */
	exec("ALTER TABLE org DROP COLUMN weight; PRAGMA user_version=1");
	assert_int_equal(store_open(path, &store), 0);
	assert_int_equal(store_org_get(store, "a", &org), 0);
	assert_true(org.weight == 1 && org.quota == 1);
	store_close(store);
	exec("PRAGMA user_version=99");
	assert_int_equal(store_open(path, &store), -ERR_VERSION);
	assert_non_null(strstr(store_error(store), "99"));
}

static void
test_other_programs_file(void **state)
{
	(void)state;
	store_close(store);
	unlink(path);
	exec("CREATE TABLE precious(x); INSERT INTO precious VALUES(1)");
	assert_int_equal(store_open(path, &store), -ERR_VERSION);
	exec("UPDATE precious SET x = 2");
}

static void
limit_file_size(rlim_t bytes)
{
	struct rlimit limit;
	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Fills the store until it fails, makes room, and looks what is there: every call said what
 * happened, nothing half-made stayed, reading went on, and with room it goes on by itself. */
static void
fill_and_recover(int expected, void (*make_room)(void))
{
	char id[8];
	int made = 0, r = 0;
	struct store_org org;
	for (; made < 4000 && r == 0; made += r == 0) {
		str_print(id, sizeof id, "o%d", made);
		r = make_org(id, 1);
	}
	if (r != expected)
		fail_msg("%d: %s", r, store_error(store));
	assert_true(made > 1);
	assert_int_equal(store_org_get(store, "o0", &org), 0);
	make_room();
	assert_int_equal(store_org_get(store, "more", &org), -ERR_NOT_FOUND);
	assert_int_equal(make_org("more", 1), 0);
	assert_int_equal(events(), made + 1 > 1000 ? 1000 : made + 1);
	store_close(store);
	assert_int_equal(store_open(path, &store), 0);
	assert_int_equal(store_org_get(store, "more", &org), 0);
	str_print(id, sizeof id, "o%d", made - 1);
	assert_int_equal(store_org_get(store, id, &org), 0);
}

static void
no_file_limit(void)
{
	limit_file_size(RLIM_INFINITY);
}

/* A write error that is not "no space": SQLite says no more than that. */
static void
test_write_error(void **state)
{
	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	limit_file_size(96 * 1024);
	fill_and_recover(-ERR_BUSY_DATABASE, no_file_limit);
}

static void
more_disk(void)
{
	assert_int_equal(mount(NULL, directory, NULL, MS_REMOUNT, "size=8m"), 0);
}

static void
test_disk_full(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		skip(); /* not root */
	store_close(store);
	assert_int_equal(mount("tmpfs", directory, "tmpfs", 0, "size=256k"), 0);
	assert_int_equal(store_open(path, &store), 0);
	fill_and_recover(-ERR_DISK_FULL, more_disk);
	store_close(store);
	store = NULL;
	assert_int_equal(umount(directory), 0);
}

static void
test_locked(void **state)
{
	sqlite3 *other;
	struct store_org org;
	(void)state;
	make_org("a", 1);
	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(make_org("b", 1), -ERR_BUSY_DATABASE);
	assert_int_equal(store_org_get(store, "a", &org), 0); /* reading goes on */
	sqlite3_exec(other, "COMMIT", NULL, NULL, NULL);
	sqlite3_close(other);
	assert_int_equal(make_org("b", 1), 0);
}

/* The file is gone and comes back: no empty database takes its place. */
static void
test_dead_file(void **state)
{
	char aside[128], shm[128], wal[128];
	struct store_org org;
	(void)state;
	make_org("a", 1);
	store_close(store); /* everything is in the one file */
	str_print(aside, sizeof aside, "%s.aside", path);
	assert_int_equal(store_open(path, &store), 0);
	assert_int_equal(store_org_get(store, "a", &org), 0);
	assert_int_equal(rename(path, aside), 0);
	str_print(shm, sizeof shm, "%s-shm", path);
	str_print(wal, sizeof wal, "%s-wal", path);
	unlink(shm);
	unlink(wal);
	assert_int_equal(make_org("b", 1), -ERR_BUSY_DATABASE);
	assert_int_equal(make_org("b", 1), -ERR_BUSY_DATABASE);
	assert_int_equal(access(path, F_OK), -1);
	FILE *empty = fopen(path, "w"); /* a restore that failed: still not ours to fill */
	fclose(empty);
	assert_int_equal(make_org("b", 1), -ERR_BUSY_DATABASE);
	assert_int_equal(rename(aside, path), 0);
	unlink(shm);
	unlink(wal);
	assert_int_equal(make_org("b", 1), 0);
	assert_int_equal(store_org_get(store, "a", &org), 0);
}

static void
test_garbage_file(void **state)
{
	struct store_org org;
	(void)state;
	make_org("a", 1);
	store_close(store);
	FILE *f = fopen(path, "r+");
	for (int i = 0; i < 4096; i++)
		fputc(i & 0xff, f);
	fclose(f);
	assert_true(store_open(path, &store) < 0);
	assert_int_equal(store_org_get(store, "a", &org), -ERR_BUSY_DATABASE);
	assert_string_not_equal(store_error(store), "");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_orgs),
		TEST(test_enrolment),
		TEST(test_states),
		TEST(test_hostile_text),
		TEST(test_schema_version),
		TEST(test_other_programs_file),
		TEST(test_write_error),
		TEST(test_disk_full),
		TEST(test_locked),
		TEST(test_dead_file),
		TEST(test_garbage_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
