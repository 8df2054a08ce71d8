/* base/conf: settings as people and editors write them, and files that survive a crash. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/str.h"

struct settings {
	char *name;
	int64_t port, quiet;
	struct conf_list gates;
};

static const struct conf_option table[] = {
	{"NAME", CONF_STR, offsetof(struct settings, name), NULL, 0, 0, "who"},
	{"PORT", CONF_INT, offsetof(struct settings, port), "443", 1, 65535, "where"},
	{"QUIET_MODE", CONF_BOOL, offsetof(struct settings, quiet), "no", 0, 0, "how"},
	{"GATE", CONF_LIST, offsetof(struct settings, gates), "one", 0, 0, "which"},
	CONF_OPTIONS_END,
};

static char directory[] = "/tmp/engawa-conf-XXXXXX", path[64];

static int
setup(void **state)
{
	(void)state;
	if (!mkdtemp(directory))
		return -1;
	return str_print(path, sizeof path, "%s/a.conf", directory);
}

static int
teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(directory); /* fails when a temporary was left */
}

static int
load(const char *text, struct settings *s, struct conf_error *error)
{
	memset(s, 0, sizeof *s);
	assert_int_equal(conf_write_file(path, text, strlen(text), 0600), 0);
	int r = conf_defaults(table, s, error);
	return r == 0 ? conf_file(table, s, path, error) : r;
}

static void
test_file(void **state)
{
	(void)state;
	struct settings s;
	struct conf_error error;
	assert_int_equal(
		load("\xef\xbb\xbf# 設定\r\n\r\nNAME\t 縁側 の間 \r\n  PORT 8443\nGATE a\nGATE b\nQUIET_MODE yes",
			&s, &error),
		0);
	assert_string_equal(s.name, "縁側 の間");
	assert_int_equal(s.port, 8443);
	assert_int_equal(s.quiet, 1);
	assert_int_equal(s.gates.count, 2); /* in the place of the default */
	assert_string_equal(s.gates.items[1], "b");
	conf_free(table, &s);
	assert_int_equal(load("", &s, &error), 0);
	assert_null(s.name);
	assert_int_equal(s.port, 443);
	assert_int_equal(s.gates.count, 1);
	assert_int_equal(conf_defaults(table, &s, &error), 0); /* a second time: not two of them */
	assert_int_equal(s.gates.count, 1);
	conf_free(table, &s);
	conf_free(table, &s);
}

static void
test_bad_files(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"NAME a\nCOLOUR blue\n", "a.conf:2: unknown key COLOUR"},
		{"PORT 0\n", "a.conf:1: PORT must be from 1 to 65535"},
		{"PORT 65536\n", "a.conf:1: PORT must be from 1 to 65535"},
		{"PORT 80x\n", "a.conf:1: PORT: bad value \"80x\""},
		{"\n\nQUIET_MODE true\n", "a.conf:3: QUIET_MODE: bad value \"true\""},
		{"NAME a\nNAME b\n", "a.conf:2: NAME is set twice"},
		{"NAME a\x01\n", "a.conf:1: not a line"},
		{"NAME \xff\n", "a.conf:1: not a line"},
		{"NAME a\rb\n", "a.conf:1: not a line"},
	};
	struct settings s;
	struct conf_error error;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(load(cases[i].text, &s, &error), -ERR_SETTING);
		assert_non_null(strstr(error.text, cases[i].says));
		conf_free(table, &s);
	}
	memset(&s, 0, sizeof s);
	assert_int_equal(conf_file(table, &s, "/nonexistent/x", &error), -ENOENT);
	assert_non_null(strstr(error.text, "/nonexistent/x"));
}

