#include "crypto/holder.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <string.h>

#include "base/err.h"
#include "base/wire.h"

#define PURPOSE "engawa certificate login v1"

void
holder_digest(const uint8_t hash[static 32], const uint8_t challenge[static HOLDER_CHALLENGE_BYTES],
	const void *certificate, size_t len, uint8_t ret_digest[static HOLDER_DIGEST_BYTES])
{
	uint8_t text[sizeof PURPOSE + 32 + HOLDER_CHALLENGE_BYTES + SHA256_DIGEST_LENGTH];
	uint8_t of_certificate[SHA256_DIGEST_LENGTH];
	struct wr w = wr_init(text, sizeof text);
	SHA256(certificate, len, of_certificate);
	wr_bytes(&w, PURPOSE, sizeof PURPOSE); /* with its NUL */
	wr_bytes(&w, hash, 32);
	wr_bytes(&w, challenge, HOLDER_CHALLENGE_BYTES);
	wr_bytes(&w, of_certificate, sizeof of_certificate);
	SHA256(text, w.len, ret_digest);
}

static int
is_good(EVP_PKEY *key)
{
	char curve[32];
	if (EVP_PKEY_is_a(key, "RSA"))
		return EVP_PKEY_get_bits(key) >= HOLDER_RSA_MIN_BITS &&
		       EVP_PKEY_get_size(key) <= HOLDER_SIGNATURE_MAX_BYTES;
	if (!EVP_PKEY_is_a(key, "EC") ||
		!EVP_PKEY_get_utf8_string_param(
			key, OSSL_PKEY_PARAM_GROUP_NAME, curve, sizeof curve, NULL))
		return 0;
	return strcmp(curve, "prime256v1") == 0 || strcmp(curve, "secp384r1") == 0 ||
	       strcmp(curve, "secp521r1") == 0;
}

static EVP_PKEY_CTX *
context(EVP_PKEY *key, int (*init)(EVP_PKEY_CTX *ctx))
{
	EVP_PKEY_CTX *ctx = is_good(key) ? EVP_PKEY_CTX_new(key, NULL) : NULL;
	if (ctx && init(ctx) == 1 && EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1 &&
		(!EVP_PKEY_is_a(key, "RSA") ||
			EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1))
		return ctx;
	EVP_PKEY_CTX_free(ctx);
	return NULL;
}

int
holder_sign(EVP_PKEY *key, const uint8_t digest[static HOLDER_DIGEST_BYTES],
	uint8_t ret_signature[static HOLDER_SIGNATURE_MAX_BYTES], size_t *ret_len)
{
	size_t len = HOLDER_SIGNATURE_MAX_BYTES;
	EVP_PKEY_CTX *ctx = context(key, EVP_PKEY_sign_init);
	int ok = ctx && EVP_PKEY_sign(ctx, ret_signature, &len, digest, HOLDER_DIGEST_BYTES) == 1;
	EVP_PKEY_CTX_free(ctx);
	if (!ok)
		return -ERR_CRYPTO;
	*ret_len = len;
	return 0;
}

int
holder_check(EVP_PKEY *key, const uint8_t digest[static HOLDER_DIGEST_BYTES],
	const uint8_t *signature, size_t len)
{
	EVP_PKEY_CTX *ctx = context(key, EVP_PKEY_verify_init);
	int ok = ctx && EVP_PKEY_verify(ctx, signature, len, digest, HOLDER_DIGEST_BYTES) == 1;
	EVP_PKEY_CTX_free(ctx);
	return ok ? 0 : -ERR_SIGNATURE;
}
