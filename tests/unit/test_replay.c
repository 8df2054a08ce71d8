/* agent/replay: each record exactly once over any number of cuts, and never more memory than it
 * may. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/replay.h"
#include "base/err.h"

enum {
	BIG_BYTES = 60000
};

static struct replay replay;
static uint8_t big[BIG_BYTES];

static int
setup(void **state)
{
	(void)state;
	replay_init(&replay);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	replay_fini(&replay);
	return 0;
}

/* Record number n, of a length that follows from it. */
static size_t
make(uint64_t n, uint8_t out[static 256])
{
	size_t len = (size_t)(n * 37 % 256);
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(n * 131 + i);
	return len;
}

static void
add(uint64_t n)
{
	uint8_t bytes[256] = {0};
	size_t len = make(n, bytes);
	assert_int_equal(replay_add(&replay, (uint8_t)(16 + n % 3), bytes, len), 0);
}

/* The next one is number n, to the byte. */
static void
sends(uint64_t n)
{
	uint8_t bytes[256] = {0}, type;
	const uint8_t *payload;
	size_t len, want = make(n, bytes);
	assert_int_equal(replay_next(&replay, &type, &payload, &len), 1);
	assert_int_equal(type, 16 + n % 3);
	assert_int_equal(len, want);
	assert_memory_equal(payload, bytes, len);
}

static void
sends_nothing(void)
{
	const uint8_t *payload;
	uint8_t type;
	size_t len;
	assert_int_equal(replay_next(&replay, &type, &payload, &len), 0);
}

static void
test_goes_on_in_the_middle(void **state)
{
	(void)state;
	for (uint64_t n = 0; n < 10; n++) {
		add(n);
		sends(n);
	}
	assert_int_equal(replay_confirm(&replay, 4), 0);
	assert_int_equal(replay_resume(&replay, 1, 7), 1);
	assert_int_equal(replay.next, 7);
	for (uint64_t n = 7; n < 10; n++)
		sends(n);
	sends_nothing();
	/* that path has brought two of them, and not the word that it did */
	assert_int_equal(replay_resume(&replay, 1, 9), 1);
	sends(9);
	add(10);
	sends(10);
	sends_nothing();
	/* all of it has come */
	assert_int_equal(replay_confirm(&replay, 11), 0);
	assert_int_equal(replay.kept.len, 0);
	assert_int_equal(replay_resume(&replay, 1, 11), 1);
	sends_nothing();
}

/* A second way is made while the first one works: what the client said it has is old when it goes
 * over. */
static void
test_claim_from_before(void **state)
{
	(void)state;
	for (uint64_t n = 0; n < 8; n++) {
		add(n);
		sends(n);
	}
	assert_int_equal(replay_confirm(&replay, 6), 0);
	assert_int_equal(replay_resume(&replay, 1, 3), 1);
	assert_int_equal(replay.next, 6); /* at most what the client has: it passes over the rest */
	sends(6);
	/* its word about more than has been sent again */
	assert_int_equal(replay_confirm(&replay, 8), 0);
	sends(7);
	sends_nothing();
	assert_int_equal(replay_confirm(&replay, 8), 0);
	assert_int_equal(replay.kept.len, 0);
}

static void
test_another_stream(void **state)
{
	(void)state;
	add(0);
	sends(0);
	replay_begin(&replay);
	assert_int_equal(replay.stream, 2);
	assert_int_equal(replay_resume(&replay, 1, 0), 0);
	assert_int_equal(replay_resume(&replay, 0, 0), 0);
	assert_int_equal(replay_resume(&replay, 2, 0), 1);
	assert_int_equal(replay_resume(&replay, 2, 1), 0);
	add(0);
	sends(0);
}

/* Tried: a client that takes everything and confirms nothing, so that the office PC keeps all it
 * sent. Comes of it: 4 MiB at most, and a new stream when it comes back. */
static void
test_attack_confirms_nothing(void **state)
{
	(void)state;
	const uint8_t *payload;
	uint8_t type;
	size_t len;
	for (int i = 0; i < 1000; i++) {
		big[0] = (uint8_t)i;
		assert_int_equal(replay_add(&replay, 16, big, sizeof big), 0);
		assert_int_equal(replay_next(&replay, &type, &payload, &len), 1);
		assert_int_equal(len, sizeof big);
		assert_int_equal(payload[0], (uint8_t)i);
		assert_true(replay.kept.cap <= REPLAY_MAX_BYTES);
	}
	assert_true(replay.first > 900);
	assert_int_equal(replay_resume(&replay, 1, 0), 0);
	assert_int_equal(replay_resume(&replay, 1, replay.first - 1), 0);
	/* an honest one that was only slow is not punished */
	assert_int_equal(replay_resume(&replay, 1, replay.first), 1);
	assert_int_equal(replay_next(&replay, &type, &payload, &len), 1);
	assert_int_equal(payload[0], (uint8_t)(replay.next - 1));
}

/* Tried: a client says that it has what was never sent, to move the office PC's places beyond its
 * memory. Comes of it: a broken rule, or a new stream. */
static void
test_attack_claims_the_future(void **state)
{
	(void)state;
	add(0);
	sends(0);
	assert_int_equal(replay_confirm(&replay, 2), -ERR_PROTOCOL);
	assert_int_equal(replay_confirm(&replay, UINT64_MAX), -ERR_PROTOCOL);
	assert_int_equal(replay_resume(&replay, 1, 2), 0);
	assert_int_equal(replay_resume(&replay, 1, UINT64_MAX), 0);
	assert_int_equal(replay_confirm(&replay, 1), 0);
	assert_int_equal(replay_confirm(&replay, 0), 0); /* an old word changes nothing */
	assert_int_equal(replay.confirmed, 1);
}

/* Cuts at random, against a client that counts. */
static void
test_any_number_of_cuts(void **state)
{
	(void)state;
	uint64_t made = 0, received = 0, passed_over = 0, n;
	srand(7);
	for (int round = 0; round < 2000; round++) {
		for (int i = rand() % 5; i > 0; i--) {
			uint8_t bytes[256] = {0}, type;
			const uint8_t *payload;
			size_t len;
			if (replay.next == replay.end)
				add(made++);
			n = replay.next;
			assert_int_equal(replay_next(&replay, &type, &payload, &len), 1);
			assert_int_equal(len, make(n, bytes));
			assert_memory_equal(payload, bytes, len);
			if (rand() % 8 == 0)
				break; /* lost with the path that is cut now */
			if (passed_over)
				passed_over--;
			else
				assert_int_equal(received++, n);
			if (rand() % 3 == 0)
				assert_int_equal(replay_confirm(&replay, received), 0);
		}
		uint64_t claim = received - (uint64_t)(rand() % 3 == 0 && received > 1);
		assert_int_equal(replay_resume(&replay, 1, claim), 1);
		assert_true(replay.next <= received);
		passed_over = received - replay.next;
	}
	assert_true(received > 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_goes_on_in_the_middle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_claim_from_before, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_stream, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attack_confirms_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attack_claims_the_future, setup, teardown),
		cmocka_unit_test_setup_teardown(test_any_number_of_cuts, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
