/*
 * ECDSA P-256 with SHA-256 over "purpose 0x00 body", and the Signed envelope (docs/protocol.md 2).
 * Private keys are PEM files of mode 0600 or, later, PKCS#11 objects: callers hold an EVP_PKEY.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct evp_pkey_st;

enum { SIGN_POINT_BYTES = 65, SIGN_KEY_ID_BYTES = 8, SIGN_DER_MAX_BYTES = 72, SIGN_RAW_BYTES = 64, SIGN_ENVELOPE_MAX_BYTES = 2048 };

struct evp_pkey_st *sign_key_generate(void); /* P-256; NULL on failure */
void sign_key_free(struct evp_pkey_st *key);
int sign_key_save(struct evp_pkey_st *key, const char *path); /* PEM, 0600, never overwrites: -EEXIST */
int sign_key_load(const char *path, struct evp_pkey_st **ret_key); /* -errno, -ERR_CRYPTO; -EPERM when others may read it */
struct evp_pkey_st *sign_key_public(const uint8_t point[static SIGN_POINT_BYTES]); /* NULL when it is not on the curve */
int sign_key_point(struct evp_pkey_st *key, uint8_t ret_point[static SIGN_POINT_BYTES]);
void sign_key_id(const uint8_t point[static SIGN_POINT_BYTES], uint8_t ret_id[static SIGN_KEY_ID_BYTES]);

int sign_bytes(struct evp_pkey_st *key, const char *purpose, const void *body, size_t len,
	uint8_t ret_der[static SIGN_DER_MAX_BYTES], size_t *ret_len);
/* 0 or -ERR_SIGNATURE. */
int sign_check(const uint8_t point[static SIGN_POINT_BYTES], const char *purpose, const void *body, size_t len,
	const uint8_t *der, size_t der_len);

/* Purpose of a device's signature over a handshake hash (docs/protocol.md 6). */
#define DEVICE_PURPOSE "engawa device v1"

/* The signature as r ‖ s, as browsers and tokens make it: SHA-256 of "purpose 0x00 body", and the check. 0 or -ERR_CRYPTO;
 * 0 or -ERR_SIGNATURE. */
int sign_digest(const char *purpose, const void *body, size_t len, uint8_t ret_digest[static 32]);
int sign_raw(struct evp_pkey_st *key, const char *purpose, const void *body, size_t len, uint8_t ret_raw[static SIGN_RAW_BYTES]);
int sign_check_raw(const uint8_t point[static SIGN_POINT_BYTES], const char *purpose, const void *body, size_t len,
	const uint8_t raw[static SIGN_RAW_BYTES]);

/* Signed message of protobuf body bytes. *ret_len bytes in out. */
int sign_envelope(struct evp_pkey_st *key, const char *purpose, const void *body, size_t len, uint8_t *out, size_t cap,
	size_t *ret_len);
/* Checks against whichever of the points has the envelope's key id, and copies the body out. 0, -ERR_PROTOCOL, -ERR_SIGNATURE. */
int sign_open(const uint8_t (*points)[SIGN_POINT_BYTES], size_t point_count, const char *purpose, const void *envelope,
	size_t len, uint8_t *ret_body, size_t cap, size_t *ret_body_len);
