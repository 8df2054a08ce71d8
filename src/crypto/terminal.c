#include "crypto/terminal.h"

#include <argon2.h>
#include <errno.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

#define PURPOSE "engawa statement v1"

static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; /* Crockford base32 */

enum {
	MEMORY_KIB = 65536,
	PASSES = 3,
	LANES = 1,
	HASH_BYTES = 10, /* 75 bits of it are used */
	DIGITS = TERMINAL_ID_CHARS - 1,
	TYPED_MAX_BYTES = 256,
};

/* Times x in GF(32) = GF(2)[x]/(x^5 + x^2 + 1). */
static unsigned
times_x(unsigned v)
{
	return v & 16 ? (v << 1 ^ 0x25) & 31 : v << 1;
}

/* sum of x^i * v_i by Horner's rule: finds every single wrong digit and every swap of neighbours.
 */
static unsigned
check_digit(const uint8_t values[static DIGITS])
{
	unsigned sum = 0;
	for (size_t i = DIGITS; i > 0; i--)
		sum = times_x(sum ^ values[i - 1]);
	return sum;
}

int
terminal_id_derive(const uint8_t anchor[static SIGN_POINT_BYTES],
	const uint8_t salt[static TERMINAL_SALT_BYTES], char ret_id[static TERMINAL_ID_SIZE])
{
	uint8_t hash[HASH_BYTES], values[DIGITS];
	if (argon2id_hash_raw(PASSES, MEMORY_KIB, LANES, anchor, SIGN_POINT_BYTES, salt,
		    TERMINAL_SALT_BYTES, hash, sizeof hash) != ARGON2_OK)
		return -ENOMEM;
	for (size_t i = 0; i < DIGITS; i++) {
		size_t bit = 5 * i;
		unsigned pair = (unsigned)hash[bit / 8] << 8 |
				(bit / 8 + 1 < HASH_BYTES ? hash[bit / 8 + 1] : 0u);
		values[i] = (uint8_t)(pair >> (11 - bit % 8) & 31);
		ret_id[i] = digits[values[i]];
	}
	ret_id[DIGITS] = digits[check_digit(values)];
	ret_id[TERMINAL_ID_CHARS] = '\0';
	return 0;
}

/* One code point; 0 at the end, UINT32_MAX for what is no UTF-8. Enough checks for table look-ups,
 * not a validator. */
static uint32_t
next_char(const char **text)
{
	const unsigned char *p = (const unsigned char *)*text;
	size_t more = p[0] < 0x80                   ? 0
		      : p[0] >= 0xc2 && p[0] < 0xe0 ? 1
		      : (p[0] & 0xf0) == 0xe0       ? 2
						    : 4;
	uint32_t c = more == 0 ? p[0] : p[0] & (0x3fu >> more);
	if (more == 4)
		return UINT32_MAX;
	for (size_t i = 1; i <= more; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return UINT32_MAX;
		c = c << 6 | (p[i] & 0x3fu);
	}
	*text += more + (p[0] != 0);
	return c;
}

/* What Japanese keyboards, mails and word processors make of a hyphen or a space. */
static int
is_separator(uint32_t c)
{
	static const uint32_t others[] = {' ', '\t', '\r', '\n', '-', 0xa0, 0xad,
		0x2212 /* minus */, 0x2500 /* ruled line */, 0x3000 /* full-width space */,
		0x30fc /* long vowel */, 0xfe63, 0xff0d /* full-width hyphen */, 0xff70};
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (c == others[i])
			return 1;
	return c >= 0x2010 && c <= 0x2015;
}

static int
digit_value(uint32_t c)
{
	if (c >= 0xff01 && c <= 0xff5e) /* full-width forms of ASCII */
		c -= 0xfee0;
	if (c >= 'a' && c <= 'z')
		c -= 'a' - 'A';
	if (c == 'I' || c == 'L')
		c = '1';
	if (c == 'O')
		c = '0';
	const char *at = c > 0 && c < 0x80 ? strchr(digits, (int)c) : NULL;
	return at ? (int)(at - digits) : -1;
}

