/* controller/share: one rate, several gates, some of which lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "controller/share.h"

/* Claims of one rate in the order of their gates; used 1001: hungry. */
enum {
	HUNGRY = SHARE_WHOLE + 1
};

static void
divide(const uint32_t *used, size_t count, uint32_t *ret_parts)
{
	struct share_claim claims[SHARE_GATES_MAX], *of[SHARE_GATES_MAX] = {NULL};
	uint32_t sum = 0;
	for (size_t i = 0; i < count; i++) {
		claims[i] = (struct share_claim){.used = used[i] == HUNGRY ? 0 : used[i],
			.hungry = used[i] == HUNGRY,
			.part = 777};
		of[i] = &claims[i];
	}
	share_divide(of, count);
	for (size_t i = 0; i < count; i++)
		sum += ret_parts[i] = claims[i].part;
	assert_in_range(sum, SHARE_WHOLE - count + 1, SHARE_WHOLE); /* nothing lies idle */
}

static void
test_divide(void **state)
{
	static const struct {
		size_t count;
		uint32_t used[4], parts[4];
	} cases[] = {
		{1, {0}, {1000}},
		{1, {1000}, {1000}},
		{1, {HUNGRY}, {1000}},
		{2, {HUNGRY, HUNGRY}, {500, 500}},
		{3, {HUNGRY, HUNGRY, HUNGRY}, {333, 333, 333}},
		/* next to nothing: the least part, and room to grow */
		{2, {HUNGRY, 5}, {875, 125}},
		{2, {HUNGRY, 200}, {700, 300}},
		{2, {HUNGRY, 400}, {500, 500}},
		/* what one leaves falls to the others */
		{4, {HUNGRY, HUNGRY, 100, 100}, {350, 350, 150, 150}},
		/* nobody is hungry: all has its place */
		{2, {300, 10}, {662, 337}},
		{4, {0, 0, 0, 0}, {250, 250, 250, 250}},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint32_t parts[4];
		divide(cases[i].used, cases[i].count, parts);
		for (size_t k = 0; k < cases[i].count; k++)
			assert_int_equal(parts[k], cases[i].parts[k]);
	}
}

/* Tried: gates that were taken over claim whatever they like of a rate, so that an honest one gets
 * less. What comes of it: it has its equal part as far as it wants that, and its least part
 * always; nobody's claim makes more than the whole of it. */
static void
test_attack_claims(void **state)
{
	(void)state;
	srandom(7);
	for (int turn = 0; turn < 20000; turn++) {
		size_t count = 1 + (size_t)random() % SHARE_GATES_MAX;
		uint32_t used[SHARE_GATES_MAX], parts[SHARE_GATES_MAX];
		for (size_t i = 0; i < count; i++)
			used[i] = random() % 3 ? (uint32_t)random() % (HUNGRY + 1)
					       : (uint32_t)random() | 1u << 31;
		uint32_t mine = used[0] = (uint32_t)random() % (HUNGRY + 1);
		divide(used, count, parts);
		uint32_t equal = SHARE_WHOLE / (uint32_t)count;
		assert_true(parts[0] >= equal / SHARE_LEAST_OF);
		assert_true(parts[0] >= (mine < equal ? mine : equal));
		assert_true(parts[0] <= SHARE_WHOLE);
	}
}

static struct shares shares;

static int
teardown(void **state)
{
	(void)state;
	share_fini(&shares);
	return 0;
}

static int
claim(uint64_t gate, const char *organisation, uint32_t prefecture, uint32_t used, uint64_t at_ms)
{
	struct share_claim c = {.prefecture = prefecture,
		.gate = gate,
		.at_ms = at_ms,
		.used = used == HUNGRY ? 0 : used,
		.hungry = used == HUNGRY};
	strncpy(c.organisation, organisation, sizeof c.organisation - 1);
	return share_claim(&shares, &c);
}

