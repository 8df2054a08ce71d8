/*
 * What the person at the office PC sets: the address for one-time codes, the password and the
 * settings password (as hashes). One small file of mode 0600, written as a whole.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"

enum {
	SETTINGS_MAIL_SIZE = 255,
	SETTINGS_HASH_SIZE = 192,
	SETTINGS_TEXT_SIZE = 2 * SETTINGS_MAIL_SIZE + 2 * SETTINGS_HASH_SIZE + 128,
	SETTINGS_MAIL_NEXT_S = 7 * 86400,
	PASSWORD_MIN_CHARS = 8, /* the original's rule for choosing: settings_password_fit */
	PASSWORD_MAX_BYTES = 511,
};

struct settings {
	char mail[SETTINGS_MAIL_SIZE];     /* "" = unset */
	char password[SETTINGS_HASH_SIZE]; /* a hash of password.h, "" = unset */
	char lock[SETTINGS_HASH_SIZE];     /* of the settings password (local_lock.h), "" = unset */
	char mail_next[SETTINGS_MAIL_SIZE]; /* takes mail's place when a login confirms it, "" =
					       none */
	uint64_t mail_next_until_s;         /* wall clock */
	uint64_t mail_back_s; /* when a mail to `mail` came back, 0 = none since one arrived */
};

/* A missing file is empty settings. 0, -errno, -ERR_SETTING; error as in conf_load. */
int settings_load(const char *path, struct settings *ret_settings, struct conf_error *error);
int settings_save(const char *path, const struct settings *settings);

/* The file's text, both ways; wipe it. 0, -ERR_SETTING; -ENAMETOOLONG. */
int settings_parse(const char *text, size_t len, struct settings *ret_settings);
int settings_text(const struct settings *settings, char out[static SETTINGS_TEXT_SIZE]);

/* 1 when it is one plain address that can be put into a mail header: no space, control, list,
 * comment or quoted part. */
int settings_mail_fit(const char *address);
/* "t***@city.example.lg.jp" */
void settings_mail_mask(const char *address, char *out, size_t size);

/* 0, or -ERR_PASSWORD_WEAK: 8 characters of 3 kinds (lower, upper, digit, other), 16 of 2, or 24.
 */
int settings_password_fit(const char *text);