/* What is written out reads back to the same. */
static void
test_dump(void **state)
{
	(void)state;
	struct settings s;
	struct conf_error error;
	char *first, *second;
	size_t first_len, second_len;
	assert_int_equal(
		load("NAME # no comment\nGATE x = y\nGATE \"z\"\nPORT 1\n", &s, &error), 0);
	FILE *out = open_memstream(&first, &first_len);
	conf_dump(table, &s, out);
	fclose(out);
	conf_free(table, &s);
	assert_int_equal(load(first, &s, &error), 0);
	assert_string_equal(s.name, "# no comment");
	out = open_memstream(&second, &second_len);
	conf_dump(table, &s, out);
	fclose(out);
	assert_string_equal(first, second);
	free(first);
	free(second);
	/* a value that no line could hold is refused at once */
	assert_int_equal(conf_set(table, &s, "NAME", "a\nPORT 2", &error), -ERR_SETTING);
	assert_int_equal(conf_set(table, &s, "NAME", " a", &error), -ERR_SETTING);
	assert_int_equal(conf_set(table, &s, "NAME", "a ", &error), -ERR_SETTING);
	conf_free(table, &s);
}

static int
arguments(struct settings *s, const char *a, const char *b, const char *c, const char *d,
	int *ret_rest)
{
	char *argv[] = {(char[]){"prog"}, strdup(a), strdup(b), strdup(c), strdup(d), NULL};
	memset(s, 0, sizeof *s);
	int r = conf_main(table, s, "prog", 5, argv, ret_rest);
	for (int i = 1; i < 5; i++)
		free(argv[i]);
	return r;
}

static void
test_arguments(void **state)
{
	(void)state;
	struct settings s;
	int rest = 0;
	assert_int_equal(conf_write_file(path, "PORT 1\nGATE f\nGATE g\n", 21, 0600), 0);
	assert_int_equal(arguments(&s, "--port", "2", "--config", path, &rest), 0);
	assert_int_equal(s.port, 2); /* the command line wins */
	assert_int_equal(s.gates.count, 2);
	assert_int_equal(rest, 5);
	conf_free(table, &s);
	assert_int_equal(arguments(&s, "--gate", "x", "--gate", "y", &rest), 0);
	assert_int_equal(s.gates.count, 2);
	assert_string_equal(s.gates.items[0], "x");
	conf_free(table, &s);
	assert_int_equal(arguments(&s, "--quiet-mode", "yes", "run", "--port", &rest), 0);
	assert_int_equal(rest, 3);
	conf_free(table, &s);
	assert_int_equal(arguments(&s, "--quiet-mode", "yes", "--", "--port", &rest), 0);
	assert_int_equal(rest, 4);
	conf_free(table, &s);
	/* failures are written to stderr: not into the report */
	int keep = dup(2), null = open("/dev/null", O_WRONLY);
	dup2(null, 2);
	assert_true(arguments(&s, "--port", "2", "x", "x", &rest) == 0);
	conf_free(table, &s);
	assert_int_equal(arguments(&s, "--colour", "2", "x", "x", &rest), -ERR_SETTING);
	conf_free(table, &s);
	assert_int_equal(arguments(&s, "--port", "2", "--name", "--port", &rest), 0);
	assert_string_equal(s.name, "--port");
	conf_free(table, &s);
	assert_int_equal(arguments(&s, "--port", "2", "--gate", "", &rest), 0);
	conf_free(table, &s);
	assert_int_equal(
		arguments(&s, "--quiet-mode", "no", "--config", "/nonexistent", &rest), -ENOENT);
	conf_free(table, &s);
	dup2(keep, 2);
	close(keep);
	close(null);
}

/* ---- lines ---- */

static int
count_line(void *user, const char *key, const char *value)
{
	int *count = user;
	assert_true(key[0] && str_printable(key) && str_printable(value));
	return ++*count == 3 ? -ERR_LIMIT : 0;
}

static void
test_lines(void **state)
{
	(void)state;
	static char text[16384];
	int count = 0;
	unsigned line;
	assert_int_equal(
		conf_lines("a 1\n\n#c\nb\nc 3\nd 4\n", 20, count_line, &count, &line), -ERR_LIMIT);
	assert_int_equal(line, 5);
	count = -1000;
	assert_int_equal(conf_lines(NULL, 0, count_line, &count, &line), 0);
	memset(text, 'k', sizeof text);
	text[8191] = '\n';
	assert_int_equal(conf_lines(text, 8192, count_line, &count, &line), 0); /* the longest */
	assert_int_equal(conf_lines(text + 8192, 8192, count_line, &count, &line), -ERR_SETTING);
	assert_int_equal(conf_lines("a\0b\n", 4, count_line, &count, &line), -ERR_SETTING);
	/* the mark of byte order only at the start */
	assert_int_equal(conf_lines("\xef\xbb\xbf"
				    "a 1\n",
				 7, count_line, &count, &line),
		0);
	assert_int_equal(conf_lines("\xef\xbb\xbf", 3, count_line, &count, &line), 0);
}

