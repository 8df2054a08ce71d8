/* crypto/terminal: IDs as people write them, and statements of somebody who is not the office PC.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <pb_encode.h>

#include "base/err.h"
#include "base/str.h"
#include "crypto/terminal.h"

enum {
	NOW_S = 1795000000
};

static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
static const char id[] = "0123456789ABCDE?"; /* the tests put the check digit in */

static void
test_derive(void **state)
{
	(void)state;
	size_t at;
	json_t *vector,
		*root = json_load_file(TEST_ROOT "/tests/corpus/terminal/vectors.json", 0, NULL);
	assert_non_null(root);
	json_array_foreach(json_object_get(root, "vectors"), at, vector)
	{
		uint8_t anchor[SIGN_POINT_BYTES], salt[TERMINAL_SALT_BYTES];
		char got[TERMINAL_ID_SIZE], parsed[TERMINAL_ID_SIZE];
		assert_int_equal(str_unhex(json_string_value(json_object_get(vector, "anchor")),
					 anchor, sizeof anchor),
			0);
		assert_int_equal(str_unhex(json_string_value(json_object_get(vector, "salt")), salt,
					 sizeof salt),
			0);
		assert_int_equal(terminal_id_derive(anchor, salt, got), 0);
		assert_string_equal(got, json_string_value(json_object_get(vector, "id")));
		assert_int_equal(terminal_id_parse(got, parsed), 0);
		assert_string_equal(parsed, got);
	}
	assert_true(at > 0);
	json_decref(root);
}

/* The definition term by term, as in docs/protocol.md 2. */
static unsigned
check_digit(const char *text)
{
	unsigned sum = 0;
	for (unsigned i = 1; i <= 15; i++) {
		unsigned term = (unsigned)(strchr(digits, text[i - 1]) - digits);
		for (unsigned n = 0; n < i; n++)
			term = (term << 1) ^ (term & 16 ? 0x25 : 0);
		sum ^= term;
	}
	return sum;
}

static void
test_check_digit(void **state)
{
	(void)state;
	char text[TERMINAL_ID_SIZE], got[TERMINAL_ID_SIZE];
	strcpy(text, id);
	text[15] = digits[check_digit(id)];
	assert_int_equal(terminal_id_parse(text, got), 0);
	/* every other digit in every place is found */
	for (size_t at = 0; at < 16; at++) {
		char right = text[at];
		for (const char *d = digits; *d; d++) {
			text[at] = *d;
			assert_int_equal(terminal_id_parse(text, got),
				*d == right ? 0 : -ERR_TERMINAL_ID_BAD);
		}
		text[at] = right;
	}
	/* and every swap of two neighbours that differ */
	for (size_t at = 0; at < 15; at++) {
		char a = text[at], b = text[at + 1];
		text[at] = b, text[at + 1] = a;
		assert_int_equal(terminal_id_parse(text, got), a == b ? 0 : -ERR_TERMINAL_ID_BAD);
		text[at] = a, text[at + 1] = b;
	}
}

static void
test_typed(void **state)
{
	(void)state;
	char want[TERMINAL_ID_SIZE], got[TERMINAL_ID_SIZE], text[TERMINAL_ID_TEXT_SIZE];
	static const char *const forms[] = {
		"0123-4567-89AB-CDE%c",
		"  0123 4567 89ab cde%c\r\n",
		"o123-4567-89AB-CDE%c",
		"Oi23-4567-89AB-CDE%c",
		"OL23-4567-89AB-CDE%c",
		"0123‐4567‑89AB–CDE%c",
		"0123−4567-89ABーCDE%c",
		"0123\u30004567\u00a089AB—CDE%c",
		"0123ー4567ー89ABーCDE%c",
		"0123456789abCde%c",
		"-0-1-2-3-4-5-6-7-8-9-A-B-C-D-E-%c-",
	};
	strcpy(want, id);
	want[15] = digits[check_digit(id)];
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		char typed[128], *at;
		strcpy(typed, forms[i]);
		at = strstr(typed, "%c");
		*at = want[15];
		memmove(at + 1, at + 2, strlen(at + 2) + 1);
		assert_int_equal(terminal_id_parse(typed, got), 0);
		assert_string_equal(got, want);
	}
	terminal_id_format(want, text);
	assert_memory_equal(text, "0123-4567-89AB-CDE", 18);
	assert_int_equal(strlen(text), 19);
}

