/*
 * The PIN of a security key in software: CTAP 2.0, authenticatorClientPIN with protocol one
 * (6.5.6). It counts wrong ones like a real key: eight in a row, and it is blocked.
 */
#pragma once
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "authenticator_cbor.h"

enum {
	SOFT_PIN_RETRIES = 8,
	SOFT_PIN_INVALID = 0x31,
	SOFT_PIN_BLOCKED = 0x32,
	SOFT_PIN_AUTH_INVALID = 0x33
};

struct soft_pin {
	char pin[64]; /* "" = none */
	int wrong;
	uint8_t token[32];
	EVP_PKEY *agreement;
};

static inline void
soft_pin_fini(struct soft_pin *p)
{
	EVP_PKEY_free(p->agreement);
	p->agreement = NULL;
}

/* {1: the public key, for this exchange} */
static inline size_t
soft_pin_agreement(struct soft_pin *p, uint8_t *out)
{
	uint8_t point[65];
	size_t len = sizeof point;
	soft_pin_fini(p);
	p->agreement = EVP_EC_gen("P-256");
	if (EVP_PKEY_get_octet_string_param(
		    p->agreement, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &len) != 1)
		abort();
	struct cbor c = {out};
	put_head(&c, 5, 1);
	put_head(&c, 0, 1);
	memcpy(c.p, "\xa5\x01\x02\x03\x38\x18\x20\x01\x21", 9); /* EC2, ECDH, P-256, x */
	c.p += 9;
	put_string(&c, 2, point + 1, 32);
	*c.p++ = 0x22; /* y */
	put_string(&c, 2, point + 33, 32);
	return (size_t)(c.p - out);
}

static inline void
soft_pin_aes(int encrypt, const uint8_t key[static 32], const uint8_t *in, int len, uint8_t *out)
{
	static const uint8_t iv[16];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n;
	if (EVP_CipherInit_ex2(ctx, EVP_aes_256_cbc(), key, iv, encrypt, NULL) != 1 ||
		EVP_CIPHER_CTX_set_padding(ctx, 0) != 1 ||
		EVP_CipherUpdate(ctx, out, &n, in, len) != 1 || n != len)
		abort();
	EVP_CIPHER_CTX_free(ctx);
}

/* With the key that the other end sent. */
static inline void
soft_pin_shared(const struct soft_pin *p, const uint8_t *cose, uint8_t ret_shared[static 32])
{
	uint8_t point[65] = {4}, x[32];
	size_t len = sizeof x;
	cbor_take(cbor_find(cose, -2, NULL), point + 1, 32);
	cbor_take(cbor_find(cose, -3, NULL), point + 33, 32);
	EVP_PKEY *peer = EVP_PKEY_new();
	if (EVP_PKEY_copy_parameters(peer, p->agreement) != 1 ||
		EVP_PKEY_set1_encoded_public_key(peer, point, sizeof point) != 1)
		abort();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(p->agreement, NULL);
	if (EVP_PKEY_derive_init(ctx) != 1 || EVP_PKEY_derive_set_peer(ctx, peer) != 1 ||
		EVP_PKEY_derive(ctx, x, &len) != 1)
		abort();
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(peer);
	SHA256(x, len, ret_shared);
}

/* {2: token} for the right PIN, or a status. */
static inline size_t
soft_pin_token(struct soft_pin *p, const uint8_t *request, uint8_t *out)
{
	uint8_t shared[32], sealed[16], typed[16], hash[32], token[32];
	if (p->wrong >= SOFT_PIN_RETRIES) {
		out[-1] = SOFT_PIN_BLOCKED;
		return 0;
	}
	soft_pin_shared(p, cbor_find(request, 3, NULL), shared);
	cbor_take(cbor_find(request, 6, NULL), sealed, sizeof sealed);
	soft_pin_aes(0, shared, sealed, sizeof sealed, typed);
	SHA256((const uint8_t *)p->pin, strlen(p->pin), hash);
	if (memcmp(typed, hash, sizeof typed) != 0) {
		out[-1] = ++p->wrong < SOFT_PIN_RETRIES ? SOFT_PIN_INVALID : SOFT_PIN_BLOCKED;
		return 0;
	}
	p->wrong = 0;
	RAND_bytes(p->token, sizeof p->token);
	soft_pin_aes(1, shared, p->token, sizeof p->token, token);
	struct cbor c = {out};
	put_head(&c, 5, 1);
	put_head(&c, 0, 2);
	put_string(&c, 2, token, sizeof token);
	return (size_t)(c.p - out);
}

/* Command 6. out[-1] is the status; the length of what follows it. */
static inline size_t
soft_pin_command(struct soft_pin *p, const uint8_t *request, uint8_t *out)
{
	unsigned major;
	const uint8_t *at = cbor_find(request, 2, NULL);
	uint64_t sub = at ? cbor_head(&at, &major) : 0;
	struct cbor c = {out};
	if (sub == 2)
		return soft_pin_agreement(p, out);
	if (sub == 5 && p->agreement)
		return soft_pin_token(p, request, out);
	if (sub != 1) {
		out[-1] = 0x02; /* invalid parameter */
		return 0;
	}
	put_head(&c, 5, 1);
	put_head(&c, 0, 3);
	put_head(&c, 0, (size_t)(SOFT_PIN_RETRIES - p->wrong));
	return (size_t)(c.p - out);
}

/* What a command carries to show that the PIN was given: 1 right, 0 none, -1 wrong. */
static inline int
soft_pin_shown(const struct soft_pin *p, const uint8_t *given, const uint8_t hash[static 32])
{
	uint8_t mac[32], shown[16];
	unsigned len = sizeof mac;
	if (!given)
		return 0;
	HMAC(EVP_sha256(), p->token, sizeof p->token, hash, 32, mac, &len);
	return cbor_take(given, shown, sizeof shown) == 16 && memcmp(shown, mac, 16) == 0 ? 1 : -1;
}