/* ---- files ---- */

static void
test_write(void **state)
{
	(void)state;
	char *text;
	size_t len;
	struct stat st;
	assert_int_equal(conf_write_file(path, "old", 3, 0644), 0);
	assert_int_equal(conf_write_file(path, "new\0text", 8, 0640), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(conf_read_file(path, 8, &text, &len), 0);
	assert_int_equal(len, 8);
	assert_memory_equal(text, "new\0text", 9);
	free(text);
	assert_int_equal(conf_read_file(path, 7, &text, &len), -EFBIG);
	assert_int_equal(conf_read_secret(path, 8, &text, &len), -EPERM);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(conf_read_secret(path, 8, &text, &len), 0);
	free(text);
	assert_int_equal(conf_write_new(path, "x", 1, 0600), -EEXIST);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(conf_write_new(path, "x", 1, 0600), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(conf_write_new("/nonexistent/x", "x", 1, 0600), -ENOENT);
	/* a name that somebody planted is not followed */
	assert_int_equal(symlink("/nonexistent/target", path), 0);
	assert_int_equal(conf_write_new(path, "x", 1, 0600), -EEXIST);
	assert_int_equal(conf_write_file(path, "x", 1, 0600), 0);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(conf_read_secret(directory, 8, &text, &len), -EPERM);
}

/* Every place where a password or a PIN stands in a file reads it like this. */
static void
test_secret_line(void **state)
{
	(void)state;
	static const struct {
		const char *bytes, *line;
		size_t len;
		int result;
	} rows[] = {
		{"1234567", "1234567", 7, 0},
		{"1234567\n", "1234567", 8, 0},
		{"1234567\r\n", "1234567", 9, 0},
		{"pin\nmore", "pin", 8, 0},
		{" p n \n", " p n ", 6, 0},
		{"pin\n\0", "pin", 5, 0},
		{"", "", 0, 0},
		{"\n", "", 1, 0},
		{"12345678", NULL, 8, -EFBIG},
		{"12345678\n", NULL, 9, -EFBIG},
		{"pin\nand more", NULL, 12, -EFBIG},
		{"pi\0n\n", NULL, 5, -ERR_SETTING},
		{"pin\0", NULL, 4, -ERR_SETTING},
	};
	char text[8];
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_int_equal(conf_write_file(path, rows[i].bytes, rows[i].len, 0600), 0);
		strcpy(text, "before");
		assert_int_equal(conf_read_secret_line(path, text, sizeof text), rows[i].result);
		assert_string_equal(text, rows[i].line ? rows[i].line : "before");
	}
	static const mode_t others[] = {0640, 0620, 0604, 0602};
	assert_int_equal(conf_write_file(path, "pin", 3, 0600), 0);
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		assert_int_equal(chmod(path, others[i]), 0);
		assert_int_equal(conf_read_secret_line(path, text, sizeof text), -EPERM);
	}
	assert_int_equal(unlink(path), 0);
	assert_int_equal(conf_read_secret_line(path, text, sizeof text), -ENOENT);
	assert_int_equal(mkfifo(path, 0600), 0); /* nobody waits for a writer */
	assert_int_equal(conf_read_secret_line(path, text, sizeof text), -EPERM);
	assert_int_equal(unlink(path), 0);
	assert_string_equal(text, "before");
}

/* A full disk leaves the old file. */
static void
test_full_disk(void **state)
{
	(void)state;
	char *text;
	size_t len;
	struct stat st;
	if (stat("/dev/full", &st) < 0)
		skip();
	assert_int_equal(conf_write_file(path, "old", 3, 0600), 0);
	assert_int_equal(conf_write_file("/dev/full/x", "new", 3, 0600), -ENOTDIR);
	assert_int_equal(conf_read_file(path, 8, &text, &len), 0);
	assert_string_equal(text, "old");
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_dump),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_secret_line),
		cmocka_unit_test(test_full_disk),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
