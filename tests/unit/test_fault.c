/* gate/fault: penalties, by a clock of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gate/fault.h"
#include "gate/limit.h"

enum {
	MINUTE = FAULT_MINUTE_MS
};

static struct faults faults;
static uint64_t now;

static int
setup(void **state)
{
	(void)state;
	faults = (struct faults){.table = calloc(1, sizeof *faults.table),
		.seed = {0x123456789abcdef1, 0xfedcba9876543210},
		.per_minute = {10, 10, 10}};
	now = 1000000;
	return !faults.table;
}

static int
teardown(void **state)
{
	(void)state;
	free(faults.table);
	return 0;
}

static const uint8_t *
key(uint32_t n)
{
	static uint8_t k[FAULT_KEY_BYTES];
	memset(k, 0, sizeof k);
	memcpy(k + 4, &n, sizeof n);
	return k;
}

static void
test_so_many_in_a_minute(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		assert_int_equal(fault_over(&faults, FAULT_AGENT, key(1), now), 0);
		fault_note(&faults, FAULT_AGENT, key(1), now);
	}
	assert_int_equal(fault_over(&faults, FAULT_AGENT, key(1), now), 0);
	fault_note(&faults, FAULT_AGENT, key(1), now);
	assert_int_equal(fault_over(&faults, FAULT_AGENT, key(1), now), MINUTE / 10);
	/* nobody else, and not the same bytes as something else */
	assert_int_equal(fault_over(&faults, FAULT_AGENT, key(2), now), 0);
	assert_int_equal(fault_over(&faults, FAULT_DEVICE, key(1), now), 0);
	assert_int_equal(fault_over(&faults, FAULT_SOURCE, key(1), now), 0);
	assert_int_equal(fault_over(&faults, FAULT_AGENT, key(1), now + MINUTE / 10), 0);
}

/* However many there were: a minute after the last one it may come again. */
static void
test_ends(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++)
		fault_note(&faults, FAULT_SOURCE, key(1), now);
	assert_int_equal(fault_over(&faults, FAULT_SOURCE, key(1), now), MINUTE);
	assert_true(fault_over(&faults, FAULT_SOURCE, key(1), now + MINUTE - 8) > 0);
	assert_int_equal(fault_over(&faults, FAULT_SOURCE, key(1), now + MINUTE), 0);
	/* and whoever does it now and then is never refused */
	for (int i = 0; i < 1000; i++) {
		fault_note(&faults, FAULT_SOURCE, key(9), now);
		assert_int_equal(fault_over(&faults, FAULT_SOURCE, key(9), now), 0);
		now += MINUTE / 10;
	}
}

static void
test_off(void **state)
{
	(void)state;
	struct faults off = faults;
	off.per_minute[FAULT_SOURCE] = 0;
	for (int i = 0; i < 1000; i++)
		fault_note(&off, FAULT_SOURCE, key(1), now);
	assert_int_equal(fault_over(&off, FAULT_SOURCE, key(1), now), 0);
	off.table = NULL;
	fault_note(&off, FAULT_AGENT, key(1), now);
	assert_int_equal(fault_over(&off, FAULT_AGENT, key(1), now), 0);
}

/* Tried: a hundred thousand addresses with faults, to fill the table and have others refused for
 * them. What comes of it: nobody is refused who has no fault of his own, and the table is as large
 * as before. */
static void
test_attack_many_sources(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 100000; i++)
		for (int n = 0; n < 11; n++)
			fault_note(&faults, FAULT_SOURCE, key(i), now);
	for (uint32_t i = 100000; i < 400000; i++)
		assert_int_equal(fault_over(&faults, FAULT_SOURCE, key(i), now), 0);
	/* who comes after the flood is still known for what it does */
	for (int n = 0; n < 12; n++)
		fault_note(&faults, FAULT_SOURCE, key(999999), now + 1);
	assert_true(fault_over(&faults, FAULT_SOURCE, key(999999), now + 1) > 0);
}

/* IPv4 whole, IPv6 by its /64, and the two never the same. */
static void
test_source_keys(void **state)
{
	(void)state;
	struct address v4 = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3}}, other = v4;
	struct address v6 = {{0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 1}}, same = v6;
	struct address alike = {{0, 0, 0xff, 0xff, 10, 1, 2, 3}};
	uint8_t a[FAULT_KEY_BYTES], b[FAULT_KEY_BYTES];
	other.bytes[15] = 4;
	same.bytes[15] = 77;
	limit_source_key(&v4, a);
	limit_source_key(&other, b);
	assert_memory_not_equal(a, b, sizeof a);
	limit_source_key(&alike, b);
	assert_memory_not_equal(a, b, sizeof a);
	limit_source_key(&v6, a);
	limit_source_key(&same, b);
	assert_memory_equal(a, b, sizeof a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_so_many_in_a_minute, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_off, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attack_many_sources, setup, teardown),
		cmocka_unit_test(test_source_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
