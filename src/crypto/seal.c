#include "crypto/seal.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <string.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/wire.h"
#include "crypto/noise.h"

#define SALT "engawa seal v1"

enum {
	CONTEXT_MAX_BYTES = 64,
	TAG_BYTES = 16
};

/* HKDF-SHA256(ikm = shared secret, salt, info = epk, recipient, context). */
static int
derive_key(const uint8_t secret[static 32], const uint8_t remote[static 32],
	const uint8_t epk[static 32], const uint8_t recipient[static 32], const void *context,
	size_t context_len, uint8_t key[static 32])
{
	uint8_t shared[32], info[64 + CONTEXT_MAX_BYTES];
	struct wr w = wr_init(info, sizeof info);
	wr_bytes(&w, epk, 32);
	wr_bytes(&w, recipient, 32);
	wr_bytes(&w, context, context_len);
	if (w.failed || noise_dh(secret, remote, shared) < 0)
		return -ERR_CRYPTO;
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_DIGEST, (char[]){"SHA256"}, 6),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_KEY, shared, sizeof shared),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_SALT, (char[]){SALT}, strlen(SALT)),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_INFO, info, w.len),
		OSSL_PARAM_END,
	};
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	int ok = ctx && EVP_KDF_derive(ctx, key, 32, params) == 1;
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	mem_wipe(shared, sizeof shared);
	return ok ? 0 : -ERR_CRYPTO;
}

int
seal_make(const uint8_t recipient[static 32], const void *context, size_t context_len,
	const void *in, size_t len, uint8_t *out)
{
	struct noise_keypair ephemeral = {0};
	struct noise_cipher cipher = {0};
	uint8_t key[32];
	int r = noise_keypair_generate(&ephemeral);
	if (r == 0)
		r = derive_key(ephemeral.secret, recipient, ephemeral.public, recipient, context,
			context_len, key);
	if (r == 0)
		r = noise_cipher_init(&cipher, key); /* its first nonce is 0 */
	if (r == 0)
		r = noise_seal(&cipher, context, context_len, in, len, out + 32);
	if (r == 0)
		memcpy(out, ephemeral.public, 32);
	noise_cipher_fini(&cipher);
	mem_wipe(&ephemeral, sizeof ephemeral);
	mem_wipe(key, sizeof key);
	return r;
}

int
seal_open(const uint8_t secret[static 32], const void *context, size_t context_len, const void *in,
	size_t len, uint8_t *out)
{
	struct noise_keypair pair = {0};
	struct noise_cipher cipher = {0};
	uint8_t key[32];
	const uint8_t *epk = in;
	if (len < SEAL_OVERHEAD_BYTES)
		return -ERR_CRYPTO;
	int r = noise_keypair_from_secret(secret, &pair);
	if (r == 0)
		r = derive_key(secret, epk, epk, pair.public, context, context_len, key);
	if (r == 0)
		r = noise_cipher_init(&cipher, key);
	if (r == 0)
		r = noise_open(&cipher, context, context_len, epk + 32, len - 32, out);
	noise_cipher_fini(&cipher);
	mem_wipe(&pair, sizeof pair);
	mem_wipe(key, sizeof key);
	return r;
}

int
seal_key_save(const uint8_t secret[static 32], const char *path)
{
	char text[2 * 32 + 2];
	str_hex(text, secret, 32);
	text[64] = '\n';
	int r = conf_write_new(path, text, 65, 0600);
	mem_wipe(text, sizeof text);
	return r;
}

int
seal_key_load(const char *path, uint8_t ret_secret[static 32], uint8_t ret_public[static 32])
{
	struct noise_keypair pair = {0};
	uint8_t secret[32];
	char *text;
	size_t len;
	int r = conf_read_secret(path, 128, &text, &len);
	if (r < 0)
		return r;
	if (len > 0 && text[len - 1] == '\n')
		text[len - 1] = '\0';
	r = str_unhex(text, secret, sizeof secret) < 0 ? -ERR_CRYPTO
						       : noise_keypair_from_secret(secret, &pair);
	if (r == 0) {
		memcpy(ret_secret, pair.secret, 32);
		memcpy(ret_public, pair.public, 32);
	}
	mem_wipe_free(text, len);
	mem_wipe(secret, sizeof secret);
	mem_wipe(&pair, sizeof pair);
	return r;
}
