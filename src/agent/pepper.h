/*
 * What goes into the hashes of passwords besides them (NIST SP 800-63B, 3.1.1.2): a key in a file,
 * or one that a token keeps and never gives out. Whoever has the hashes without it has nothing to
 * guess at. While a token is set, nobody's password is right without it.
 *
 * Of a token every password asks anew, by a helper with a deadline (crypto/token.h); it sees a
 * digest of the password. Off the loop. After a PIN that was refused it is not asked again: tokens
 * count.
 */
#pragma once
#include <stdatomic.h>
#include <stdint.h>

#include "base/conf.h"
#include "crypto/token.h"

enum {
	PEPPER_BYTES = 32,
	PEPPER_TOKEN_MS = 8000 /* below the wait of the login for its check */
};

struct pepper {
	uint8_t key[PEPPER_BYTES];   /* of the file */
	struct token_question token; /* module "" = there is none; the digest is left out */
	atomic_int make; /* no hash needs the token's key yet: one that is missing is made */
	atomic_int code; /* what became of the last question to the token, 0 or an error */
};

/* Reads the key file (64 hex digits, of the owner only). A missing one is made when `make`. 0,
 * -errno (-ENOENT), -ERR_SETTING, -ERR_CRYPTO. */
int pepper_load(const char *path, int make, struct pepper *ret_pepper);
/* Sets the token: its module, the URI of the key, and a file with its PIN (of the owner only; NULL
 * = it needs none). 0, -ERR_SETTING, -errno of the file. The token is not asked yet. */
int pepper_set_token(
	struct pepper *pepper, const char *module, const char *uri, const char *pin_file);
int pepper_has_token(const struct pepper *pepper);
/* 0 or ERR_PEPPER_TOKEN, ERR_PEPPER_PIN: what people are told. */
uint32_t pepper_code(const struct pepper *pepper);

/* The key for Argon2 from a password in its normal form. 0, -ERR_CRYPTO; by token also
 * -ERR_PEPPER_TOKEN (it is not there, does not answer, or none is set), -ERR_PEPPER_PIN. */
int pepper_by_file(
	const struct pepper *pepper, const char *normal, uint8_t ret_key[static PEPPER_BYTES]);
int pepper_by_token(
	struct pepper *pepper, const char *normal, uint8_t ret_key[static PEPPER_BYTES]);
