#include "controller/bounce.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/wire.h"
#include "controller/mail.h"

enum {
	MAC_BYTES = 12,
	BODY_BYTES = BOUNCE_TOKEN_BYTES - MAC_BYTES,
	HOUR_S = 3600,
	HASH_BYTES = 32,
};

_Static_assert(BOUNCE_TOKEN_BYTES % 5 == 0, "base32 without padding");

static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567"; /* RFC 4648 6 */

int
bounce_address_ok(const char *address)
{
	return mail_address_ok(address) && strcspn(address, "@") <= BOUNCE_LOCAL_MAX &&
	       strlen(address) + 1 + BOUNCE_TOKEN_CHARS < BOUNCE_SENDER_SIZE;
}

static int
mac(const uint8_t key[static BOUNCE_KEY_BYTES], const void *data, size_t len,
	uint8_t out[static HASH_BYTES])
{
	unsigned n = 0;
	return HMAC(EVP_sha256(), key, BOUNCE_KEY_BYTES, data, len, out, &n) && n == HASH_BYTES
		       ? 0
		       : -ERR_CRYPTO;
}

int
bounce_key(const uint8_t secret[static 32], uint8_t ret_key[static BOUNCE_KEY_BYTES])
{
	static const char purpose[] = "engawa bounce v1";
	return mac(secret, purpose, sizeof purpose, ret_key);
}

static void
encode(const uint8_t in[static BOUNCE_TOKEN_BYTES], char out[static BOUNCE_TOKEN_CHARS + 1])
{
	for (size_t at = 0; at < BOUNCE_TOKEN_BYTES; at += 5) {
		uint64_t bits = 0;
		for (size_t i = 0; i < 5; i++)
			bits = bits << 8 | in[at + i];
		for (size_t i = 0; i < 8; i++)
			*out++ = digits[bits >> (35 - 5 * i) & 31];
	}
	*out = '\0';
}

static int
digit_of(char c)
{
	/* some mail servers write local parts in capitals */
	const char *p = memchr(digits, c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c, 32);
	return p ? (int)(p - digits) : -1;
}

static int
decode(const char *in, uint8_t out[static BOUNCE_TOKEN_BYTES])
{
	if (strlen(in) != BOUNCE_TOKEN_CHARS)
		return -ERR_NOT_FOUND;
	for (size_t at = 0; at < BOUNCE_TOKEN_BYTES; at += 5, in += 8) {
		uint64_t bits = 0;
		for (size_t i = 0; i < 8; i++) {
			int digit = digit_of(in[i]);
			if (digit < 0)
				return -ERR_NOT_FOUND;
			bits = bits << 5 | (unsigned)digit;
		}
		for (size_t i = 0; i < 5; i++)
			out[at + i] = (uint8_t)(bits >> (32 - 8 * i));
	}
	return 0;
}

int
bounce_report_get(const uint8_t *p, size_t len, struct bounce_report *ret_report)
{
	struct bounce_report report;
	struct rd r = rd_init(p, len);
	unsigned delayed = rd_u8(&r);
	rd_line(&r, report.token, sizeof report.token);
	rd_line(&r, report.status, sizeof report.status);
	if (!rd_done(&r) || delayed > 1 || !bounce_status_ok(report.status))
		return -ERR_PROTOCOL;
	report.code = delayed ? ERR_MAIL_DELAYED : ERR_MAIL_CAME_BACK;
	*ret_report = report;
	return 0;
}

int
bounce_status_ok(const char *status)
{
	return !status[strspn(status, "0123456789.")];
}

int
bounce_sender(const uint8_t key[static BOUNCE_KEY_BYTES], const struct bounce *bounce,
	uint64_t now_s, const char *address, char out[static BOUNCE_SENDER_SIZE])
{
	uint8_t bytes[BOUNCE_TOKEN_BYTES], hash[HASH_BYTES];
	char token[BOUNCE_TOKEN_CHARS + 1];
	struct wr w = wr_init(bytes, sizeof bytes);
	wr_bytes(&w, bounce->agent, sizeof bounce->agent);
	wr_u32(&w, bounce->mark);
	wr_u24(&w, (uint32_t)(now_s / HOUR_S));
	int r = mac(key, bytes, BODY_BYTES, hash);
	if (r < 0)
		return r;
	wr_bytes(&w, hash, MAC_BYTES);
	encode(bytes, token);
	return str_print(out, BOUNCE_SENDER_SIZE, "%.*s+%s%s", (int)strcspn(address, "@"), address,
		token, strchr(address, '@'));
}

int
bounce_open(const uint8_t key[static BOUNCE_KEY_BYTES], const char *token, uint64_t now_s,
	struct bounce *ret_bounce)
{
	uint8_t bytes[BOUNCE_TOKEN_BYTES], hash[HASH_BYTES];
	struct bounce bounce;
	if (decode(token, bytes) < 0 || mac(key, bytes, BODY_BYTES, hash) < 0 ||
		!mem_equal(hash, bytes + BODY_BYTES, MAC_BYTES))
		return -ERR_NOT_FOUND;
	struct rd r = rd_init(bytes, BODY_BYTES);
	rd_copy(&r, bounce.agent, sizeof bounce.agent);
	bounce.mark = rd_u32(&r);
	uint64_t born_s = (uint64_t)rd_u24(&r) * HOUR_S;
	/* a clock that was set back a little is no reason to lose it */
	if (!rd_done(&r) || born_s > now_s + HOUR_S || now_s > born_s + HOUR_S + BOUNCE_LIFE_S)
		return -ERR_NOT_FOUND;
	*ret_bounce = bounce;
	return 0;
}
