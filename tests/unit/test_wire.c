/* base/wire: an error sticks, and no cursor leaves its bytes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/wire.h"

static void
test_round_trip(void **state)
{
	(void)state;
	uint8_t bytes[32], copy[3];
	struct wr w = wr_init(bytes, sizeof bytes);
	wr_u8(&w, 0x01);
	wr_u16(&w, 0x0203);
	wr_u24(&w, 0x040506);
	wr_u32(&w, 0x0708090a);
	wr_u64(&w, 0x0b0c0d0e0f101112);
	wr_bytes(&w, "abc", 3);
	wr_zero(&w, 2);
	assert_false(w.failed);
	assert_int_equal(w.len, 23);
	for (size_t i = 0; i < 18; i++)
		assert_int_equal(bytes[i], i + 1); /* big endian */
	struct rd r = rd_init(bytes, w.len);
	assert_int_equal(rd_u8(&r), 0x01);
	assert_int_equal(rd_u16(&r), 0x0203);
	assert_int_equal(rd_u24(&r), 0x040506);
	assert_int_equal(rd_u32(&r), 0x0708090a);
	assert_int_equal(rd_u64(&r), 0x0b0c0d0e0f101112);
	rd_copy(&r, copy, 3);
	assert_memory_equal(copy, "abc", 3);
	assert_false(rd_done(&r));
	assert_memory_equal(rd_bytes(&r, 2), "\0\0", 2);
	assert_true(rd_done(&r));
}

static void
test_read_too_much(void **state)
{
	(void)state;
	static const uint8_t bytes[3] = {1, 2, 3};
	uint8_t copy[4] = {9, 9, 9, 9};
	struct rd r = rd_init(bytes, sizeof bytes);
	assert_int_equal(rd_u32(&r), 0);
	assert_true(r.failed);
	assert_int_equal(rd_u8(&r), 0); /* there is a byte, but the cursor failed */
	assert_null(rd_bytes(&r, 0));
	assert_false(rd_done(&r));
	rd_copy(&r, copy, sizeof copy);
	assert_memory_equal(copy, "\0\0\0\0", 4); /* never what was there before */
	r = rd_init(bytes, sizeof bytes);
	assert_null(rd_bytes(&r, SIZE_MAX));
	assert_true(r.failed);
}

static void
test_write_too_much(void **state)
{
	(void)state;
	uint8_t bytes[4] = {0, 0, 0, 7};
	struct wr w = wr_init(bytes, 3);
	wr_u16(&w, 0x0102);
	wr_u16(&w, 0x0304);
	assert_true(w.failed);
	wr_u8(&w, 5); /* would fit */
	wr_zero(&w, SIZE_MAX);
	assert_int_equal(w.len, 2);
	assert_memory_equal(bytes, "\1\2\0\7", 4);
}

static void
test_nothing(void **state)
{
	(void)state;
	struct rd r = rd_init(NULL, 0);
	struct wr w = wr_init(NULL, 0);
	assert_true(rd_done(&r));
	rd_bytes(&r, 0);
	rd_copy(&r, NULL, 0);
	assert_true(rd_done(&r));
	wr_bytes(&w, NULL, 0);
	wr_zero(&w, 0);
	assert_false(w.failed);
	wr_u8(&w, 1);
	assert_true(w.failed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_read_too_much),
		cmocka_unit_test(test_write_too_much),
		cmocka_unit_test(test_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
