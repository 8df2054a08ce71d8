/* crypto/ticket: late, early, forged and misshapen tickets; single use with a memory that is full
 * and turns over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <pb_encode.h>

#include "base/err.h"
#include "crypto/ticket.h"

enum {
	NOW_S = 1795000000
};

static EVP_PKEY *key;
static uint8_t point[1][SIGN_POINT_BYTES];

static int
setup(void **state)
{
	(void)state;
	key = sign_key_generate();
	return !key || sign_key_point(key, point[0]) < 0;
}

static int
teardown(void **state)
{
	(void)state;
	sign_key_free(key);
	return 0;
}

static engawa_TicketBody
body(void)
{
	engawa_TicketBody b = engawa_TicketBody_init_zero;
	b.session_id.size = b.agent_id.size = 16;
	b.agent_key.size = b.device_hash.size = 32;
	memset(b.agent_id.bytes, 7, 16);
	strcpy(b.organisation, "hinata-city");
	strcpy(b.client_address, "2001:db8::1");
	strcpy(b.gates[0], "gate-1");
	b.gates_count = 1;
	b.issued_s = NOW_S;
	b.not_after_s = NOW_S + TICKET_LIFE_S;
	return b;
}

static int
verify(const void *ticket, size_t len, uint64_t now_s, engawa_TicketBody *ret)
{
	return ticket_verify((const void *)point, 1, ticket, len, now_s, ret);
}

/* Signs what ticket_issue would refuse. */
static int
verify_body(const engawa_TicketBody *b)
{
	uint8_t bytes[engawa_TicketBody_size], ticket[TICKET_MAX_BYTES];
	size_t len;
	engawa_TicketBody got;
	pb_ostream_t out = pb_ostream_from_buffer(bytes, sizeof bytes);
	assert_true(pb_encode(&out, engawa_TicketBody_fields, b));
	assert_int_equal(sign_envelope(key, "engawa ticket v1", bytes, out.bytes_written, ticket,
				 sizeof ticket, &len),
		0);
	return verify(ticket, len, NOW_S, &got);
}

static void
test_time(void **state)
{
	(void)state;
	static const struct {
		int64_t offset;
		int want;
	} cases[] = {
		{0, 0},
		{60, 0},
		{61, -ERR_TICKET_EXPIRED},
		{86400, -ERR_TICKET_EXPIRED},
		{-5, 0},
		{-6, -ERR_CLOCK},
		{-86400, -ERR_CLOCK},
	};
	uint8_t ticket[TICKET_MAX_BYTES];
	size_t len;
	engawa_TicketBody b = body(), got;
	assert_int_equal(ticket_issue(key, &b, ticket, sizeof ticket, &len), 0);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		memset(&got, 0xee, sizeof got);
		assert_int_equal(verify(ticket, len, (uint64_t)(NOW_S + cases[i].offset), &got),
			cases[i].want);
		if (cases[i].want == 0)
			assert_string_equal(got.organisation, "hinata-city");
		else
			assert_int_equal(got.issued_s, 0xeeeeeeeeeeeeeeeeu); /* not written */
	}
}

static void
test_forged(void **state)
{
	(void)state;
	uint8_t ticket[TICKET_MAX_BYTES + 1] = {0}, bytes[engawa_TicketBody_size];
	size_t len;
	engawa_TicketBody b = body(), got;
	EVP_PKEY *rogue = sign_key_generate();
	assert_int_equal(ticket_issue(rogue, &b, ticket, sizeof ticket, &len), 0);
	assert_int_equal(verify(ticket, len, NOW_S, &got), -ERR_SIGNATURE);
	sign_key_free(rogue);
	/* the right key, signing something else */
	pb_ostream_t out = pb_ostream_from_buffer(bytes, sizeof bytes);
	assert_true(pb_encode(&out, engawa_TicketBody_fields, &b));
	assert_int_equal(sign_envelope(key, "engawa statement v1", bytes, out.bytes_written, ticket,
				 sizeof ticket, &len),
		0);
	assert_int_equal(verify(ticket, len, NOW_S, &got), -ERR_SIGNATURE);
	assert_int_equal(ticket_issue(key, &b, ticket, sizeof ticket, &len), 0);
	for (size_t at = 0; at < len; at++) {
		ticket[at] ^= 0x20;
		assert_true(verify(ticket, len, NOW_S, &got) < 0);
		ticket[at] ^= 0x20;
	}
	for (size_t cut = 0; cut < len; cut++)
		assert_true(verify(ticket, cut, NOW_S, &got) < 0);
	assert_int_equal(verify(ticket, sizeof ticket, NOW_S, &got), -ERR_PROTOCOL);
}

static void
test_shape(void **state)
{
	(void)state;
	uint8_t ticket[TICKET_MAX_BYTES];
	size_t len;
	engawa_TicketBody b = body();
	assert_int_equal(verify_body(&b), 0);
	b.session_id.size = 15;
	assert_int_equal(verify_body(&b), -ERR_PROTOCOL);
	assert_int_equal(ticket_issue(key, &b, ticket, sizeof ticket, &len), -ERR_PROTOCOL);
	b = body(), b.agent_key.size = 0;
	assert_int_equal(verify_body(&b), -ERR_PROTOCOL);
	b = body(), b.device_hash.size = 31;
	assert_int_equal(verify_body(&b), -ERR_PROTOCOL);
	b = body(), b.gates_count = 0;
	assert_int_equal(verify_body(&b), -ERR_PROTOCOL);
	b = body(), strcpy(b.gates[0], "gate\n");
	assert_int_equal(verify_body(&b), -ERR_PROTOCOL);
	b = body(), b.organisation[0] = '\0';
	assert_int_equal(verify_body(&b), -ERR_PROTOCOL);
	b = body(), strcpy(b.organisation, "\xff");
	assert_int_equal(verify_body(&b), -ERR_PROTOCOL);
	b = body(), b.not_after_s++; /* lives longer than a ticket may */
	assert_int_equal(verify_body(&b), -ERR_PROTOCOL);
	b = body(), b.not_after_s = b.issued_s - 1;
	assert_int_equal(verify_body(&b), -ERR_PROTOCOL);
	b = body(), b.not_after_s = UINT64_MAX, b.issued_s = UINT64_MAX;
	assert_int_equal(verify_body(&b), -ERR_CLOCK);
}

