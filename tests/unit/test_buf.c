/* base/buf: the maximum from birth, and bytes that stay in order while memory moves. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

static void
test_maximum(void **state)
{
	(void)state;
	struct buf b;
	buf_init(&b, 10);
	assert_null(b.bytes);
	assert_null(buf_data(&b));
	assert_int_equal(buf_add(&b, "0123456789", 10), 0);
	assert_int_equal(buf_add(&b, "x", 1), -ENOBUFS);
	assert_int_equal(buf_len(&b), 10);
	assert_int_equal(buf_room(&b), 0);
	buf_drop(&b, 4);
	assert_int_equal(buf_add(&b, "abcde", 5), -ENOBUFS); /* nothing of it is added */
	assert_int_equal(buf_len(&b), 6);
	assert_int_equal(buf_add(&b, "abcd", 4), 0);
	assert_memory_equal(buf_data(&b), "456789abcd", 10);
	assert_null(buf_reserve(&b, SIZE_MAX));
	assert_int_equal(errno, ENOBUFS);
	buf_fini(&b);
	buf_fini(&b);
	buf_fini(NULL);
	buf_init(&b, 0);
	assert_int_equal(buf_add(&b, "", 0), 0);
	assert_int_equal(buf_add(&b, "x", 1), -ENOBUFS);
	buf_fini(&b);
}

/* A queue under random load against a plain counter. */
static void
test_order(void **state)
{
	(void)state;
	struct buf b;
	uint8_t data[300], in = 0, out = 0;
	size_t len = 0;
	uint32_t random = 1;
	buf_init(&b, 1000);
	for (int round = 0; round < 20000; round++) {
		random = random * 1664525 + 1013904223;
		size_t n = random >> 8 & 255;
		if (random >> 31) {
			for (size_t i = 0; i < n; i++)
				data[i] = (uint8_t)(in + i);
			int r = buf_add(&b, data, n);
			assert_int_equal(r, len + n > 1000 ? -ENOBUFS : 0);
			if (r == 0) {
				in = (uint8_t)(in + n);
				len += n;
			}
		} else {
			n = n > len ? len : n;
			for (size_t i = 0; i < n; i++)
				assert_int_equal(buf_data(&b)[i], out++);
			buf_drop(&b, n);
			len -= n;
		}
		assert_int_equal(buf_len(&b), len);
		assert_true(b.cap <= 1000);
		if (len == 0)
			assert_null(b.bytes); /* an idle connection keeps no memory */
	}
	buf_fini(&b);
}

static void
test_reserve(void **state)
{
	(void)state;
	struct buf b;
	buf_init(&b, 100);
	memset(buf_reserve(&b, 50), 'a', 50);
	assert_int_equal(buf_len(&b), 0); /* not before the commit */
	buf_commit(&b, 3);
	assert_memory_equal(buf_data(&b), "aaa", 3);
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_maximum),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_reserve),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
