/* net/frame: what another implementation, or an attacker, may put into a frame. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "link.pb.h"
#include "net/frame.h"
#include "outer.pb.h"

#define BYTES(...) ((const uint8_t[]){__VA_ARGS__}), sizeof((const uint8_t[]){__VA_ARGS__})

static void
parse_waits_for_the_whole_frame(void **state)
{
	(void)state;
	const uint8_t data[] = {7, 0, 0, 3, 'a', 'b', 'c', 9, 0, 0, 0};
	uint8_t type;
	const uint8_t *payload;
	size_t len;
	for (size_t have = 0; have < 7; have++)
		assert_int_equal(
			frame_parse(data, have, FRAME_MAX_BYTES, &type, &payload, &len), 0);
	assert_int_equal(frame_parse(data, sizeof data, FRAME_MAX_BYTES, &type, &payload, &len), 7);
	assert_int_equal(type, 7);
	assert_int_equal(len, 3);
	assert_ptr_equal(payload, data + 4);
	assert_int_equal(frame_parse(data + 7, 4, FRAME_MAX_BYTES, &type, &payload, &len), 4);
	assert_int_equal(type, 9);
	assert_int_equal(len, 0);
}

/* The length alone decides: nothing is buffered for a frame that is too long. */
static void
parse_refuses_length_at_once(void **state)
{
	(void)state;
	uint8_t type;
	const uint8_t *payload;
	size_t len;
	assert_int_equal(
		frame_parse(BYTES(1, 0, 0x40, 0), FRAME_FIRST_MAX_BYTES, &type, &payload, &len), 0);
	assert_int_equal(
		frame_parse(BYTES(1, 0, 0x40, 1), FRAME_FIRST_MAX_BYTES, &type, &payload, &len),
		-ERR_TOO_LONG);
	assert_int_equal(
		frame_parse(BYTES(1, 0xff, 0xff, 0xff), FRAME_MAX_BYTES, &type, &payload, &len),
		-ERR_TOO_LONG);
}

static void
encode_and_decode(void **state)
{
	(void)state;
	engawa_LinkAsk in = {.request = 5, .address = "2001:db8::1", .has_ask = true}, out;
	memset(&out, 0xee, sizeof out); /* what was in memory before does not shine through */
	strcpy(in.ask.terminal_id, "7K3M0000ZZZZ2222");
	in.ask.device_hash.size = 32;
	memset(in.ask.device_hash.bytes, 0xa5, 32);
	uint8_t frame[FRAME_HEADER_BYTES + FRAME_MAX_BYTES], type;
	const uint8_t *payload;
	size_t len;
	int n = frame_encode(
		engawa_LinkType_LINK_ASK, engawa_LinkAsk_fields, &in, frame, sizeof frame);
	assert_true(n > FRAME_HEADER_BYTES);
	assert_int_equal(
		frame_parse(frame, (size_t)n, FRAME_FIRST_MAX_BYTES, &type, &payload, &len), n);
	assert_int_equal(type, engawa_LinkType_LINK_ASK);
	assert_int_equal(frame_decode(engawa_LinkAsk_fields, &out, payload, len), 0);
	assert_int_equal(out.request, 5);
	assert_string_equal(out.address, in.address);
	assert_true(out.has_ask);
	assert_string_equal(out.ask.terminal_id, in.ask.terminal_id);
	assert_memory_equal(&out.ask.device_hash, &in.ask.device_hash, sizeof in.ask.device_hash);
	for (size_t cap = 0; cap < (size_t)n; cap++)
		assert_int_equal(frame_encode(engawa_LinkType_LINK_ASK, engawa_LinkAsk_fields, &in,
					 frame, cap),
			-ERR_TOO_LONG);
	for (size_t cut = 1; cut < len; cut++) {
		int r = frame_decode(engawa_LinkAsk_fields, &out, payload, len - cut);
		assert_true(r == 0 ||
			    r == -ERR_PROTOCOL); /* a cut between two fields is a shorter message */
	}
}

/* Hello.locale is field 4. */
static int
decode_locale(const char *locale, size_t len)
{
	engawa_Hello hello;
	uint8_t payload[32] = {0x22, (uint8_t)len};
	memcpy(payload + 2, locale, len);
	return frame_decode(engawa_Hello_fields, &hello, payload, len + 2);
}

