#include "agent/pairing.h"

#include <ctype.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

enum {
	HOUR_MS = 3600000
};

static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

int
pairing_new(struct pairing *p, struct mono now, char ret_text[static PAIRING_TEXT_SIZE])
{
	uint8_t dice[PAIRING_DIGITS];
	if (!p->hour.ns || mono_diff_ms(p->hour, now) >= HOUR_MS) {
		p->hour = now;
		p->hour_count = 0;
	}
	if (p->hour_count >= PAIRING_HOUR_MAX)
		return -ERR_LIMIT;
	if (RAND_bytes(dice, sizeof dice) != 1)
		return -ERR_CRYPTO;
	p->hour_count++;
	p->wrong = 0;
	for (size_t i = 0; i < PAIRING_DIGITS; i++)
		p->code[i] = digits[dice[i] % 32];
	p->code[PAIRING_DIGITS] = '\0';
	p->until = mono_add_ms(now, PAIRING_LIFE_S * 1000);
	snprintf(ret_text, PAIRING_TEXT_SIZE, "%.4s-%.4s", p->code, p->code + 4);
	mem_wipe(dice, sizeof dice);
	return 0;
}

void
pairing_end(struct pairing *p)
{
	mem_wipe(p->code, sizeof p->code);
}

uint32_t
pairing_left_s(const struct pairing *p, struct mono now)
{
	return p->code[0] && mono_before(now, p->until)
		       ? (uint32_t)(mono_diff_ms(now, p->until) / 1000 + 1)
		       : 0;
}

/* 0 when it cannot be one. */
static int
normalize(const char *text, char out[static PAIRING_DIGITS + 1])
{
	size_t n = 0;
	for (; *text; text++) {
		char c = (char)toupper((unsigned char)*text);
		if (c == '-' || c == ' ')
			continue;
		c = c == 'O' ? '0' : c == 'I' || c == 'L' ? '1' : c;
		if (!strchr(digits, c) || n == PAIRING_DIGITS)
			return 0;
		out[n++] = c;
	}
	out[n] = '\0';
	return n == PAIRING_DIGITS;
}

int
pairing_use(struct pairing *p, const char *text, struct mono now)
{
	char typed[PAIRING_DIGITS + 1];
	int open = pairing_left_s(p, now) > 0;
	int right = normalize(text, typed) && open && mem_equal(typed, p->code, PAIRING_DIGITS);
	mem_wipe(typed, sizeof typed);
	if (right || (open && ++p->wrong >= PAIRING_WRONG_MAX))
		pairing_end(p);
	return right ? 0 : -ERR_PAIRING_WRONG;
}