int
terminal_id_parse(const char *text, char ret_id[static TERMINAL_ID_SIZE])
{
	uint8_t values[TERMINAL_ID_CHARS];
	size_t count = 0;
	uint32_t c;
	if (strnlen(text, TYPED_MAX_BYTES) == TYPED_MAX_BYTES)
		return -ERR_TERMINAL_ID_BAD;
	while ((c = next_char(&text)) != 0) {
		int value = digit_value(c);
		if (value < 0 && is_separator(c))
			continue;
		if (value < 0 || count == TERMINAL_ID_CHARS)
			return -ERR_TERMINAL_ID_BAD;
		values[count++] = (uint8_t)value;
	}
	if (count != TERMINAL_ID_CHARS || check_digit(values) != values[DIGITS])
		return -ERR_TERMINAL_ID_BAD;
	for (size_t i = 0; i < TERMINAL_ID_CHARS; i++)
		ret_id[i] = digits[values[i]];
	ret_id[TERMINAL_ID_CHARS] = '\0';
	return 0;
}

void
terminal_id_format(
	const char id[static TERMINAL_ID_SIZE], char ret_text[static TERMINAL_ID_TEXT_SIZE])
{
	char *out = ret_text;
	for (size_t i = 0; i < TERMINAL_ID_CHARS; i++) {
		if (i > 0 && i % 4 == 0)
			*out++ = '-';
		*out++ = id[i];
	}
	*out = '\0';
}

static int
is_shaped(const engawa_StatementBody *body)
{
	return body->anchor_key.size == SIGN_POINT_BYTES &&
	       body->salt.size == TERMINAL_SALT_BYTES && body->agent_key.size == 32 &&
	       body->agent_id.size == 16;
}

int
statement_issue(struct evp_pkey_st *anchor, const engawa_StatementBody *body, uint8_t *out,
	size_t cap, size_t *ret_len)
{
	uint8_t bytes[engawa_StatementBody_size], point[SIGN_POINT_BYTES];
	pb_ostream_t stream = pb_ostream_from_buffer(bytes, sizeof bytes);
	int r = sign_key_point(anchor, point);
	if (r < 0)
		return r;
	if (!is_shaped(body) || memcmp(point, body->anchor_key.bytes, sizeof point) != 0 ||
		!pb_encode(&stream, engawa_StatementBody_fields, body))
		return -ERR_PROTOCOL;
	return sign_envelope(anchor, PURPOSE, bytes, stream.bytes_written, out, cap, ret_len);
}

int
statement_decode(const void *statement, size_t len, engawa_StatementBody *ret_body)
{
	engawa_Signed envelope = engawa_Signed_init_zero;
	engawa_StatementBody body = engawa_StatementBody_init_zero;
	uint8_t checked[engawa_StatementBody_size];
	size_t checked_len;
	pb_istream_t stream = pb_istream_from_buffer(statement, len);
	if (len > SIGN_ENVELOPE_MAX_BYTES || !pb_decode(&stream, engawa_Signed_fields, &envelope))
		return -ERR_PROTOCOL;
	stream = pb_istream_from_buffer(envelope.body.bytes, envelope.body.size);
	if (!pb_decode(&stream, engawa_StatementBody_fields, &body) || !is_shaped(&body))
		return -ERR_PROTOCOL;
	int r = sign_open((const void *)body.anchor_key.bytes, 1, PURPOSE, statement, len, checked,
		sizeof checked, &checked_len);
	if (r < 0)
		return r == -ERR_SIGNATURE ? -ERR_TERMINAL_FORGED : r;
	*ret_body = body;
	return 0;
}

int
statement_verify(const void *statement, size_t len, const char id[static TERMINAL_ID_SIZE],
	const uint8_t agent_key[static 32], uint64_t now_s, engawa_StatementBody *ret_body)
{
	engawa_StatementBody body;
	char derived[TERMINAL_ID_SIZE];
	int r = statement_decode(statement, len, &body);
	if (r < 0)
		return r;
	if (!mem_equal(body.agent_key.bytes, agent_key, 32))
		return -ERR_TERMINAL_FORGED;
	if (now_s > body.not_after_s)
		return -ERR_CERT_EXPIRED;
	r = terminal_id_derive(body.anchor_key.bytes, body.salt.bytes, derived);
	if (r < 0)
		return r;
	if (!mem_equal(derived, id, TERMINAL_ID_CHARS))
		return -ERR_TERMINAL_FORGED;
	*ret_body = body;
	return 0;
}