static void
decode_refuses_bad_strings(void **state)
{
	(void)state;
	assert_int_equal(decode_locale("ja", 2), 0);
	assert_int_equal(decode_locale("\xe7\xb8\x81\xe5\x81\xb4", 6), 0);
	assert_int_equal(decode_locale("123456789012345", 15), 0);
	assert_int_equal(
		decode_locale("1234567890123456", 16), -ERR_PROTOCOL); /* no room for the NUL */
	assert_int_equal(decode_locale("\xff", 1), -ERR_PROTOCOL);
	assert_int_equal(decode_locale("\xc0\xaf", 2), -ERR_PROTOCOL);     /* overlong slash */
	assert_int_equal(decode_locale("\xed\xa0\x80", 3), -ERR_PROTOCOL); /* surrogate */
	assert_int_equal(decode_locale("\xe7\xb8", 2), -ERR_PROTOCOL);     /* cut */
	assert_int_equal(decode_locale("ja\0x", 4), -ERR_PROTOCOL);        /* hidden behind a NUL */
}

/* LinkAsk.ask (3) .terminal_id (1), and Welcome.sites (4), repeated. */
static void
decode_looks_into_messages_and_lists(void **state)
{
	(void)state;
	engawa_LinkAsk ask;
	engawa_Welcome welcome;
	assert_int_equal(
		frame_decode(engawa_LinkAsk_fields, &ask, BYTES(0x1a, 3, 0x0a, 1, 'A')), 0);
	assert_int_equal(frame_decode(engawa_LinkAsk_fields, &ask, BYTES(0x1a, 3, 0x0a, 1, 0xff)),
		-ERR_PROTOCOL);
	assert_int_equal(
		frame_decode(engawa_Welcome_fields, &welcome, BYTES(0x22, 1, 'e', 0x22, 1, 'w')),
		0);
	assert_int_equal(welcome.sites_count, 2);
	assert_int_equal(
		frame_decode(engawa_Welcome_fields, &welcome, BYTES(0x22, 1, 'e', 0x22, 1, 0x80)),
		-ERR_PROTOCOL);
}

static void
decode_refuses_garbage(void **state)
{
	(void)state;
	engawa_Bye bye;
	engawa_Answer answer;
	engawa_Welcome welcome;
	assert_int_equal(frame_decode(engawa_Bye_fields, &bye, BYTES(0x08, 5)), 0);
	assert_int_equal(bye.code, 5);
	assert_int_equal(frame_decode(engawa_Bye_fields, &bye, (const uint8_t *)"", 0), 0);
	assert_int_equal(bye.code, 0); /* zeroed first */
	assert_int_equal(frame_decode(engawa_Bye_fields, &bye, BYTES(0x08)), -ERR_PROTOCOL);
	assert_int_equal(frame_decode(engawa_Bye_fields, &bye, BYTES(0x08, 5, 0)), -ERR_PROTOCOL);
	assert_int_equal(
		frame_decode(engawa_Bye_fields, &bye, BYTES(0x08, 5, 0, 0, 0)), -ERR_PROTOCOL);
	assert_int_equal(frame_decode(engawa_Bye_fields, &bye, BYTES(0x0f, 5)),
		-ERR_PROTOCOL); /* no such wire type */
	assert_int_equal(frame_decode(engawa_Bye_fields, &bye, BYTES(0x0a, 1, 5)),
		-ERR_PROTOCOL); /* not a number */
	uint8_t long_id[2 + 17] = {0x0a, 17};
	assert_int_equal(frame_decode(engawa_Answer_fields, &answer, long_id, sizeof long_id),
		-ERR_PROTOCOL);
	uint8_t nine_sites[9 * 3];
	for (int i = 0; i < 9; i++)
		memcpy(nine_sites + 3 * i, "\x22\x01x", 3);
	assert_int_equal(frame_decode(engawa_Welcome_fields, &welcome, nine_sites, 8 * 3), 0);
	assert_int_equal(
		frame_decode(engawa_Welcome_fields, &welcome, nine_sites, 9 * 3), -ERR_PROTOCOL);
	/* unknown fields are the future's; they must still be well-formed */
	assert_int_equal(frame_decode(engawa_Bye_fields, &bye, BYTES(0x7a, 1, 'x', 0x08, 9)), 0);
	assert_int_equal(bye.code, 9);
	assert_int_equal(frame_decode(engawa_Bye_fields, &bye, BYTES(0x7a, 200, 1)), -ERR_PROTOCOL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_waits_for_the_whole_frame),
		cmocka_unit_test(parse_refuses_length_at_once),
		cmocka_unit_test(encode_and_decode),
		cmocka_unit_test(decode_refuses_bad_strings),
		cmocka_unit_test(decode_looks_into_messages_and_lists),
		cmocka_unit_test(decode_refuses_garbage),
	};
	return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
