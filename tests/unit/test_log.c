/* base/log: one event, one line, whatever a peer calls itself. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"

static int fds[2];
static char line[4096];

static int
setup(void **state)
{
	(void)state;
	if (pipe(fds) < 0)
		return -1;
	log_open("prog", LOG_INFO, fds[1]);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	log_open("prog", LOG_INFO, -1);
	close(fds[0]);
	close(fds[1]);
	return 0;
}

/* The line after its time; there must be exactly one. */
static const char *
written(void)
{
	ssize_t n = read(fds[0], line, sizeof line - 1);
	assert_true(n > 25);
	line[n] = '\0';
	assert_ptr_equal(strchr(line, '\n'), line + n - 1);
	line[n - 1] = '\0';
	return line + 25;
}

static void
test_line(void **state)
{
	(void)state;
	LOG(INFO, "agent.up", F_HEX("agent", "\x00\xff", 2), F_STR("name", "pc-1"), F_INT("n", -5),
		F_ERR("code", -ERR_CODE_WRONG), F_STR("none", NULL));
	assert_string_equal(
		written(), "prog info agent.up agent=00ff name=pc-1 n=-5 code=CODE_WRONG none=-");
	LOG(DEBUG, "quiet");
	LOG(WARN, "event");
	assert_string_equal(written(), "prog warn event");
}

static void
test_forgery(void **state)
{
	(void)state;
	static const struct {
		const char *value, *want;
	} cases[] = {
		{"", "\"\""},
		{"a b", "\"a b\""},
		{"a=b", "\"a=b\""},
		{"x\ny info agent.up", "\"x\\x0ay info agent.up\""},
		{"a\" code=0", "\"a\\\" code=0\""},
		{"\\", "\"\\\\\""},
		{"\x1b[2J", "\"\\x1b[2J\""},
		{"\xc2\x9b"
		 "2J",
			"\"\\xc2\\x9b2J\""}, /* the same as one C1 character */
		{"\x9b"
		 "2J",
			"\"\\x9b2J\""}, /* and as one byte */
		{"a\x80", "\"a\\x80\""},
		{"\xe2\x80\xae"
		 "gpj",
			"\"\\xe2\\x80\\xaegpj\""},       /* right to left */
		{"\xe2\x80\xa8", "\"\\xe2\\x80\\xa8\""}, /* a line end of Unicode */
		{"縁側", "\"縁側\""},
		{"\xe7\xb8", "\"\\xe7\\xb8\""},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char want[128];
		LOG(INFO, "e", F_STR("v", cases[i].value), F_INT("last", 1));
		str_print(want, sizeof want, "prog info e v=%s last=1", cases[i].want);
		assert_string_equal(written(), want);
	}
}

/* A long value cannot push what comes after it out of the line. */
static void
test_long_values(void **state)
{
	(void)state;
	char value[4000];
	memset(value, 'v', sizeof value);
	value[sizeof value - 1] = '\0';
	LOG(INFO, "e", F_STR("a", value), F_STR("b", value), F_INT("last", 1));
	const char *got = written();
	assert_true(strlen(got) < 700);
	assert_non_null(strstr(got, "\\...\" b=\"vvv"));
	assert_non_null(strstr(got, "\\...\" last=1"));
	for (size_t i = 0; i + 3 < sizeof value; i += 3)
		memcpy(value + i, "縁", 3);
	LOG(INFO, "e", F_STR("a", value), F_INT("last", 1));
	got = written();
	assert_true(str_utf8(got, strlen(got)));
	assert_non_null(strstr(got, " last=1"));
	memset(value, 1, sizeof value - 1);
	LOG(INFO, "e", F_STR("a", value), F_STR("b", value), F_STR("c", value), F_STR("d", value),
		F_INT("last", 1));
	assert_non_null(strstr(written(), " last=1"));
	for (int i = 0; i < 10; i++) /* a line that is full is still one line */
		LOG(INFO, "e", F_HEX("a", value, 1000), F_HEX("b", value, 1000)), written();
}

static void
test_limit(void **state)
{
	(void)state;
	struct log_limit limit = {.burst = 2, .window_ms = 300};
	uint32_t held = 99;
	assert_int_equal(log_limit_pass(&limit, &held), 1);
	assert_int_equal(held, 0);
	assert_int_equal(log_limit_pass(&limit, &held), 1);
	for (int i = 0; i < 5; i++)
		assert_int_equal(log_limit_pass(&limit, &held), 0);
	usleep(350000);
	assert_int_equal(log_limit_pass(&limit, &held), 1);
	assert_int_equal(held, 5);
}

static void
test_levels(void **state)
{
	(void)state;
	enum log_level level;
	assert_int_equal(log_level_parse("warn", &level), 0);
	assert_int_equal(level, LOG_WARN);
	assert_int_equal(log_level_parse("loud", &level), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_forgery),
		cmocka_unit_test(test_long_values),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_levels),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
