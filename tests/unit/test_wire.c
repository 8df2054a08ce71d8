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

/* len:u16, then the bytes. */
static void
test_text(void **state)
{
	(void)state;
	uint8_t bytes[64];
	char out[4];
	struct wr w = wr_init(bytes, sizeof bytes);
	wr_text(&w, "abc");
	wr_text(&w, "");
	wr_data(&w, "\0\x1b", 2);
	assert_memory_equal(bytes, "\0\3abc\0\0\0\2\0\x1b", w.len);
	struct rd r = rd_init(bytes, w.len);
	rd_line(&r, out, sizeof out);
	assert_string_equal(out, "abc");
	rd_text(&r, out, sizeof out);
	assert_string_equal(out, "");
	assert_int_equal(rd_data(&r, out, sizeof out), 2);
	assert_memory_equal(out, "\0\x1b", 2);
	assert_true(rd_done(&r));
}

/* Too long for its place, cut, with a NUL, or with what no line has. */
static void
test_bad_text(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t len;
		int text, line, data; /* taken? */
	} cases[] = {
		{"\0\4abcd", 6, 0, 0, 1},
		{"\0\5abcde", 7, 0, 0, 0},
		{"\0\3ab", 4, 0, 0, 0},
		{"\0", 1, 0, 0, 0},
		{"\xff\xff", 2, 0, 0, 0},
		{"\0\2a\0", 4, 0, 0, 1},
		{"\0\2a\n", 4, 1, 0, 1},
		{"\0\1\x1b", 3, 1, 0, 1},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char out[4] = "xyz";
		struct rd r = rd_init(cases[i].bytes, cases[i].len);
		rd_text(&r, out, sizeof out);
		assert_int_equal(!r.failed, cases[i].text);
		assert_true(cases[i].text || !out[0]);
		r = rd_init(cases[i].bytes, cases[i].len);
		rd_line(&r, out, sizeof out);
		assert_int_equal(!r.failed, cases[i].line);
		r = rd_init(cases[i].bytes, cases[i].len);
		size_t len = rd_data(&r, out, sizeof out);
		assert_int_equal(!r.failed, cases[i].data);
		assert_true(cases[i].data || !len);
	}
}

static void
test_write_too_long(void **state)
{
	(void)state;
	static uint8_t bytes[70000], data[65536];
	struct wr w = wr_init(bytes, sizeof bytes);
	wr_data(&w, data, sizeof data - 1);
	assert_false(w.failed);
	w = wr_init(bytes, sizeof bytes);
	wr_data(&w, data, sizeof data);
	assert_true(w.failed);
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
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_bad_text),
		cmocka_unit_test(test_write_too_long),
		cmocka_unit_test(test_read_too_much),
		cmocka_unit_test(test_write_too_much),
		cmocka_unit_test(test_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
