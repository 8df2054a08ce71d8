/*
 * Files that programs keep (base/conf_file.c), and every file of the agent that goes through it:
 * the process ends, or the system refuses, at the first call of a write, at the second, at every
 * one. What is found afterwards is the old file or the new one, and the agent reads it. The calls
 * go through the linker's --wrap.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/restore.h"
#include "agent/settings.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/log.h"
#include "transaction_kinds.h"

enum {
	CALLS_MAX = 64,
	CRASHED = 42
};

static unsigned long seen, stop_at; /* 0 = never */
static int how;                     /* CRASHED, or the errno of the refusal */

/* the names that _FILE_OFFSET_BITS gives them */
int __real_mkostemp64(char *name, int flags);
int __real_fchmod(int fd, mode_t mode);
ssize_t __real_write(int fd, const void *data, size_t len);
int __real_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __real_link(const char *from, const char *to);
int __wrap_mkostemp64(char *name, int flags);
int __wrap_fchmod(int fd, mode_t mode);
ssize_t __wrap_write(int fd, const void *data, size_t len);
int __wrap_fsync(int fd);
int __wrap_rename(const char *from, const char *to);
int __wrap_link(const char *from, const char *to);

/* Before the call is made; a crash after it is one before the next. */
static int
refused(void)
{
	if (!stop_at || ++seen != stop_at)
		return 0;
	if (how == CRASHED)
		_exit(CRASHED);
	errno = how;
	return 1;
}

int
__wrap_mkostemp64(char *name, int flags)
{
	return refused() ? -1 : __real_mkostemp64(name, flags);
}

int
__wrap_fchmod(int fd, mode_t mode)
{
	return refused() ? -1 : __real_fchmod(fd, mode);
}

/* A disk that fills up takes a part first. */
ssize_t
__wrap_write(int fd, const void *data, size_t len)
{
	if (stop_at && seen + 1 == stop_at && len > 1)
		if (__real_write(fd, data, len / 2) < 0)
			return -1;
	return refused() ? -1 : __real_write(fd, data, len);
}

int
__wrap_fsync(int fd)
{
	return refused() ? -1 : __real_fsync(fd);
}

int
__wrap_rename(const char *from, const char *to)
{
	return refused() ? -1 : __real_rename(from, to);
}

int
__wrap_link(const char *from, const char *to)
{
	return refused() ? -1 : __real_link(from, to);
}

/* ---- tests ---- */

static size_t
entries(void)
{
	size_t count = 0;
	DIR *dir = opendir(directory);
	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir));)
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

static void
begin(const struct kind *kind)
{
	strcpy(directory, "/tmp/engawa-test-transaction.XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/%s", directory, kind->name);
	agent.options.state_directory = directory;
	stop_at = 0;
	assert_int_equal(kind->put(0), 0);
	assert_int_equal(kind->get(), 0);
}

static void
end(void)
{
	kinds_free();
	unlink(path);
	assert_int_equal(rmdir(directory), 0);
}

/* Writes the new form in a process that ends at its n-th call. 1: it got through. */
static int
crash_at(const struct kind *kind, unsigned long n)
{
	int status;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		seen = 0;
		stop_at = n;
		how = CRASHED;
		_exit(kind->put(1) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_true(WEXITSTATUS(status) == CRASHED || WEXITSTATUS(status) == 0);
	return WEXITSTATUS(status) == 0;
}

/* Power is cut at each point of a settings write: the old settings or the new ones are there
 * afterwards, never half of them, and what was left beside them is swept. */
static void
test_attack_crash_at_every_call(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		begin(&kinds[i]);
		unsigned long n = 1;
		int done = 0, turned = 0;
		for (; !done && n < CALLS_MAX; n++) {
			done = crash_at(&kinds[i], n);
			int now = kinds[i].get();
			assert_in_range(now, 0, 1);
			assert_true(now >= turned); /* once there, it stays */
			turned = now;
			assert_int_equal(conf_sweep(directory), 0);
			assert_int_equal(entries(), 1);
		}
		assert_true(done && turned == 1);
		assert_true(
			n > 6); /* temporary, mode, write, sync, rename, sync of the directory */
		end();
	}
}

static void
test_refused_at_every_call(void **state)
{
	/* Disk full, or failing: says so, keeps the old file and leaves nothing beside it. */
	static const int errors[] = {ENOSPC, EIO};
	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		for (size_t e = 0; e < 2; e++) {
			begin(&kinds[i]);
			int r = -1;
			for (unsigned long n = 1; r < 0; n++) {
				assert_true(n < CALLS_MAX);
				seen = 0;
				stop_at = n;
				how = errors[e];
				r = kinds[i].put(1);
				stop_at = 0;
				assert_true(r == 0 || r == -errors[e]);
				int now = kinds[i].get();
				/* after the rename only the directory was not synced */
				assert_true(r == 0 ? now == 1 : now == 0 || n >= 6);
				assert_int_equal(entries(), 1);
				if (r < 0 && now)
					assert_int_equal(kinds[i].put(0), 0);
			}
			end();
		}
}

