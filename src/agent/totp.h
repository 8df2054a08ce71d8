/*
 * Time-based one-time codes (RFC 6238: SHA-1, 6 digits, 30 s steps, one step of drift either way),
 * over liboath. Each step is accepted once: a code that was seen over a shoulder or on the wire is
 * worth nothing.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
	TOTP_SECRET_BYTES = 20, /* RFC 4226 4: 160 bits recommended */
	TOTP_DIGITS = 6,
	TOTP_STEP_S = 30,
	TOTP_SECRET_TEXT_SIZE = 33, /* base32 */
	TOTP_URI_SIZE = 512,
};

struct totp {
	uint8_t secret[TOTP_SECRET_BYTES];
	uint64_t last_step; /* the newest that was accepted; only ever grows */
};

/* A fresh secret, nothing accepted yet. 0 or -ERR_CRYPTO. */
int totp_generate(struct totp *ret_totp);

/* 0 and last_step moves on (the caller records it before it acts on the result), -ERR_CODE_WRONG
 * (also for a code used before), -ERR_CRYPTO. */
int totp_check(struct totp *totp, const char *code, uint64_t now_s);

void totp_secret_text(const struct totp *totp, char ret_text[static TOTP_SECRET_TEXT_SIZE]);
/* 0 or -ERR_SETTING. */
int totp_secret_parse(const char *text, struct totp *ret_totp);
/* otpauth:// for a phone's camera: label and issuer are percent-encoded. 0 or -ENAMETOOLONG. */
int totp_uri(const struct totp *totp, const char *label, const char *issuer,
	char ret_uri[static TOTP_URI_SIZE]);
