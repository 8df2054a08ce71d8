#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/wire.h"
#include "net/ws.h"

static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};

/* A client's frame into out; its length. */
static size_t
frame(uint8_t *out, uint8_t first, const void *payload, size_t len)
{
	struct wr w = wr_init(out, len + 14);
	wr_u8(&w, first);
	if (len < 126) {
		wr_u8(&w, (uint8_t)(0x80 | len));
	} else if (len < 65536) {
		wr_u8(&w, 0x80 | 126);
		wr_u16(&w, (uint16_t)len);
	} else {
		wr_u8(&w, 0x80 | 127);
		wr_u64(&w, len);
	}
	wr_bytes(&w, mask, 4);
	for (size_t i = 0; i < len; i++)
		wr_u8(&w, ((const uint8_t *)payload)[i] ^ mask[i % 4]);
	return w.len;
}

static void
test_example_of_the_rfc(void **state)
{
	(void)state;
	/* RFC 6455 5.7, as a binary message */
	uint8_t data[] = {0x82, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58};
	struct ws ws = {0};
	struct ws_event event;
	assert_int_equal(ws_read(&ws, data, sizeof data, &event), 6);
	assert_int_equal(event.kind, WS_NOTHING);
	assert_int_equal(ws_read(&ws, data + 6, 5, &event), 5);
	assert_int_equal(event.kind, WS_DATA);
	assert_memory_equal(event.data, "Hello", 5);
	/* 1.3 */
	char accept[WS_ACCEPT_SIZE];
	assert_int_equal(ws_accept("dGhlIHNhbXBsZSBub25jZQ==", 24, accept), 0);
	assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	assert_int_equal(ws_accept("dGhlIHNhbXBsZSBub25jZQ=", 23, accept), -ERR_PROTOCOL);
	assert_int_equal(ws_accept("dGhlIHNhbXBsZSBub25jZQAA", 24, accept), -ERR_PROTOCOL);
	assert_int_equal(ws_accept("!!!!!!!!!!!!!!!!!!!!!!==", 24, accept), -ERR_PROTOCOL);
}

/* Reads everything in steps; joins the payload. The first failure, or the kind of the last control
 * frame. */
static int
read_all(const uint8_t *data, size_t len, size_t step, uint8_t *out, size_t *ret_len,
	uint16_t *ret_code)
{
	struct ws ws = {0};
	struct ws_event event;
	size_t have = 0, at = 0;
	int last = WS_NOTHING;
	*ret_len = 0;
	uint8_t *held = malloc(len + 1);
	assert_non_null(held);
	for (;;) {
		int n = ws_read(&ws, held, have, &event);
		if (n < 0) {
			free(held);
			return n;
		}
		if (n == 0) {
			assert_true(have <= WS_HELD_MAX_BYTES);
			if (at == len)
				break;
			size_t more = step < len - at ? step : len - at;
			memcpy(held + have, data + at, more);
			at += more;
			have += more;
			continue;
		}
		if (event.kind == WS_DATA) {
			memcpy(out + *ret_len, event.data, event.len);
			*ret_len += event.len;
		} else if (event.kind != WS_NOTHING) {
			last = (int)event.kind;
			*ret_code = event.code;
		}
		memmove(held, held + n, have - (size_t)n);
		have -= (size_t)n;
	}
	free(held);
	return last;
}

static void
test_any_cut(void **state)
{
	(void)state;
	static uint8_t data[200000], out[200000], payload[70000];
	size_t len = 0, got;
	uint16_t code = 0;
	for (size_t i = 0; i < sizeof payload; i++)
		payload[i] = (uint8_t)(i * 7);
	len += frame(data + len, 0x02, payload, 5);
	len += frame(data + len, 0x89, payload, 125);
	len += frame(data + len, 0x00, NULL, 0);
	len += frame(data + len, 0x80, payload + 5, 200);
	len += frame(data + len, 0x82, payload + 205, 65535 - 205);
	len += frame(data + len, 0x82, NULL, 0);
	len += frame(data + len, 0x82, payload + 65535, 4465);
	len += frame(data + len, 0x88, "\x03\xe9", 2);
	for (size_t step = 1; step < len; step = step * 2 + 1) {
		assert_int_equal(read_all(data, len, step, out, &got, &code), WS_CLOSE);
		assert_int_equal(code, 1001);
		assert_int_equal(got, sizeof payload);
		assert_memory_equal(out, payload, got);
	}
}