static void
test_damage_is_named(void **state)
{
	static const char *const texts[] = {"MAIL a@b.example\n\nMAIL not an address\n",
		"MAIL a@b.example\n# note\nPASSWORD x\n"};
	(void)state;
	begin(&kinds[0]);
	for (size_t i = 0; i < 2; i++) {
		struct settings s = {"kept@city.example", "", ""};
		struct conf_error error = {""};
		char where[128];
		assert_int_equal(conf_write_file(path, texts[i], strlen(texts[i]), 0600), 0);
		assert_int_equal(settings_load(path, &s, &error), -ERR_SETTING);
		snprintf(where, sizeof where, "%s:3: ", path);
		assert_memory_equal(error.text, where, strlen(where));
		assert_string_equal(s.mail, "kept@city.example");
	}
	end();
}

static void
test_sweep_takes_only_temporaries(void **state)
{
	static const char *const names[] = {"settings.new-AbC123", "settings.backup",
		"settings.new", "x.new-AbC1234", "agent.key"};
	char name[128];
	(void)state;
	begin(&kinds[0]);
	for (size_t i = 0; i < 5; i++) {
		snprintf(name, sizeof name, "%s/%s", directory, names[i]);
		assert_int_equal(close(open(name, O_CREAT | O_WRONLY, 0600)), 0);
	}
	assert_int_equal(conf_sweep(directory), 0);
	for (size_t i = 0; i < 5; i++) {
		snprintf(name, sizeof name, "%s/%s", directory, names[i]);
		assert_int_equal(access(name, F_OK), i ? 0 : -1);
		unlink(name);
	}
	end();
	assert_int_equal(conf_sweep(directory), -ENOENT);
}

/* ---- restore: many files at once ---- */

static void
put_file(const char *name, const char *text)
{
	char full[192];
	snprintf(full, sizeof full, "%s/%s", directory, name);
	assert_int_equal(conf_write_file(full, text, strlen(text), 0600), 0);
}

static int
file_is(const char *name, const char *text)
{
	char full[192], *found;
	size_t len;
	snprintf(full, sizeof full, "%s/%s", directory, name);
	if (conf_read_file(full, 100, &found, &len) < 0)
		return text == NULL;
	int same = text && strcmp(found, text) == 0;
	free(found);
	return same;
}

static void
begin_restore(int ready)
{
	char name[96];
	strcpy(directory, "/tmp/engawa-test-transaction.XXXXXX");
	assert_non_null(mkdtemp(directory));
	put_file("settings", "old");
	put_file("users", "old");
	put_file("identity.key", "key");
	put_file("policy-revision", "7");
	snprintf(name, sizeof name, "%s/restore.%s", directory, ready ? "ready" : "new");
	assert_int_equal(mkdir(name, 0700), 0);
	const char *where = ready ? "restore.ready" : "restore.new";
	snprintf(name, sizeof name, "%s/settings", where);
	put_file(name, "new");
	snprintf(name, sizeof name, "%s/factors", where);
	put_file(name, "new");
	snprintf(name, sizeof name, "%s/.list", where);
	put_file(name, "settings\nfactors\n");
}

static void
end_restore(void)
{
	static const char *const names[] = {
		"settings", "users", "factors", "identity.key", "policy-revision"};
	char name[128];
	for (size_t i = 0; i < 5; i++) {
		snprintf(name, sizeof name, "%s/%s", directory, names[i]);
		unlink(name);
	}
	assert_int_equal(rmdir(directory), 0);
}

/* Power is cut at each point of a restore: the next start finishes one that was whole and drops one
 * that was not; keys and the policy's revision stay as they are. */
static void
test_attack_crash_in_a_restore(void **state)
{
	int done = 0;
	(void)state;
	for (unsigned long n = 1; !done; n++) {
		int status;
		assert_true(n < CALLS_MAX);
		begin_restore(1);
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			seen = 0;
			stop_at = n;
			how = CRASHED;
			_exit(restore_finish(directory) == 0 ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WEXITSTATUS(status) == CRASHED || WEXITSTATUS(status) == 0);
		done = WEXITSTATUS(status) == 0;
		assert_int_equal(restore_finish(directory), 0);
		assert_true(file_is("settings", "new") && file_is("factors", "new"));
		assert_true(file_is("users", NULL)); /* the backup has none */
		assert_true(file_is("identity.key", "key") && file_is("policy-revision", "7"));
		end_restore();
	}
	begin_restore(0);
	assert_int_equal(restore_finish(directory), 0);
	assert_true(
		file_is("settings", "old") && file_is("users", "old") && file_is("factors", NULL));
	end_restore();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attack_crash_at_every_call),
		cmocka_unit_test(test_refused_at_every_call),
		cmocka_unit_test(test_damage_is_named),
		cmocka_unit_test(test_sweep_takes_only_temporaries),
		cmocka_unit_test(test_attack_crash_in_a_restore),
	};
	log_open("test", LOG_ERROR, -1); /* a line of the log is a write, too */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