/* What a gate is told of a rate; 0 = nothing. */
static uint32_t
told(uint64_t gate, const char *organisation, uint32_t prefecture)
{
	uint32_t part = 0;
	for (size_t i = 0; i < shares.count; i++) {
		const struct share_claim *c = shares.claims[i];
		if (c->gate != gate || strcmp(c->organisation, organisation) != 0 ||
			(!*organisation && c->prefecture != prefecture) || !c->tell)
			continue;
		assert_int_equal(part, 0); /* once */
		part = c->part;
	}
	return part;
}

static void
test_rounds(void **state)
{
	(void)state;
	/* alone: nothing to say */
	claim(1, "city", 13, HUNGRY, 1000);
	claim(1, "", 13, HUNGRY, 1000);
	share_round(&shares, 1500);
	assert_int_equal(told(1, "city", 13), 0);
	/* another one comes, which does not know the city's prefecture; it has spoken twice */
	claim(1, "city", 13, HUNGRY, 2000);
	claim(1, "", 13, HUNGRY, 2000);
	claim(2, "city", 0, 5, 1900);
	claim(2, "city", 0, HUNGRY, 2100);
	claim(2, "", 14, HUNGRY, 2100);
	share_round(&shares, 2500);
	assert_int_equal(told(1, "city", 13), 500);
	assert_int_equal(told(2, "city", 0), 500);
	assert_int_equal(told(1, "", 13), 0); /* prefectures of one gate each */
	assert_int_equal(told(2, "", 14), 0);
	/* one that says nothing more keeps its part for a while, and hears when it is over */
	claim(1, "city", 13, HUNGRY, 5000);
	share_round(&shares, 5050);
	assert_int_equal(told(2, "city", 0), 500);
	share_round(&shares, 5100);
	assert_int_equal(told(1, "city", 13), 1000);
	assert_int_equal(told(2, "city", 0), 1000);
	share_round(&shares, 5200);
	assert_int_equal(told(1, "city", 13), 0);
	assert_int_equal(told(2, "city", 0), 0);
	/* one whose link breaks is forgotten at once */
	claim(2, "city", 0, HUNGRY, 5300);
	share_round(&shares, 5400);
	assert_int_equal(told(1, "city", 13), 500);
	share_forget(&shares, 2);
	share_round(&shares, 5500);
	assert_int_equal(told(1, "city", 13), 1000);
	/* in the end nothing is left */
	share_round(&shares, 60000);
	assert_int_equal(shares.count, 0);
	assert_int_equal(shares.gate_count, 0);
}

/* Tried: a gate that was taken over claims parts of more organisations than there are, many times
 * a second, and more gates come than can be. What comes of it: its own claims are refused; what
 * the others claim counts as before. */
static void
test_attack_flood(void **state)
{
	(void)state;
	char name[32];
	int refused = 0;
	for (int i = 0; i < 3 * SHARE_CLAIMS_MAX; i++) {
		snprintf(name, sizeof name, "made-up-%d", i);
		int r = claim(666, name, 13, HUNGRY, 1000);
		assert_true(r == 0 || r == -ERR_LIMIT);
		refused += r < 0;
	}
	assert_int_equal(refused, 2 * SHARE_CLAIMS_MAX);
	assert_int_equal(shares.count, SHARE_CLAIMS_MAX);
	for (uint64_t gate = 1; gate < SHARE_GATES_MAX; gate++)
		assert_int_equal(claim(gate, "city", 13, HUNGRY, 1000), 0);
	assert_int_equal(claim(99, "city", 13, HUNGRY, 1000), -ERR_LIMIT);
	for (uint64_t now = 1500; now < 3000; now += 500) {
		share_round(&shares, now);
		for (uint64_t gate = 1; gate < SHARE_GATES_MAX; gate++)
			assert_int_equal(
				told(gate, "city", 13), SHARE_WHOLE / (SHARE_GATES_MAX - 1));
		assert_int_equal(claim(666, "city", 13, HUNGRY, now), -ERR_LIMIT);
	}
	share_forget(&shares, 666);
	assert_int_equal(claim(99, "city", 13, HUNGRY, 3000), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_divide),
		cmocka_unit_test(test_attack_claims),
		cmocka_unit_test_teardown(test_rounds, teardown),
		cmocka_unit_test_teardown(test_attack_flood, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
