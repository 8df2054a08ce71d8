/* agent/health: what the system tells, and when it counts as low. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/health.h"

static void
test_meminfo(void **state)
{
	(void)state;
	assert_int_equal(
		health_meminfo("MemTotal:  8 kB\nMemAvailable:    2097152 kB\nX: 1 kB\n"), 2048);
	assert_int_equal(health_meminfo("MemAvailable: 1023 kB\n"), 0);
	assert_int_equal(health_meminfo(""), -1);
	assert_int_equal(health_meminfo("MemFree: 5 kB\n"), -1);
	assert_int_equal(health_meminfo("MemAvailable:"), -1);
	assert_int_equal(health_meminfo("MemAvailable: 12"), -1);
	assert_int_equal(health_meminfo("MemAvailable: 12 MB\n"), -1);
	assert_int_equal(health_meminfo("MemAvailable: -5 kB\n"), -1);
}

static void
test_low(void **state)
{
	(void)state;
	assert_false(health_low(0, 500, 500));
	assert_true(health_low(0, 499, 500));
	assert_true(health_low(1, 549, 500)); /* not told again and again at the edge */
	assert_false(health_low(1, 550, 500));
	assert_false(health_low(0, 0, 0));
	assert_false(health_low(1, -1, 500)); /* not known */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_meminfo),
		cmocka_unit_test(test_low),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
