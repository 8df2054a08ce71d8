/* agent/hours: working hours by the clock of the office PC. */
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

#include <time.h>

#include "agent/hours.h"
#include "base/err.h"

static char *lines[8];
static struct conf_list hours, holidays;

static void
set(const char *a, const char *b)
{
	lines[0] = (char *)(uintptr_t)a;
	lines[1] = (char *)(uintptr_t)b;
	hours = (struct conf_list){lines, b ? 2 : a ? 1 : 0};
}

/* Local time of this test's zone. */
static uint64_t
at(const char *text)
{
	struct tm tm = {.tm_isdst = -1};
	assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
	return (uint64_t)mktime(&tm);
}

static uint64_t
left(const char *text)
{
	return hours_left_s(&hours, &holidays, at(text));
}

static void
zone(const char *name)
{
	setenv("TZ", name, 1);
	tzset();
}

static int
setup(void **state)
{
	(void)state;
	zone("Asia/Tokyo");
	holidays = (struct conf_list){0};
	return 0;
}

static void
test_week(void **state)
{
	(void)state;
	set(NULL, NULL);
	assert_true(left("2026-11-24 03:00:00") == HOURS_ALWAYS);
	set("mon-fri 08:30-17:15", NULL); /* 2026-11-24 is a Tuesday */
	assert_int_equal(left("2026-11-24 08:29:59"), 0);
	assert_int_equal(left("2026-11-24 08:30:00"), 8 * 3600 + 45 * 60);
	assert_int_equal(left("2026-11-24 17:14:59"), 1);
	assert_int_equal(left("2026-11-24 17:15:00"), 0);
	assert_int_equal(left("2026-11-28 12:00:00"), 0); /* Saturday */
	set("mon-fri 08:30-17:15", "sat 09:00-12:00");
	assert_int_equal(left("2026-11-28 11:00:00"), 3600);
	char *day[] = {"2026-11-24"};
	holidays = (struct conf_list){day, 1};
	assert_int_equal(left("2026-11-24 12:00:00"), 0);
	assert_int_equal(left("2026-11-25 17:00:00"), 900);
}

static void
test_stretches(void **state)
{
	(void)state;
	set("mon-thu 22:00-06:00", NULL); /* into the next day */
	assert_int_equal(left("2026-11-24 05:00:00"), 3600);
	assert_int_equal(left("2026-11-24 23:00:00"), 7 * 3600);
	assert_int_equal(left("2026-11-27 05:00:00"), 3600);
	assert_int_equal(left("2026-11-28 05:00:00"), 0);
	set("mon 08:00-12:00", "mon 12:00-17:00"); /* touch */
	assert_int_equal(left("2026-11-23 11:00:00"), 6 * 3600);
	set("mon 08:00-13:00", "mon 12:00-17:00"); /* overlap */
	assert_int_equal(left("2026-11-23 11:00:00"), 6 * 3600);
	set("sun-sat 00:00-24:00", NULL);
	assert_true(left("2026-11-23 11:00:00") > 7 * 86400);
	set("sat-mon 10:00-11:00", NULL); /* days go round */
	assert_int_equal(left("2026-11-22 10:30:00"), 1800);
	assert_int_equal(left("2026-11-24 10:30:00"), 0);
}

/* An office PC where clocks are put forward and back: hours are what the clock on the wall shows.
 */
static void
test_summer_time(void **state)
{
	(void)state;
	zone("Europe/Berlin");
	set("sun 00:00-06:00", NULL);
	assert_int_equal(left("2026-03-29 01:00:00"), 4 * 3600); /* 02:00 is 03:00 */
	assert_int_equal(left("2026-10-25 01:00:00"), 6 * 3600);
}

static void
test_slips(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "mon", "mon 8:30-17:15", "mon 08:30-17:60",
		"mon 08:30 17:15", "mon 08:30-08:30", "mon 24:00-24:00", "mon 24:00-08:00",
		"mon 08:30-25:00", "mon 08:30-24:01", "mon,08:30-17:15", "mon, 08:30-17:15",
		"monday 08:30-17:15", "mon-fri-sat 08:30-17:15", "mon-xxx 08:30-17:15",
		",mon 08:30-17:15", "Mon 08:30-17:15", "mon 08:30-17:15 x", "mon -8:30-17:15",
		"mon 08:3a-17:15"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(hours_fits(bad[i]), -ERR_SETTING);
	assert_int_equal(hours_fits("mon,wed-fri,sun\t 00:00-24:00"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup(name, setup)
		T(test_week),
		T(test_stretches),
		T(test_summer_time),
		T(test_slips),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
