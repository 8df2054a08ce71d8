/*
 * The pairing code: shown at the office PC, typed at a new device, once, within ten minutes. One at
 * a time, in memory only; a new one replaces it, a restart ends it.
 *
 * 40 bits, and whoever knows them still needs the one-time code and the password. So a wrong one
 * need not end the pairing: that anybody with the terminal ID could do.
 */
#pragma once
#include <stdint.h>

#include "base/clock.h"

enum {
	PAIRING_DIGITS = 8, /* Crockford base32: 40 bits */
	PAIRING_TEXT_SIZE = PAIRING_DIGITS + 2,
	PAIRING_LIFE_S = 600,
	PAIRING_WRONG_MAX = 1000000, /* one chance in a million; then it is over */
	PAIRING_HOUR_MAX = 20        /* codes */
};

struct pairing {
	char code[PAIRING_DIGITS + 1]; /* secret; "" = none */
	struct mono until, hour;
	unsigned wrong, hour_count;
};

/* "AB12-CD34". 0, -ERR_LIMIT, -ERR_CRYPTO. */
int pairing_new(struct pairing *pairing, struct mono now, char ret_text[static PAIRING_TEXT_SIZE]);
void pairing_end(struct pairing *pairing);
/* Seconds that a code is still good for; 0 = there is none. */
uint32_t pairing_left_s(const struct pairing *pairing, struct mono now);
/* As people type it: hyphens, blanks, small letters, I, L and O. 0: right, and used up.
 * -ERR_PAIRING_WRONG. */
int pairing_use(struct pairing *pairing, const char *text, struct mono now);
