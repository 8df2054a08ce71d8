/* gate/fair: shares of organisations and prefectures, by a clock of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gate/fair.h"

#define SECOND UINT64_C(1000000000)

static struct fair fair;
static uint64_t now;

static int
setup(void **state)
{
	(void)state;
	fair = (struct fair){.table = calloc(1, sizeof *fair.table)};
	fair.rates.burst_ns = SECOND / 10;
	now = 1000 * SECOND;
	return !fair.table;
}

static int
teardown(void **state)
{
	(void)state;
	free(fair.table);
	return 0;
}

/* Reads what it may, at most most in one millisecond. */
static uint64_t
read_once(size_t row, size_t most)
{
	enum fair_limit why;
	size_t n = fair_allowance(&fair, row, most, now, &why);
	assert_true((n == 0) == (why != FAIR_FREE));
	if (n)
		fair_charge(&fair, row, n, 1, now);
	return n;
}

/* Each row wants wants[i] bytes a millisecond for so many seconds; *got is what it had after the
 * first one. */
static void
run(const size_t *rows, const size_t *wants, size_t count, unsigned seconds, uint64_t *got)
{
	memset(got, 0, count * sizeof *got);
	for (unsigned ms = 0; ms < 1000 * (seconds + 1); ms++) {
		if (ms % 250 == 0)
			fair_tick(&fair, now);
		for (size_t i = 0; i < count; i++) {
			uint64_t n = wants[i] ? read_once(rows[i], wants[i]) : 0;
			if (ms >= 1000)
				got[i] += n;
		}
		now += SECOND / 1000;
	}
}

static void
near(uint64_t got, uint64_t expected)
{
	assert_in_range(got, expected * 9 / 10, expected * 11 / 10);
}

static void
test_organisation(void **state)
{
	(void)state;
	size_t row = fair_row(fair.table, "a"), other = fair_row(fair.table, "b");
	uint64_t got;
	assert_int_equal(fair_row(fair.table, "a"), row);
	assert_int_not_equal(row, other);
	fair.rates.organisation = 1000000;
	run(&row, (size_t[]){50000}, 1, 10, &got);
	near(got, 10000000);
	/* another one has lost nothing by it */
	assert_int_equal(read_once(other, 50000), 50000);
}

static void
test_no_limit(void **state)
{
	(void)state;
	size_t row = fair_row(fair.table, "a");
	uint64_t got;
	run(&row, (size_t[]){65536}, 1, 2, &got);
	assert_int_equal(got, UINT64_C(2000) * 65536);
}

static void
test_prefecture_is_shared(void **state)
{
	(void)state;
	size_t rows[3] = {
		fair_row(fair.table, "a"), fair_row(fair.table, "b"), fair_row(fair.table, "c")};
	uint64_t got[3];
	fair.rates.prefecture = 3000000;
	for (int i = 0; i < 3; i++)
		fair_note(fair.table, rows[i], 13, 1);
	run(rows, (size_t[]){60000, 60000, 60000}, 3, 10, got);
	for (int i = 0; i < 3; i++)
		near(got[i], 10000000);
	/* who wants less than its part gets all it wants, and the others have the rest */
	run(rows, (size_t[]){60000, 60000, 300}, 3, 10, got);
	assert_in_range(got[2], 2900000, 3000000);
	assert_in_range(got[0] + got[1] + got[2], 25000000, 31000000); /* their parts alone: 23 */
	assert_true(
		got[0] > 9000000 && got[1] > 9000000); /* what is left over may fall to either */
	/* one alone has everything */
	run(rows, (size_t[]){60000, 0, 0}, 3, 10, got);
	near(got[0], 30000000);
}

