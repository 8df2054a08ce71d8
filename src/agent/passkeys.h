/*
 * The security keys (FIDO2, WebAuthn) that are registered at this office PC, and the registration
 * that is open: a code from the office PC's own command, good for one key. One small file of mode
 * 0600, written as a whole before a result is told. No secret is in it but a hash of the code.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "agent/paper.h"
#include "agent/users.h"
#include "base/conf.h"

enum {
	PASSKEYS_MAX = 32,
	PASSKEY_LABEL_SIZE = 65,
	PASSKEY_CREDENTIAL_MAX = 255,
	PASSKEY_PUBLIC_MAX = 260,
	REGISTRATION_CHARS = 25, /* of 32: 125 bits */
	REGISTRATION_S = 7 * 86400,
};

struct passkey {
	int32_t algorithm; /* COSE */
	uint32_t counter;  /* of the last signature */
	uint64_t made_s, used_s;
	size_t credential_len, public_key_len;
	uint8_t credential[PASSKEY_CREDENTIAL_MAX], public_key[PASSKEY_PUBLIC_MAX];
	char person[USER_NAME_SIZE]; /* folded; "" where there is one person only */
	char label[PASSKEY_LABEL_SIZE];
};

struct passkeys;

/* Reads the file when there is one. 0, -errno, -ERR_SETTING (damaged); error as in conf_load. */
int passkeys_open(const char *path, struct passkeys **ret_passkeys, struct conf_error *error);
void passkeys_free(struct passkeys *passkeys);

/* All take NULL for none. */
size_t passkeys_count(const struct passkeys *passkeys);
/* The i-th from 0; NULL. */
const struct passkey *passkeys_at(const struct passkeys *passkeys, size_t i);
const struct passkey *passkeys_find(
	const struct passkeys *passkeys, const uint8_t *credential, size_t len);

/* Opens a registration; an earlier one is void. 0, -ERR_LIMIT, -ERR_CRYPTO, -ERR_SETTING (label or
 * person), -errno. */
int passkeys_begin(struct passkeys *passkeys, const char *person, const char *label, uint64_t now_s,
	char ret_code[static PAPER_TEXT_SIZE]);
int passkeys_is_open(const struct passkeys *passkeys, uint64_t now_s);
/* 1 when text can be nothing but the code of a registration. */
int passkeys_is_code(const char *text);
/* 0 and whose key it is to become: person and label of ret_key. -ERR_CODE_WRONG. */
int passkeys_check(
	const struct passkeys *passkeys, const char *text, uint64_t now_s, struct passkey *ret_key);
/* Ends the registration with this key, if it is still open for its person and label. 0,
 * -ERR_CODE_WRONG, -ERR_EXISTS, -ERR_LIMIT, -errno. */
int passkeys_add(struct passkeys *passkeys, const struct passkey *key, uint64_t now_s);

/* A signature was accepted. 0, -ERR_NOT_FOUND, -errno. */
int passkeys_used(struct passkeys *passkeys, const uint8_t *credential, size_t len,
	uint32_t counter, uint64_t now_s);
/* 0, -ERR_NOT_FOUND, -errno. */
int passkeys_remove(struct passkeys *passkeys, size_t i);
/* Nobody can register any more with the code that was given. */
int passkeys_cancel(struct passkeys *passkeys);

/* The file, for its fuzz target: 0 and a table, or -ERR_SETTING. */
int passkeys_parse(const char *text, size_t len, struct passkeys **ret_passkeys);
