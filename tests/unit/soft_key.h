/* A security key for tests: makes credentials and signs, honestly or as a test wants it. */
#pragma once
#include <openssl/ec.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "agent/webauthn.h"
#include "base/str.h"

struct soft_key {
	EVP_PKEY *key;
	struct new_key made;
	uint32_t counter;
};

static inline void
soft_key_init(struct soft_key *k, int32_t algorithm, uint8_t name)
{
	uint8_t point[65];
	size_t len = sizeof point;
	BIGNUM *n = NULL;
	*k = (struct soft_key){.made = {.credential_len = 16, .algorithm = algorithm}};
	memset(k->made.credential, name, 16);
	if (algorithm == WEBAUTHN_ES256) {
		k->key = EVP_EC_gen("P-256");
		EVP_PKEY_get_octet_string_param(k->key, "pub", point, sizeof point, &len);
		memcpy(k->made.public_key, point + 1, k->made.public_key_len = 64);
	} else if (algorithm == WEBAUTHN_EDDSA) {
		k->key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
		k->made.public_key_len = 32;
		EVP_PKEY_get_raw_public_key(k->key, k->made.public_key, &k->made.public_key_len);
	} else {
		k->key = EVP_RSA_gen(2048);
		EVP_PKEY_get_bn_param(k->key, "n", &n);
		BN_bn2binpad(n, k->made.public_key, 256);
		BN_free(n);
		memcpy(k->made.public_key + 256, "\1\0\1", 3);
		k->made.public_key_len = 259;
	}
}

static inline void
soft_key_fini(struct soft_key *k)
{
	EVP_PKEY_free(k->key);
}

/* What the browser writes. */
static inline void
soft_client_data(struct assertion *a, const char *type, const uint8_t challenge[static 32],
	const char *origin, const char *end)
{
	char text[64];
	str_base64(text, challenge, 32);
	for (char *p = text; *p; p++)
		*p = (char)(*p == '+' ? '-' : *p == '/' ? '_' : *p);
	text[43] = '\0';
	int n = snprintf((char *)a->client_data, sizeof a->client_data,
		"{\"type\":\"%s\",\"challenge\":\"%s\",\"origin\":\"%s\"%s", type, text, origin,
		end);
	a->client_data_len = (size_t)n;
}

/* Over authenticator and client data as they stand. */
static inline void
soft_sign(const struct soft_key *k, struct assertion *a)
{
	uint8_t text[sizeof a->authenticator_data + 32];
	memcpy(text, a->authenticator_data, a->authenticator_data_len);
	SHA256(a->client_data, a->client_data_len, text + a->authenticator_data_len);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	a->signature_len = sizeof a->signature;
	EVP_DigestSignInit(
		ctx, NULL, k->made.algorithm == WEBAUTHN_EDDSA ? NULL : EVP_sha256(), NULL, k->key);
	EVP_DigestSign(ctx, a->signature, &a->signature_len, text, a->authenticator_data_len + 32);
	EVP_MD_CTX_free(ctx);
}

static inline void
soft_authenticator_data(struct assertion *a, const char *rp_id, uint8_t flags, uint32_t counter)
{
	SHA256((const uint8_t *)rp_id, strlen(rp_id), a->authenticator_data);
	a->authenticator_data[32] = flags;
	for (int i = 0; i < 4; i++)
		a->authenticator_data[33 + i] = (uint8_t)(counter >> (24 - 8 * i));
	a->authenticator_data_len = 37;
}

/* As an honest browser and key do it. */
static inline void
soft_assert(struct soft_key *k, const char *rp_id, const uint8_t hash[static 32],
	struct assertion *ret_assertion)
{
	uint8_t challenge[32];
	char origin[160];
	struct assertion a = {.credential_len = k->made.credential_len};
	memcpy(a.credential, k->made.credential, a.credential_len);
	snprintf(origin, sizeof origin, "https://%s", rp_id);
	webauthn_challenge(hash, challenge);
	soft_client_data(&a, "webauthn.get", challenge, origin, ",\"crossOrigin\":false}");
	soft_authenticator_data(&a, rp_id, 5, ++k->counter);
	soft_sign(k, &a);
	*ret_assertion = a;
}