/* Two gates: this one has its part of a rate while it is told so. */
static void
test_shares(void **state)
{
	(void)state;
	size_t row = fair_row(fair.table, "a");
	struct fair_organisation *o = &fair.table->organisations[row];
	uint64_t got;
	fair.rates.organisation = 1000000;
	fair_give(&o->share, 250, now);
	run(&row, (size_t[]){50000}, 1, 3, &got);
	near(got, 750000);
	assert_true(now - o->hungry_ns < SECOND);
	/* nobody has said it again: whole */
	now += 2 * SECOND;
	assert_int_equal(fair_share(&o->share, now), FAIR_WHOLE);
	run(&row, (size_t[]){50000}, 1, 3, &got);
	near(got, 3000000);
	/* of a prefecture, also where its organisations have parts of it */
	fair.rates.organisation = 0;
	fair.rates.prefecture = 1000000;
	fair_note(fair.table, row, 13, 1);
	fair_give(&fair.table->prefecture_share[13], 500, now);
	run(&row, (size_t[]){50000}, 1, 3, &got);
	near(got, 1500000);
	assert_true(now - fair.table->prefecture_hungry_ns[13] < SECOND);
	fair_whole(fair.table);
	run(&row, (size_t[]){50000}, 1, 3, &got);
	near(got, 3000000);
	assert_true(fair_is(fair.table, row, "a"));
	assert_false(fair_is(fair.table, row, "b"));
	assert_false(fair_is(fair.table, row + 1, ""));
	assert_false(fair_is(fair.table, UINT32_MAX, "a"));
}

/* Tried: a worker that went mad writes parts that nobody gave: nothing, more than the whole, for
 * ever. What comes of it: the whole rate. */
static void
test_attack_share(void **state)
{
	(void)state;
	_Atomic uint64_t share;
	const uint64_t mad[] = {UINT64_MAX, UINT64_MAX & ~UINT64_C(1023), 500,
		((now + SECOND) | 1023), (now + SECOND) & ~UINT64_C(1023),
		((now + 3600 * SECOND) & ~UINT64_C(1023)) | 1};
	for (size_t i = 0; i < sizeof mad / sizeof mad[0]; i++) {
		atomic_store(&share, mad[i]);
		assert_int_equal(fair_share(&share, now), FAIR_WHOLE);
	}
	fair_give(&share, 1, now);
	assert_int_equal(fair_share(&share, now), 1);
}

static void
test_weights(void **state)
{
	(void)state;
	size_t rows[2] = {fair_row(fair.table, "city"), fair_row(fair.table, "village")};
	uint64_t got[2];
	fair.rates.prefecture = 4000000;
	fair_note(fair.table, rows[0], 1, 3);
	fair_note(fair.table, rows[1], 1, 0);
	run(rows, (size_t[]){60000, 60000}, 2, 10, got);
	near(got[0], 30000000);
	near(got[1], 10000000);
}

/* Attack: one organisation asks a hundred times as often; and tickets name more organisations than
 * there are. */
static void
test_attack_flood(void **state)
{
	(void)state;
	size_t rows[101];
	size_t wants[101];
	uint64_t got[101], flood = 0;
	char name[32];
	fair.rates.prefecture = 2000000;
	for (size_t i = 0; i < 101; i++) {
		rows[i] = fair_row(fair.table, i < 100 ? "flood" : "quiet");
		wants[i] = 60000;
		fair_note(fair.table, rows[i], 13, 1);
	}
	run(rows, wants, 101, 10, got);
	for (size_t i = 0; i < 100; i++)
		flood += got[i];
	near(got[100], 10000000);
	near(flood, 10000000);
	for (int i = 0; i < 3 * FAIR_ORGANISATIONS; i++) {
		snprintf(name, sizeof name, "made-up-%d", i);
		assert_true(fair_row(fair.table, name) < FAIR_ORGANISATIONS);
	}
	assert_int_equal(fair_row(fair.table, "quiet"), rows[100]);
	fair_note(fair.table, 0, 4000000000u, 0); /* no prefecture */
	fair_tick(&fair, now);
}

