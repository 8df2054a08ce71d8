#include "agent/totp.h"

#include <ctype.h>
#include <errno.h>
#include <liboath/oath.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	DRIFT_STEPS = 1
};

int
totp_generate(struct totp *ret_totp)
{
	struct totp totp = {.last_step = 0};
	if (RAND_bytes(totp.secret, sizeof totp.secret) != 1)
		return -ERR_CRYPTO;
	*ret_totp = totp;
	mem_wipe(&totp, sizeof totp);
	return 0;
}

static int
is_code(const char *code)
{
	for (size_t i = 0; i < TOTP_DIGITS; i++)
		if (code[i] < '0' || code[i] > '9')
			return 0;
	return code[TOTP_DIGITS] == '\0';
}

/* Every step of the window is computed and compared, so that time tells nothing. */
int
totp_check(struct totp *totp, const char *code, uint64_t now_s)
{
	char expected[TOTP_DIGITS + 1];
	uint64_t step = now_s / TOTP_STEP_S, accepted = 0;
	if (!is_code(code) || step <= DRIFT_STEPS)
		return -ERR_CODE_WRONG;
	for (uint64_t s = step - DRIFT_STEPS; s <= step + DRIFT_STEPS; s++) {
		if (oath_hotp_generate((const char *)totp->secret, sizeof totp->secret, s,
			    TOTP_DIGITS, 0, OATH_HOTP_DYNAMIC_TRUNCATION, expected) != OATH_OK)
			return -ERR_CRYPTO;
		if (mem_equal(expected, code, TOTP_DIGITS) && s > totp->last_step)
			accepted = s;
	}
	mem_wipe(expected, sizeof expected);
	if (!accepted)
		return -ERR_CODE_WRONG;
	totp->last_step = accepted;
	return 0;
}

static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/* 20 bytes are exactly 32 digits of 5 bits: no padding to care about. */
void
totp_secret_text(const struct totp *totp, char ret_text[static TOTP_SECRET_TEXT_SIZE])
{
	uint64_t bits = 0;
	unsigned count = 0;
	char *out = ret_text;
	for (size_t i = 0; i < sizeof totp->secret; i++) {
		bits = bits << 8 | totp->secret[i];
		for (count += 8; count >= 5; count -= 5)
			*out++ = base32[bits >> (count - 5) & 31];
	}
	*out = '\0';
}

int
totp_secret_parse(const char *text, struct totp *ret_totp)
{
	struct totp totp = {.last_step = 0};
	uint64_t bits = 0;
	unsigned count = 0;
	size_t len = 0;
	if (strlen(text) != TOTP_SECRET_TEXT_SIZE - 1)
		return -ERR_SETTING;
	for (; *text; text++) {
		const char *at = strchr(base32, *text);
		if (!at)
			return -ERR_SETTING;
		bits = bits << 5 | (uint64_t)(at - base32);
		count += 5;
		if (count >= 8) {
			count -= 8;
			totp.secret[len++] = (uint8_t)(bits >> count);
		}
	}
	*ret_totp = totp;
	mem_wipe(&totp, sizeof totp);
	return 0;
}

static int
add_encoded(char *out, size_t size, const char *text)
{
	size_t len = strlen(out);
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		int plain = *p < 0x80 && (isalnum(*p) || strchr("-._~", *p));
		int r = plain ? str_print(out + len, size - len, "%c", *p)
			      : str_print(out + len, size - len, "%%%02X", *p);
		if (r < 0)
			return r;
		len += strlen(out + len);
	}
	return 0;
}

int
totp_uri(const struct totp *totp, const char *label, const char *issuer,
	char ret_uri[static TOTP_URI_SIZE])
{
	char secret[TOTP_SECRET_TEXT_SIZE], tail[128];
	totp_secret_text(totp, secret);
	int r = str_copy(ret_uri, TOTP_URI_SIZE, "otpauth://totp/");
	if (r == 0)
		r = add_encoded(ret_uri, TOTP_URI_SIZE, label);
	if (r == 0)
		r = str_print(tail, sizeof tail,
			"?secret=%s&algorithm=SHA1&digits=%d&period=%d&issuer=", secret,
			TOTP_DIGITS, TOTP_STEP_S);
	size_t len = strlen(ret_uri);
	if (r == 0)
		r = str_copy(ret_uri + len, TOTP_URI_SIZE - len, tail);
	if (r == 0)
		r = add_encoded(ret_uri, TOTP_URI_SIZE, issuer);
	mem_wipe(secret, sizeof secret);
	mem_wipe(tail, sizeof tail);
	return r;
}