static void
test_not_typed(void **state)
{
	(void)state;
	char got[TERMINAL_ID_SIZE] = "unchanged", long_text[4096];
	static const char *const bad[] = {
		"",
		"0",
		"----",
		"0123-4567-89AB-CDEU",
		"U123-4567-89AB-CDE0",
		"0123-4567-89AB-CDE",
		"00000000000000000",
		"0000000000000000;",
		"0000000000000000\xff",
		"\xe3\x80",
		"\xe3",
		"\xc3",
		"\xf0\x9f\x98\x80",
		"\xc0\xb0 00000000000000",
		"あいうえおかきくけこさしすせそた",
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(terminal_id_parse(bad[i], got), -ERR_TERMINAL_ID_BAD);
	memset(long_text, ' ', sizeof long_text);
	long_text[sizeof long_text - 1] = '\0';
	assert_int_equal(terminal_id_parse(long_text, got), -ERR_TERMINAL_ID_BAD);
	assert_string_equal(got, "unchanged");
	assert_int_equal(
		terminal_id_parse("0000000000000000", got), 0); /* all zeros is well-formed */
}

/* ---- statements ---- */

static struct evp_pkey_st *anchor;
static engawa_StatementBody body;
static char derived[TERMINAL_ID_SIZE];
static uint8_t statement[SIGN_ENVELOPE_MAX_BYTES];
static size_t statement_len;
static const uint8_t agent_key[32] = {5, 5, 5};

static engawa_StatementBody
body_of(struct evp_pkey_st *key)
{
	engawa_StatementBody b = engawa_StatementBody_init_zero;
	b.anchor_key.size = SIGN_POINT_BYTES;
	assert_int_equal(sign_key_point(key, b.anchor_key.bytes), 0);
	b.salt.size = TERMINAL_SALT_BYTES;
	b.agent_id.size = 16;
	b.agent_key.size = 32;
	memcpy(b.agent_key.bytes, agent_key, 32);
	b.not_after_s = NOW_S;
	return b;
}

static int
setup(void **state)
{
	(void)state;
	anchor = sign_key_generate();
	body = body_of(anchor);
	return terminal_id_derive(body.anchor_key.bytes, body.salt.bytes, derived) ||
	       statement_issue(anchor, &body, statement, sizeof statement, &statement_len);
}

static int
teardown(void **state)
{
	(void)state;
	sign_key_free(anchor);
	return 0;
}

static int
verify(const char *terminal_id, const uint8_t *key, uint64_t now_s)
{
	engawa_StatementBody got;
	return statement_verify(statement, statement_len, terminal_id, key, now_s, &got);
}

static void
test_statement(void **state)
{
	(void)state;
	static const uint8_t other_key[32] = {6};
	engawa_StatementBody got;
	assert_int_equal(
		statement_verify(statement, statement_len, derived, agent_key, NOW_S, &got), 0);
	assert_memory_equal(got.agent_key.bytes, agent_key, 32);
	assert_int_equal(verify(derived, agent_key, NOW_S + 1), -ERR_CERT_EXPIRED);
	assert_int_equal(verify(derived, other_key, NOW_S),
		-ERR_TERMINAL_FORGED); /* not the key of the handshake */
	assert_int_equal(verify("0000000000000000", agent_key, NOW_S), -ERR_TERMINAL_FORGED);
}

/* A relay that has a key of its own: everything is right but the ID. */
static void
test_rogue_anchor(void **state)
{
	(void)state;
	struct evp_pkey_st *rogue = sign_key_generate();
	engawa_StatementBody b = body_of(rogue), got;
	uint8_t forged[SIGN_ENVELOPE_MAX_BYTES];
	size_t len;
	assert_int_equal(statement_issue(rogue, &b, forged, sizeof forged, &len), 0);
	assert_int_equal(statement_verify(forged, len, derived, agent_key, NOW_S, &got),
		-ERR_TERMINAL_FORGED);
	/* the right anchor inside, signed by the rogue: by the library it cannot even be made */
	assert_int_equal(statement_issue(rogue, &body, forged, sizeof forged, &len), -ERR_PROTOCOL);
	uint8_t bytes[engawa_StatementBody_size];
	pb_ostream_t out = pb_ostream_from_buffer(bytes, sizeof bytes);
	assert_true(pb_encode(&out, engawa_StatementBody_fields, &body));
	assert_int_equal(sign_envelope(rogue, "engawa statement v1", bytes, out.bytes_written,
				 forged, sizeof forged, &len),
		0);
	assert_int_equal(statement_verify(forged, len, derived, agent_key, NOW_S, &got),
		-ERR_TERMINAL_FORGED);
	/* a ticket's purpose */
	assert_int_equal(sign_envelope(anchor, "engawa ticket v1", bytes, out.bytes_written, forged,
				 sizeof forged, &len),
		0);
	assert_int_equal(statement_verify(forged, len, derived, agent_key, NOW_S, &got),
		-ERR_TERMINAL_FORGED);
	sign_key_free(rogue);
}

static void
test_damaged(void **state)
{
	(void)state;
	engawa_StatementBody got;
	for (size_t at = 0; at < statement_len; at++) {
		statement[at] ^= 4;
		assert_true(statement_decode(statement, statement_len, &got) < 0);
		statement[at] ^= 4;
	}
	for (size_t cut = 0; cut < statement_len; cut++)
		assert_true(statement_decode(statement, cut, &got) < 0);
	engawa_StatementBody b = body;
	uint8_t out[SIGN_ENVELOPE_MAX_BYTES];
	size_t len;
	b.salt.size = 15;
	assert_int_equal(statement_issue(anchor, &b, out, sizeof out, &len), -ERR_PROTOCOL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_derive),
		cmocka_unit_test(test_check_digit),
		cmocka_unit_test(test_typed),
		cmocka_unit_test(test_not_typed),
		cmocka_unit_test(test_statement),
		cmocka_unit_test(test_rogue_anchor),
		cmocka_unit_test(test_damaged),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