static void
make_id(uint8_t id[16], uint32_t number)
{
	memset(id, 0, 16);
	memcpy(id, &number, sizeof number);
}

static void
test_single_use(void **state)
{
	(void)state;
	struct ticket_memory *memory = ticket_memory_new(100);
	uint8_t id[16] = {0};
	assert_int_equal(ticket_memory_use(memory, id, 0, NOW_S), 0);
	for (uint64_t t = 0; t < 2 * TICKET_LIFE_S; t++)
		assert_int_equal(ticket_memory_use(memory, id, 0, NOW_S + t), -ERR_TICKET_BAD);
	assert_int_equal(ticket_memory_use(memory, id, 0, NOW_S - 1000),
		-ERR_TICKET_BAD); /* clock set back */
	assert_int_equal(ticket_memory_use(memory, id, 0, NOW_S + 4 * TICKET_LIFE_S), 0);
	ticket_memory_free(memory);
	ticket_memory_free(NULL);
}

/* What is tried: a ticket that was used is shown again after the wall clock went far forward and
 * back, so that it is valid once more while nobody remembers it. What comes of it: it is refused;
 * the tickets of the time in between, and of now, are good. */
static void
test_attack_clock_set_to_and_fro(void **state)
{
	(void)state;
	enum {
		HOUR = 3600
	};
	struct ticket_memory *memory = ticket_memory_new(100);
	uint8_t id[16];
	uint32_t number = 0;
	uint64_t mono_s = 500;
	make_id(id, number++);
	assert_int_equal(ticket_memory_use(memory, id, NOW_S + 60, mono_s), 0);
	/* an hour, as long as nobody sets it: each ticket once */
	for (uint64_t t = 1; t < HOUR; t += 20) {
		make_id(id, number++);
		assert_int_equal(ticket_memory_use(memory, id, NOW_S + t + 60, mono_s + t), 0);
	}
	mono_s += HOUR;
	for (int jump = 1; jump < 20; jump++) { /* ten hours to and fro, many times */
		make_id(id, number++);
		mono_s += 5 * TICKET_LIFE_S;
		uint64_t end_s =
			NOW_S + (uint64_t)(jump % 2 ? jump * 10 * HOUR : 2 * HOUR + jump * 300);
		assert_int_equal(ticket_memory_use(memory, id, end_s, mono_s), 0);
		assert_int_equal(ticket_memory_use(memory, id, end_s, mono_s + 1), -ERR_TICKET_BAD);
	}
	mono_s += 5 * TICKET_LIFE_S;
	for (uint32_t i = 0; i < HOUR / 20; i++) {
		make_id(id, i);
		assert_int_equal(ticket_memory_use(memory, id,
					 i ? NOW_S + 20 * (i - 1) + 61 : NOW_S + 60, mono_s),
			-ERR_TICKET_EXPIRED);
	}
	ticket_memory_free(memory);
}

/* An id used in the last second of one generation is still known twice a ticket's life later. */
static void
test_generations(void **state)
{
	(void)state;
	struct ticket_memory *memory = ticket_memory_new(1000);
	uint8_t id[16];
	for (uint32_t t = 0; t < 1000; t++) {
		make_id(id, t);
		assert_int_equal(ticket_memory_use(memory, id, 0, NOW_S + t), 0);
		make_id(id, t < 2 * TICKET_LIFE_S ? 0 : t - 2 * TICKET_LIFE_S);
		assert_int_equal(ticket_memory_use(memory, id, 0, NOW_S + t), -ERR_TICKET_BAD);
	}
	ticket_memory_free(memory);
}

static void
test_full(void **state)
{
	(void)state;
	struct ticket_memory *memory = ticket_memory_new(50);
	uint8_t id[16];
	for (uint32_t i = 0; i < 50; i++) {
		make_id(id, i);
		assert_int_equal(ticket_memory_use(memory, id, 0, NOW_S), 0);
	}
	make_id(id, 50);
	assert_int_equal(ticket_memory_use(memory, id, 0, NOW_S), -ERR_LIMIT);
	make_id(id, 49);
	assert_int_equal(ticket_memory_use(memory, id, 0, NOW_S), -ERR_TICKET_BAD);
	make_id(id, 50);
	assert_int_equal(ticket_memory_use(memory, id, 0, NOW_S + 2 * TICKET_LIFE_S), 0);
	ticket_memory_free(memory);
	assert_null(ticket_memory_new(SIZE_MAX));
	memory = ticket_memory_new(0);
	assert_int_equal(ticket_memory_use(memory, id, 0, NOW_S), -ERR_LIMIT);
	ticket_memory_free(memory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_forged),
		cmocka_unit_test(test_shape),
		cmocka_unit_test(test_single_use),
		cmocka_unit_test(test_attack_clock_set_to_and_fro),
		cmocka_unit_test(test_generations),
		cmocka_unit_test(test_full),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
