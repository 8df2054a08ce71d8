/*
 * Passwords: which ones may be chosen, in which form they are compared, and how they are kept.
 *
 * Compared in Unicode's form NFC, so that the same characters from another keyboard are the same
 * password. Kept as Argon2id over HMAC-SHA256(pepper, password): "$pepper$argon2id$v=19$m=…" with
 * the key of the file, "$token$argon2id$…" with the token's; the form without either is that of
 * versions before the pepper. What is not as it would be made now is replaced at the next right
 * login.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "agent/pepper.h"
#include "agent/settings.h"

enum {
	PASSWORD_ALONE_CHARS = 15, /* NIST SP 800-63B: it is the only factor */
	PASSWORD_NAMES_MAX = 4,
	PASSWORD_NAME_SIZE = 129,
	PASSWORD_WAIVED_CHARS = 4,
};

/* What holds for the one who chooses. */
struct password_choice {
	int kinds;      /* the rule `seed`: characters of several kinds; else `nist`: length */
	int alone;      /* no other factor is asked for */
	int waived;     /* for a terminal that policy names: neither rule nor list */
	char list[256]; /* file of words that are refused, one a line; "" = the built-in ones only
			 */
	char names[PASSWORD_NAMES_MAX][PASSWORD_NAME_SIZE]; /* it must not be made of these; "" =
							       none */
};

/* Reads a file that may be large: not on a loop. 0; -ERR_PASSWORD_WEAK (seed), -ERR_PASSWORD_SHORT
 * (nist), -ERR_PASSWORD_LISTED, -ERR_PASSWORD_GUESSABLE; -errno of the list. */
int password_fit(const char *text, const struct password_choice *choice);

/* Argon2id with its parameters in the result; 64 MiB and about 0.2 s: not on a loop that serves
 * others. 0, -ENOMEM, -ERR_CRYPTO, and as pepper_by_token. */
int password_hash(
	struct pepper *pepper, const char *text, char ret_hash[static SETTINGS_HASH_SIZE]);
/* 0, -ERR_PASSWORD_WRONG, -ENOMEM, -ERR_CRYPTO, and as pepper_by_token. The same cost. */
int password_check(struct pepper *pepper, const char *hash, const char *text);
/* Takes the time of password_check and is always -ERR_PASSWORD_WRONG: for names that nobody has. */
int password_check_nobody(struct pepper *pepper, const char *text);
/* 1 when it looks like one of ours; when it would be made otherwise today. */
int password_is_hash(const char *hash);
int password_is_old(const struct pepper *pepper, const char *hash);
/* 1 when the file's key is needed to check it; the token's. */
int password_by_file(const char *hash);
int password_by_token(const char *hash);
/* Form NFC on the heap (wipe it); NULL when it is not UTF-8 or memory is out. */
char *password_normal(const char *text);
