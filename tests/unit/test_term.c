/* agent/term: what ends a session, with clocks that this test moves. */
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

#include "agent/term.h"
#include "base/err.h"

static struct policy policy;
static struct term term;
static struct notice notice;
static uint64_t mono_ms, now_s;
static char *line;
static const struct findings good, bad = {1, {ERR_PATTERNS_OLD}},
				   worse = {2, {ERR_PATTERNS_OLD, ERR_WIFI_WEAK}};

static struct mono
now(void)
{
	return (struct mono){mono_ms * 1000000};
}

static void
begin(int inspects)
{
	term_start(&term, &policy, inspects, now(), now_s);
}

/* Both clocks go on, a second at a time as the monitor looks: the first word, or 0. */
static int
pass(uint64_t seconds)
{
	for (uint64_t i = 0; i < seconds; i++) {
		mono_ms += 1000;
		now_s++;
		int r = term_tick(&term, now(), now_s, &notice);
		if (r)
			return r;
	}
	return 0;
}

static int
report(const struct findings *findings)
{
	return term_report(&term, findings, now(), &notice);
}

static int
setup(void **state)
{
	(void)state;
	setenv("TZ", "Asia/Tokyo", 1);
	tzset();
	policy_init(&policy);
	line = strdup("mon-fri 08:30-17:15");
	mono_ms = 5000000;
	now_s = 1795507200; /* Tuesday 2026-11-24 17:00 */
	memset(&notice, 0, sizeof notice);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	policy.working_hours = (struct conf_list){0};
	policy_fini(&policy);
	free(line);
	return 0;
}

static void
with_hours(void)
{
	policy.working_hours = (struct conf_list){&line, 1};
}

static void
test_hours(void **state)
{
	(void)state;
	with_hours();
	begin(0);
	assert_int_equal(pass(299), 0);
	assert_int_equal(pass(1), 1);
	assert_int_equal(notice.code, ERR_HOURS);
	assert_int_equal(notice.seconds, 600);
	assert_int_equal(pass(539), 0);
	assert_int_equal(pass(1), 1);
	assert_int_equal(notice.seconds, 60);
	assert_int_equal(pass(59), 0);
	assert_int_equal(pass(1), -ERR_HOURS);
}

static void
test_hours_begin_late(void **state)
{
	(void)state;
	with_hours();
	now_s += 14 * 60 + 30; /* half a minute left */
	begin(0);
	assert_int_equal(pass(1), 1);
	assert_int_equal(notice.seconds, 29);
	assert_int_equal(pass(28), 0);
	assert_int_equal(pass(1), -ERR_HOURS);
}

static void
test_longest(void **state)
{
	(void)state;
	policy.max_session_s = 3600;
	begin(0);
	assert_int_equal(pass(2999), 0);
	assert_int_equal(pass(1), 1);
	assert_int_equal(notice.code, ERR_SESSION_LONG);
	assert_int_equal(notice.seconds, 600);
	assert_int_equal(pass(540), 1);
	assert_int_equal(notice.seconds, 60);
	assert_int_equal(pass(60), -ERR_SESSION_LONG);
}

/* Tried: a work process that was taken over sees somebody typing for ever, and policy has no
 * longest session. Comes of it: the monitor, which asks nobody, ends it after seven days. */
static void
test_attack_never_idle(void **state)
{
	(void)state;
	policy.max_session_s = 0;
	begin(0);
	assert_int_equal(pass(604800 - 601), 0);
	assert_int_equal(pass(1), 1);
	assert_int_equal(notice.code, ERR_SESSION_LONG);
	assert_int_equal(pass(540), 1);
	assert_int_equal(pass(60), -ERR_SESSION_LONG);
}

/* Somebody sets the office PC's clock back an hour every minute: the hours end when they would
 * have. */
static void
test_attack_clock_set_back(void **state)
{
	(void)state;
	with_hours();
	begin(0);
	for (int minute = 0; minute < 14; minute++) {
		assert_in_range(pass(60), 0, 1);
		now_s = 1795507200 - 3600;
	}
	int r = pass(60);
	assert_int_equal(r ? r : pass(1), -ERR_HOURS);
}

/* The clock jumps to the evening: the session ends; nobody works outside of the hours that are
 * shown. */