/* To another version: who is there, what it weighs, what it owes. */
static void
test_crosses(void **state)
{
	(void)state;
	static uint8_t data[400000];
	struct fair_table *to = calloc(1, sizeof *to);
	char name[FAIR_NAME_SIZE];
	assert_non_null(to);
	for (unsigned i = 0; i < FAIR_ORGANISATIONS + 5; i++) {
		snprintf(name, sizeof name, "%u-a-name-that-takes-up-as-much-room-as-it-may", i);
		fair_note(fair.table, fair_row(fair.table, name), 1 + i % 47, 1 + i % 9);
	}
	fair.rates = (struct fair_rates){1000, 1000, SECOND};
	fair_tick(&fair, now);
	fair_charge(&fair, 7, 20000, 1, now);
	assert_int_equal(fair_handshake(&fair.table->organisations[7], 2, 10, now), 1);
	fair_row(to, "already-there");
	/* in as many messages as it takes */
	size_t next = 0, len, messages = 0;
	while ((len = fair_pack(fair.table, &next, data, 32768)) > 0) {
		assert_int_equal(fair_unpack(to, data, len, now), 0);
		messages++;
	}
	assert_true(messages > 2);
	for (unsigned i = 0; i < FAIR_ORGANISATIONS - 2; i++) {
		const struct fair_organisation *a = &fair.table->organisations[i];
		const struct fair_organisation *b = &to->organisations[i + 1];
		assert_string_equal(a->name, b->name);
		assert_int_equal(a->prefecture, b->prefecture);
		assert_int_equal(a->weight, b->weight);
		assert_int_equal(a->own_ns, b->own_ns);
		assert_int_equal(a->part_ns, b->part_ns);
		assert_int_equal(a->handshakes_ns, b->handshakes_ns);
	}
	assert_memory_equal(to->prefecture_ns, fair.table->prefecture_ns, sizeof to->prefecture_ns);
	assert_true(to->prefecture_ns[8] > 0);
	/* cut anywhere it is refused, or the whole of what came before; never more than that */
	next = 0;
	len = fair_pack(fair.table, &next, data, 2000);
	for (size_t cut = 0; cut < len; cut++)
		fair_unpack(to, data, cut, now);
	/* a moment out of this world is none */
	memset(data + 2 + data[1] + 8, 0xff, 8);
	assert_int_equal(fair_unpack(to, data, len, now), 0);
	assert_true(to->organisations[1].own_ns <= now + FAIR_DEBT_MAX_S * SECOND);
	free(to);
}

/* Tried: an organisation with a name that is longer than its place in the table comes again and
 * again. What comes of it: one row. */
static void
test_attack_long_name(void **state)
{
	(void)state;
	char name[3 * FAIR_NAME_SIZE];
	for (size_t len = FAIR_NAME_SIZE - 2; len < sizeof name; len++) {
		memset(name, 'x', len);
		name[len] = '\0';
		size_t row = fair_row(fair.table, name);
		assert_int_equal(fair_row(fair.table, name), row);
		assert_true(row < 2);
	}
}

static void
test_handshakes(void **state)
{
	(void)state;
	struct fair_organisation *o = &fair.table->organisations[fair_row(fair.table, "a")];
	int passed = 0;
	for (int i = 0; i < 100; i++)
		passed += fair_handshake(o, 5, 10, now);
	assert_int_equal(passed, 50);
	for (int i = 0; i < 60; i++) {
		now += SECOND;
		for (int k = 0; k < 7; k++)
			passed += fair_handshake(o, 5, 10, now);
	}
	assert_in_range(passed, 50 + 59 * 5, 50 + 61 * 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_organisation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_prefecture_is_shared, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shares, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attack_share, setup, teardown),
		cmocka_unit_test_setup_teardown(test_weights, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attack_flood, setup, teardown),
		cmocka_unit_test_setup_teardown(test_crosses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_handshakes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attack_long_name, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
