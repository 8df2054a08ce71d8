/* crypto/record: sizes that an eavesdropper sees, and records that are not ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "crypto/record.h"

static const uint8_t key[32] = {4};
static struct noise_cipher sealing, opening;
static uint8_t wire[RECORD_WIRE_MAX_BYTES], plain[RECORD_PLAIN_MAX_BYTES], data[70000];

static int
fresh(void **state)
{
	(void)state;
	noise_cipher_fini(&sealing);
	noise_cipher_fini(&opening);
	return noise_cipher_init(&sealing, key) || noise_cipher_init(&opening, key);
}

static int
done(void **state)
{
	(void)state;
	noise_cipher_fini(&sealing);
	noise_cipher_fini(&opening);
	return 0;
}

static int
open_wire(size_t len, uint8_t *ret_type, const uint8_t **ret_payload, size_t *ret_len)
{
	/* exactly as long as it is, so that the sanitizer sees a look past its end */
	uint8_t *exact = malloc(len ? len : 1);
	memcpy(exact, wire, len);
	int r = record_open(&opening, exact, len, plain, ret_type, ret_payload, ret_len);
	free(exact);
	return r;
}

static void
test_sizes(void **state)
{
	(void)state;
	static const struct {
		enum record_padding padding;
		size_t len, plain_len;
	} cases[] = {
		{RECORD_LOGIN, 0, 1024},
		{RECORD_LOGIN, 1020, 1024},
		{RECORD_LOGIN, 1021, 2048},
		{RECORD_CLIENT, 0, 64},
		{RECORD_CLIENT, 60, 64},
		{RECORD_CLIENT, 61, 256},
		{RECORD_CLIENT, 252, 256},
		{RECORD_CLIENT, 253, 512},
		{RECORD_AGENT_128, 0, 128},
		{RECORD_AGENT_128, 125, 256},
		{RECORD_AGENT_256, 0, 256},
		{RECORD_AGENT_256, 252, 256},
		{RECORD_AGENT_256, 60000, 60160},
		{RECORD_AGENT_256, 65280 - 4, 65280},
		{RECORD_AGENT_512, 0, 512},
		{RECORD_AGENT_512, 508, 512},
		{RECORD_AGENT_512, 509, 1024},
		{RECORD_AGENT_512, 65024 - 4, 65024},
	};
	memset(data, 0x5a, sizeof data);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint8_t type;
		const uint8_t *payload;
		size_t len;
		int n = record_seal(
			&sealing, cases[i].padding, 16, data, cases[i].len, wire, sizeof wire);
		assert_int_equal(n, 2 + cases[i].plain_len + NOISE_TAG_BYTES);
		assert_int_equal(open_wire((size_t)n, &type, &payload, &len), n);
		assert_int_equal(type, 16);
		assert_int_equal(len, cases[i].len);
		assert_memory_equal(payload, data, len);
	}
}

static void
test_too_long(void **state)
{
	(void)state;
	assert_int_equal(
		record_seal(&sealing, RECORD_AGENT_256, 1, data, 65280 - 3, wire, sizeof wire),
		-ERR_TOO_LONG);
	assert_int_equal(
		record_seal(&sealing, RECORD_AGENT_256, 1, data, sizeof data, wire, sizeof wire),
		-ERR_TOO_LONG);
	assert_int_equal(
		record_seal(&sealing, RECORD_AGENT_256, 1, data, SIZE_MAX, wire, sizeof wire),
		-ERR_TOO_LONG);
	assert_int_equal(
		record_seal(&sealing, RECORD_CLIENT, 1, data, 4, wire, 2 + 64 + 15), -ERR_TOO_LONG);
	assert_int_equal(record_seal(&sealing, RECORD_CLIENT, 1, data, 4, wire, 2 + 64 + 16), 82);
}

static void
test_pieces(void **state)
{
	(void)state;
	uint8_t type;
	const uint8_t *payload;
	size_t len;
	int n = record_seal(&sealing, RECORD_CLIENT, 7, "abc", 3, wire, sizeof wire);
	for (int part = 0; part < n; part++)
		assert_int_equal(open_wire((size_t)part, &type, &payload, &len), 0);
	assert_int_equal(open_wire((size_t)n, &type, &payload, &len), n);
	assert_memory_equal(payload, "abc", 3);
}

/* Seals any plaintext, as a hostile peer that has the keys can. */
static size_t
forge(const void *text, size_t len)
{
	wire[0] = (uint8_t)((len + 16) >> 8);
	wire[1] = (uint8_t)(len + 16);
	assert_int_equal(noise_seal(&sealing, NULL, 0, text, len, wire + 2), 0);
	return 2 + len + 16;
}

static int
open_forged(const void *text, size_t len)
{
	uint8_t type = 99;
	const uint8_t *payload = NULL;
	size_t payload_len;
	fresh(NULL);
	int r = open_wire(forge(text, len), &type, &payload, &payload_len);
	if (r < 0)
		assert_true(type == 99 && payload == NULL); /* not written on failure */
	return r;
}

static void
test_hostile_plaintext(void **state)
{
	(void)state;
	assert_int_equal(open_forged("\1\0\0\0", 4), 22);
	assert_int_equal(open_forged("\1\0\0\1x", 5), 23);
	assert_int_equal(open_forged("\1\0\0", 3), -ERR_PROTOCOL);
	assert_int_equal(open_forged("", 0), -ERR_PROTOCOL);
	assert_int_equal(open_forged("\1\0\0\2x", 5), -ERR_PROTOCOL); /* longer than the record */
	assert_int_equal(open_forged("\1\xff\xff\xffxxxx", 8), -ERR_PROTOCOL);
	assert_int_equal(open_forged("\1\0\0\1x\0\0y", 8), -ERR_PROTOCOL); /* padding that talks */
	assert_int_equal(open_forged("\1\0\0\0y\0\0\0", 8), -ERR_PROTOCOL);
}

static void
test_tampered(void **state)
{
	(void)state;
	uint8_t type;
	const uint8_t *payload;
	size_t len;
	for (size_t at = 2; at < 82; at++) {
		fresh(NULL);
		int n = record_seal(&sealing, RECORD_CLIENT, 7, "abc", 3, wire, sizeof wire);
		wire[at] ^= 0x80;
		assert_int_equal(open_wire((size_t)n, &type, &payload, &len), -ERR_CRYPTO);
		assert_int_equal(open_wire((size_t)n, &type, &payload, &len), -ERR_CRYPTO);
	}
	fresh(NULL);
	int n = record_seal(&sealing, RECORD_CLIENT, 7, "abc", 3, wire, sizeof wire);
	wire[1]--; /* a shorter length: the tag is somewhere else */
	assert_int_equal(open_wire((size_t)n, &type, &payload, &len), -ERR_CRYPTO);
	memset(wire, 0, 2);
	assert_int_equal(open_wire((size_t)n, &type, &payload, &len), -ERR_PROTOCOL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sizes, fresh, done),
		cmocka_unit_test_setup_teardown(test_too_long, fresh, done),
		cmocka_unit_test_setup_teardown(test_pieces, fresh, done),
		cmocka_unit_test_setup_teardown(test_hostile_plaintext, fresh, done),
		cmocka_unit_test_setup_teardown(test_tampered, fresh, done),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
