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
	assert_int_equal(pace_begin(&p, t), 1);
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

/* A picture of so many bytes. */
static void
send(struct pace *p, size_t bytes, struct mono now)
{
	pace_begin(p, now);
	pace_sent(p, bytes / 2);
	pace_sent(p, bytes - bytes / 2);
}

static void
test_two_open(void **state)
{
	(void)state;
	struct pace p;
	struct mono t = {1};
	pace_init(&p, 0);
	send(&p, 1000, t);
	send(&p, 1000, t);
	assert_int_equal(pace_wait_ms(&p, t), PACE_NEVER);
	assert_int_equal(pace_ack(&p, 1, t), 0);
	assert_int_equal(pace_wait_ms(&p, t), 0);
	send(&p, 5000, t);
	assert_int_equal(pace_wait_ms(&p, t), PACE_NEVER);
	assert_int_equal(pace_ack(&p, 3, t), 0); /* 2 with it */
	assert_int_equal(pace_wait_ms(&p, t), 0);
}

/* A line that takes rate bytes per millisecond and is delay_ms long, acknowledgements included;
 * pictures of so many bytes as often as allowed, every 33 ms at the most. */
struct line {
	struct pace p;
	struct mono now, arrives[PACE_OPEN_MAX], free;
	uint32_t most_open;
	uint64_t longest_ms; /* from a picture's beginning to its acknowledgement */
};

static void
run(struct line *l, uint32_t rate, uint64_t delay_ms, size_t bytes, uint32_t seconds)
{
	l->most_open = 0;
	l->longest_ms = 0;
	struct mono end = mono_add_ms(l->now, seconds * 1000);
	for (; mono_before(l->now, end); l->now = mono_add_ms(l->now, 1)) {
		struct pace *p = &l->p;
		while (p->acked < p->sent &&
			!mono_before(l->now, l->arrives[(p->acked + 1) % PACE_OPEN_MAX])) {
			uint64_t took = mono_diff_ms(
				p->pictures[(p->acked + 1) % PACE_OPEN_MAX].begun, l->now);
			l->longest_ms = took > l->longest_ms ? took : l->longest_ms;
			assert_int_equal(pace_ack(p, p->acked + 1, l->now), 0);
		}
		if (pace_wait_ms(p, l->now) != 0)
			continue;
		pace_capture(p, l->now);
		send(p, bytes, l->now);
		struct mono begin = mono_before(l->now, l->free) ? l->free : l->now;
		l->free = mono_add_ms(begin, bytes / rate);
		l->arrives[p->sent % PACE_OPEN_MAX] = mono_add_ms(l->free, delay_ms);
		uint32_t open = p->sent - p->acked;
		l->most_open = open > l->most_open ? open : l->most_open;
	}
}

static void
test_long_path_is_filled(void **state)
{
	(void)state;
	struct line l = {.now = {1000000}};
	pace_init(&l.p, 33);
	run(&l, 10000, 160, 2000, 2);
	uint32_t before = l.p.sent;
	run(&l, 10000, 160, 2000, 10);
	assert_in_range(l.p.sent - before, 295, 304); /* two at a time: 125 */
	assert_in_range(l.most_open, 5, 6);
}

static void
test_slow_path_is_not(void **state)
{
	(void)state;
	struct line l = {.now = {1000000}};
	pace_init(&l.p, 33);
	/* 1 Mbit/s and 30 ms: small pictures first, then large ones of 160 ms each */
	run(&l, 125, 30, 300, 5);
	run(&l, 125, 30, 20000, 20);
	run(&l, 125, 30, 20000, 20);
	assert_in_range(l.most_open, 2, 2);
	assert_in_range(l.longest_ms, 190, 400); /* one on the way, one behind it */
}

/* Large pictures tell how fast a path is, also when small ones follow them closely; those tell how
 * long it is. */
static void
test_rate_is_learnt(void **state)
{
	(void)state;
	struct line l = {.now = {1000000}};
	pace_init(&l.p, 33);
	assert_int_equal(pace_bytes(&l.p, 1000), 0);
	run(&l, 40, 60, 200, 2);
	assert_int_equal(pace_bytes(&l.p, 1000), 0);
	for (int i = 0; i < 10; i++) {
		run(&l, 40, 60, 4000, 1);
		run(&l, 40, 60, 50, 1);
		assert_in_range(pace_bytes(&l.p, 1000), 15000, 60000);
	}
	run(&l, 4000, 60, 50000, 4);
	assert_in_range(pace_bytes(&l.p, 1000), 400000, 8000000);
}

/* Nothing more to carry: when the acknowledgement has come, or when it must be on its way. */
static void
test_idle(void **state)
{
	(void)state;
	struct pace p;
	struct mono t = {1000000};
	pace_init(&p, 15);
	assert_int_equal(pace_idle_ms(&p, t), 0);
	send(&p, 10000, t);
	assert_int_equal(pace_idle_ms(&p, t), PACE_NEVER); /* no rate is known */
	t = mono_add_ms(t, 100);
	assert_int_equal(pace_ack(&p, 1, t), 0);
	assert_int_equal(pace_idle_ms(&p, t), 0);
	send(&p, 5000, t);
	int wait = pace_idle_ms(&p, t);
	assert_in_range(wait, 25, 51);
	assert_int_equal(pace_idle_ms(&p, mono_add_ms(t, 51)), 0);
	send(&p, 100, t);
	assert_int_equal(pace_idle_ms(&p, mono_add_ms(t, 1000)), PACE_NEVER);
}

/* What is tried: a client that acknowledges pictures before it can have drawn them. What comes of
 * it: no more are on the way than the bound. */
static void
test_attack_acks_at_once(void **state)
{
	(void)state;
	struct pace p;
	struct mono t = {1000000};
	pace_init(&p, 0);
	for (int i = 0; i < 1000; i++) {
		while (pace_wait_ms(&p, t) == 0)
			send(&p, SIZE_MAX / 64, t);
		assert_in_range(p.sent - p.acked, 1, PACE_OPEN_MAX);
		assert_int_equal(pace_ack(&p, p.sent, t), 0);
	}
}

static void
test_wrong_acks(void **state)
{
	(void)state;
	struct pace p;
	struct mono t = {1};
	pace_init(&p, 0);
	assert_int_equal(pace_ack(&p, 0, t), -ERR_PROTOCOL);
	assert_int_equal(pace_ack(&p, 1, t), -ERR_PROTOCOL);
	pace_begin(&p, t);
	assert_int_equal(pace_ack(&p, 2, t), -ERR_PROTOCOL);
	assert_int_equal(pace_ack(&p, UINT32_MAX, t), -ERR_PROTOCOL);
	assert_int_equal(pace_ack(&p, 1, t), 0);
	assert_int_equal(pace_ack(&p, 1, t), -ERR_PROTOCOL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_echo_goes_at_once),
		cmocka_unit_test(test_two_open),
		cmocka_unit_test(test_long_path_is_filled),
		cmocka_unit_test(test_slow_path_is_not),
		cmocka_unit_test(test_rate_is_learnt),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_attack_acks_at_once),
		cmocka_unit_test(test_wrong_acks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