static void
test_attack_clock_set_forward(void **state)
{
	(void)state;
	with_hours();
	policy.max_session_s = 3600;
	begin(1);
	now_s += 6 * 3600;
	assert_int_equal(pass(1), -ERR_HOURS);
	/* the longest time and the reports are no matter of that clock */
	policy.working_hours = (struct conf_list){0};
	begin(1);
	now_s += 400 * 86400;
	assert_int_equal(pass(60), 0);
	now_s = 5;
	assert_int_equal(pass(60), 0);
}

static void
test_becomes_bad(void **state)
{
	(void)state;
	begin(1);
	assert_int_equal(pass(590), 0);
	assert_int_equal(report(&good), 0);
	assert_int_equal(pass(600), 0);
	assert_int_equal(report(&bad), 1);
	assert_int_equal(notice.code, ERR_INSPECTION);
	assert_int_equal(notice.seconds, 600);
	assert_int_equal(notice.findings.count, 1);
	assert_int_equal(notice.findings.codes[0], ERR_PATTERNS_OLD);
	assert_int_equal(pass(300), 0);
	assert_int_equal(report(&worse), 1); /* no new grace */
	assert_int_equal(notice.seconds, 300);
	assert_int_equal(notice.findings.count, 2);
	assert_int_equal(report(&bad), 1);
	assert_int_equal(pass(299), 0);
	assert_int_equal(pass(1), -ERR_PATTERNS_OLD);
}

static void
test_becomes_good(void **state)
{
	(void)state;
	begin(1);
	assert_int_equal(report(&worse), 1);
	assert_int_equal(pass(599), 0);
	assert_int_equal(report(&good), 1); /* in the last second */
	assert_int_equal(notice.seconds, 0);
	assert_int_equal(notice.findings.count, 0);
	assert_int_equal(pass(600), 0);
	policy.inspection_grace_minutes = 0;
	assert_int_equal(report(&worse), 1);
	assert_int_equal(pass(1), -ERR_INSPECTION);
}

/* A client that was asked and then says nothing more: warned, and cut when the grace is over. One
 * that reports nothing but faults is not kept by them either. */
static void
test_attack_no_more_reports(void **state)
{
	(void)state;
	begin(1);
	assert_int_equal(pass(659), 0);
	assert_int_equal(pass(1), 1);
	assert_int_equal(notice.findings.codes[0], ERR_POSTURE_MISSING);
	assert_int_equal(notice.seconds, 600);
	assert_int_equal(pass(599), 0);
	assert_int_equal(pass(1), -ERR_POSTURE_MISSING);
	begin(1);
	int r = 0;
	for (int i = 0; i < 30 && r >= 0; i++) {
		report(&bad);
		r = pass(30);
	}
	assert_int_equal(r, -ERR_PATTERNS_OLD);
	begin(0); /* one that was never asked */
	assert_int_equal(pass(5000), 0);
	policy.inspection_repeat_minutes = 0;
	begin(1);
	assert_int_equal(pass(5000), 0);
}

/* The session comes back to a policy that has changed: it is held to that one. */
static void
test_policy_changes(void **state)
{
	(void)state;
	begin(1);
	assert_int_equal(report(&good), 0);
	with_hours();
	policy.inspection_repeat_minutes = 0;
	term_policy(&term, &policy, now(), now_s);
	assert_int_equal(pass(300), 1);
	assert_int_equal(notice.code, ERR_HOURS);
	assert_int_equal(pass(540), 1);
	assert_int_equal(pass(60), -ERR_HOURS);
	policy.working_hours = (struct conf_list){0};
	term_policy(&term, &policy, now(), now_s);
	assert_int_equal(pass(5000), 0);
}

/* Tried: the clock is set back, and the path broken and taken up again, over and over. Comes of it:
 * the hours end when they would have. */
static void
test_attack_clock_and_path(void **state)
{
	(void)state;
	with_hours();
	begin(0);
	int r = 0;
	for (int i = 0; i < 15; i++) {
		assert_true(r >= 0);
		now_s -= 600;
		term_policy(&term, &policy, now(), now_s);
		for (int left_s = 60; left_s > 0 && r >= 0; left_s--)
			r = pass(1);
	}
	assert_int_equal(r, -ERR_HOURS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_hours),
		T(test_hours_begin_late),
		T(test_longest),
		T(test_attack_never_idle),
		T(test_attack_clock_set_back),
		T(test_attack_clock_set_forward),
		T(test_policy_changes),
		T(test_attack_clock_and_path),
		T(test_becomes_bad),
		T(test_becomes_good),
		T(test_attack_no_more_reports),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