static void
assert_refused(const uint8_t *data, size_t len, int expected)
{
	static uint8_t out[4096];
	size_t got;
	uint16_t code;
	assert_int_equal(read_all(data, len, len, out, &got, &code), expected);
	assert_int_equal(read_all(data, len, 1, out, &got, &code), expected);
}

static void
test_refuses(void **state)
{
	(void)state;
	static const struct {
		uint8_t bytes[16];
		size_t len;
		int expected;
	} bad[] = {
		{{0x82, 0x01, 'x'}, 3, -ERR_PROTOCOL},                              /* not masked */
		{{0x82, 0x00}, 2, -ERR_PROTOCOL}, {{0xc2, 0x81}, 2, -ERR_PROTOCOL}, /* RSV */
		{{0xa2, 0x81}, 2, -ERR_PROTOCOL}, {{0x92, 0x81}, 2, -ERR_PROTOCOL},
		{{0x81, 0x81, 0, 0, 0, 0, 'x'}, 7, -ERR_PROTOCOL}, /* text */
		{{0x83, 0x81, 0, 0, 0, 0, 'x'}, 7, -ERR_PROTOCOL}, /* reserved */
		{{0x8b, 0x81, 0, 0, 0, 0, 'x'}, 7, -ERR_PROTOCOL},
		{{0x80, 0x81, 0, 0, 0, 0, 'x'}, 7, -ERR_PROTOCOL}, /* continues nothing */
		{{0x02, 0x80, 0, 0, 0, 0, 0x82, 0x80, 0, 0, 0, 0}, 12,
			-ERR_PROTOCOL},                               /* begins within */
		{{0x09, 0x80}, 2, -ERR_PROTOCOL},                     /* fragmented control */
		{{0x89, 0xfe}, 2, -ERR_PROTOCOL},                     /* long control */
		{{0x82, 0xfe, 0, 125, 0, 0, 0, 0}, 8, -ERR_PROTOCOL}, /* not the shortest form */
		{{0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0}, 14, -ERR_PROTOCOL},
		{{0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 14, -ERR_PROTOCOL},
		{{0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 1, 0, 0, 0, 0}, 14, -ERR_TOO_LONG},
		{{0x88, 0x81, 0, 0, 0, 0, 3}, 7, -ERR_PROTOCOL},          /* half a code */
		{{0x88, 0x82, 0, 0, 0, 0, 3, 0xed}, 8, -ERR_PROTOCOL},    /* 1005 */
		{{0x88, 0x82, 0, 0, 0, 0, 3, 0xe7}, 8, -ERR_PROTOCOL},    /* 999 */
		{{0x88, 0x82, 0, 0, 0, 0, 0x13, 0x88}, 8, -ERR_PROTOCOL}, /* 5000 */
		{{0x88, 0x83, 0, 0, 0, 0, 3, 0xe8, 0xff}, 9,
			-ERR_PROTOCOL},                             /* reason is no UTF-8 */
		{{0x88, 0x80, 0, 0, 0, 0, 0x82}, 7, -ERR_PROTOCOL}, /* after Close */
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_refused(bad[i].bytes, bad[i].len, bad[i].expected);
}

static void
test_headers_that_we_send(void **state)
{
	(void)state;
	static const struct {
		size_t len, header_len;
		uint8_t bytes[WS_HEADER_MAX_BYTES];
	} cases[] = {
		{0, 2, {0x82, 0}},
		{125, 2, {0x82, 125}},
		{126, 4, {0x82, 126, 0, 126}},
		{65535, 4, {0x82, 126, 0xff, 0xff}},
		{65536, 10, {0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0}},
	};
	uint8_t out[WS_HEADER_MAX_BYTES];
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(ws_header(out, WS_OP_BINARY, cases[i].len), cases[i].header_len);
		assert_memory_equal(out, cases[i].bytes, cases[i].header_len);
	}
	assert_int_equal(ws_close(out, WS_CLOSE_TOO_BIG), 4);
	assert_memory_equal(out, "\x88\x02\x03\xf1", 4);
	assert_int_equal(sizeof(struct ws), 16);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_example_of_the_rfc),
		cmocka_unit_test(test_any_cut),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_headers_that_we_send),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
