/*
 * What the person has besides the password (docs/protocol.md 6): an authenticator app, ten recovery
 * codes, an emergency code. One small file of mode 0600, written as a whole before a result is
 * told: what was accepted once is never accepted again, also after a crash.
 *
 * Of recovery and emergency codes only HMACs are kept; they have about 100 random bits each.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "agent/totp.h"
#include "base/conf.h"

enum {
	RECOVERY_COUNT = 10,
	RECOVERY_CHARS = 20,   /* of 32: 100 bits */
	EMERGENCY_DIGITS = 30, /* 99 bits, to be read out on the telephone */
	RECOVERY_TEXT_SIZE = 40,
	FACTORS_TEXT_SIZE = 4096,
	TOTP_CONFIRM_S = 600, /* to scan a QR code and type */
};

enum factor {
	FACTOR_TOTP,
	FACTOR_RECOVERY,
	FACTOR_EMERGENCY
};

struct factors;

/* Reads the file when there is one. 0, -errno, -ERR_SETTING (damaged); error as in conf_load. */
int factors_open(const char *path, struct factors **ret_factors, struct conf_error *error);
void factors_free(struct factors *factors);
/* The file's text, both ways; wipe it. 0, -ERR_SETTING; -ENOMEM. */
int factors_parse(const char *text, size_t len, struct factors **ret_factors);
int factors_text(const struct factors *factors, char text[static FACTORS_TEXT_SIZE]);

int factors_has_totp(const struct factors *factors);
size_t factors_recovery_left(const struct factors *factors);
int factors_has_emergency(const struct factors *factors);

/* A new secret, in force when a code made with it was typed within TOTP_CONFIRM_S. The one before
 * stays in force until then. 0 or -ERR_CRYPTO. */
int factors_totp_begin(struct factors *factors, uint64_t now_s, struct totp *ret_totp);
/* 0, -ERR_CODE_WRONG, -ERR_NOT_FOUND (none was begun, or too long ago), -errno. */
int factors_totp_confirm(struct factors *factors, const char *code, uint64_t now_s);
int factors_totp_remove(struct factors *factors);

/* New codes; the earlier ones are void. 0, -ERR_CRYPTO, -errno. */
int factors_recovery_make(
	struct factors *factors, char ret_codes[RECOVERY_COUNT][RECOVERY_TEXT_SIZE]);
int factors_emergency_make(struct factors *factors, char ret_code[static RECOVERY_TEXT_SIZE]);
/* Both kinds. */
int factors_recovery_remove(struct factors *factors);

/* 1 when text can be nothing but a recovery or emergency code: as long as one, whatever the
 * hyphens.
 */
int factors_is_recovery(const char *text);
/* What a person typed: 6 digits are the app's, longer ones a code on paper. Full-width forms, lower
 * case, spaces and hyphens are fine. 0; -ERR_CODE_WRONG, also for what was accepted before;
 * -ERR_CRYPTO; -errno when it could not be recorded. */
int factors_check(
	struct factors *factors, const char *text, uint64_t now_s, enum factor *ret_factor);
