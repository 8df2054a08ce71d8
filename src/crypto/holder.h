/*
 * What the holder of a person's certificate signs to come in: a statement bound to one handshake,
 * one question and one certificate (docs/protocol.md 6.1). Nothing that another session, another
 * office PC or another program had signed is of use here.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct evp_pkey_st;

enum {
	HOLDER_CHALLENGE_BYTES = 32,
	HOLDER_DIGEST_BYTES = 32,
	HOLDER_CERTIFICATE_MAX_BYTES =
		3072,                     /* DER; one with a photograph is no login certificate */
	HOLDER_SIGNATURE_MAX_BYTES = 512, /* RSA with 4096 bits */
	HOLDER_RSA_MIN_BITS = 2048
};

/* As it travels: of the peer, unchecked. */
struct holder_proof {
	size_t certificate_len, signature_len;
	uint8_t certificate[HOLDER_CERTIFICATE_MAX_BYTES];
	uint8_t signature[HOLDER_SIGNATURE_MAX_BYTES];
};

/* SHA-256 of the statement: what is signed. hash is the handshake's. */
void holder_digest(const uint8_t hash[static 32],
	const uint8_t challenge[static HOLDER_CHALLENGE_BYTES], const void *certificate, size_t len,
	uint8_t ret_digest[static HOLDER_DIGEST_BYTES]);

/* RSA of 2048 to 4096 bits (PKCS #1 v1.5, as cards do) or ECDSA on P-256, P-384 or P-521 (DER). 0,
 * -ERR_CRYPTO for other keys. */
int holder_sign(struct evp_pkey_st *key, const uint8_t digest[static HOLDER_DIGEST_BYTES],
	uint8_t ret_signature[static HOLDER_SIGNATURE_MAX_BYTES], size_t *ret_len);
/* 0 or -ERR_SIGNATURE, also for a key that holder_sign would not use. */
int holder_check(struct evp_pkey_st *key, const uint8_t digest[static HOLDER_DIGEST_BYTES],
	const uint8_t *signature, size_t len);
