#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "screen/pace.h"

static void
test_echo_goes_at_once(void **state)
{
	(void)state;
	struct pace p;
	struct mono t = {5000000000};
	pace_init(&p, 15);
	assert_int_equal(pace_wait_ms(&p, t), 0);
	pace_capture(&p, t);
	assert_int_equal(pace_begin(&p), 1);
	assert_int_equal(pace_wait_ms(&p, t), 15);
	t.ns += 1;
	assert_int_equal(pace_wait_ms(&p, t), 15);
	t = mono_add_ms(t, 14);
	assert_int_equal(pace_wait_ms(&p, t), 1);
	t = mono_add_ms(t, 1);
	assert_int_equal(pace_wait_ms(&p, t), 0);
	t = mono_add_ms(t, 60000);
	assert_int_equal(pace_wait_ms(&p, t), 0);
}

static void
test_two_open(void **state)
{
	(void)state;
	struct pace p;
	struct mono t = {1};
	pace_init(&p, 0);
	assert_int_equal(pace_begin(&p), 1);
	assert_int_equal(pace_begin(&p), 2);
	assert_int_equal(pace_wait_ms(&p, t), PACE_NEVER);
	assert_int_equal(pace_ack(&p, 1), 0);
	assert_int_equal(pace_wait_ms(&p, t), 0);
	assert_int_equal(pace_begin(&p), 3);
	assert_int_equal(pace_wait_ms(&p, t), PACE_NEVER);
	assert_int_equal(pace_ack(&p, 3), 0); /* 2 with it */
	assert_int_equal(pace_wait_ms(&p, t), 0);
}

static void
test_wrong_acks(void **state)
{
	(void)state;
	struct pace p;
	pace_init(&p, 0);
	assert_int_equal(pace_ack(&p, 0), -ERR_PROTOCOL);
	assert_int_equal(pace_ack(&p, 1), -ERR_PROTOCOL);
	pace_begin(&p);
	assert_int_equal(pace_ack(&p, 2), -ERR_PROTOCOL);
	assert_int_equal(pace_ack(&p, UINT32_MAX), -ERR_PROTOCOL);
	assert_int_equal(pace_ack(&p, 1), 0);
	assert_int_equal(pace_ack(&p, 1), -ERR_PROTOCOL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_echo_goes_at_once),
		cmocka_unit_test(test_two_open),
		cmocka_unit_test(test_wrong_acks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
