/* CipherState of the specification (revision 34, 5.1): AES-256-GCM, a counter, and its own
 * rekeying. */
#include "crypto/noise.h"

#include <openssl/evp.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/wire.h"

enum {
	REKEY_MESSAGES = 1 << 20, /* docs/protocol.md 5 */
	NONCE_BYTES = 12,
};

static EVP_CIPHER_CTX *
aead_new(const uint8_t k[static NOISE_KEY_BYTES])
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	if (ctx && EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, k, NULL, 1) == 1)
		return ctx;
	EVP_CIPHER_CTX_free(ctx);
	return NULL;
}

/* One message: the nonce is 32 zero bits and n, big endian (12.4). The key stays in the context. */
static int
aead_run(EVP_CIPHER_CTX *ctx, int encrypt, uint64_t n, const void *ad, size_t ad_len,
	const uint8_t *in, size_t len, uint8_t *out, uint8_t tag[static NOISE_TAG_BYTES])
{
	uint8_t nonce[NONCE_BYTES];
	int got = 0, end = 0;
	struct wr w = wr_init(nonce, sizeof nonce);
	wr_zero(&w, 4);
	wr_u64(&w, n);
	if (len > NOISE_MESSAGE_MAX_BYTES || ad_len > NOISE_MESSAGE_MAX_BYTES)
		return -ERR_CRYPTO;
	if (EVP_CipherInit_ex(ctx, NULL, NULL, NULL, nonce, encrypt) != 1 ||
		(ad_len && EVP_CipherUpdate(ctx, NULL, &got, ad, (int)ad_len) != 1) ||
		(len && EVP_CipherUpdate(ctx, out, &got, in, (int)len) != 1))
		return -ERR_CRYPTO;
	if (!encrypt && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, NOISE_TAG_BYTES, tag) != 1)
		return -ERR_CRYPTO;
	uint8_t none[16]; /* GCM writes nothing at the end, but wants an address */
	if (EVP_CipherFinal_ex(ctx, none, &end) != 1)
		return -ERR_CRYPTO;
	if (encrypt && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, NOISE_TAG_BYTES, tag) != 1)
		return -ERR_CRYPTO;
	return 0;
}

int
noise_cipher_init(struct noise_cipher *cipher, const uint8_t key[static NOISE_KEY_BYTES])
{
	*cipher = (struct noise_cipher){.context = aead_new(key)};
	if (!cipher->context)
		return -ERR_CRYPTO;
	memcpy(cipher->key, key, NOISE_KEY_BYTES);
	return 0;
}

void
noise_cipher_fini(struct noise_cipher *cipher)
{
	if (!cipher)
		return;
	EVP_CIPHER_CTX_free(cipher->context);
	mem_wipe(cipher, sizeof *cipher);
}

/* REKEY(k): the first 32 bytes of ENCRYPT(k, 2^64 - 1, zerolen, 32 zero bytes). n goes on counting
 * (4.2, 5.1). */
static int
rekey(struct noise_cipher *cipher)
{
	static const uint8_t zero[NOISE_KEY_BYTES];
	uint8_t key[NOISE_KEY_BYTES], tag[NOISE_TAG_BYTES];
	int r = aead_run(cipher->context, 1, UINT64_MAX, NULL, 0, zero, sizeof zero, key, tag);
	if (r == 0 && EVP_CipherInit_ex(cipher->context, NULL, NULL, key, NULL, 1) != 1)
		r = -ERR_CRYPTO;
	if (r == 0)
		memcpy(cipher->key, key, sizeof key);
	mem_wipe(key, sizeof key);
	return r;
}

static int
next(struct noise_cipher *cipher)
{
	cipher->nonce++;
	return cipher->nonce % REKEY_MESSAGES == 0 ? rekey(cipher) : 0;
}

int
noise_seal(struct noise_cipher *cipher, const void *ad, size_t ad_len, const uint8_t *in,
	size_t len, uint8_t *out)
{
	int r = -ERR_CRYPTO;
	if (cipher->context && len <= NOISE_MESSAGE_MAX_BYTES - NOISE_TAG_BYTES)
		r = aead_run(
			cipher->context, 1, cipher->nonce, ad, ad_len, in, len, out, out + len);
	if (r == 0)
		r = next(cipher);
	if (r < 0)
		noise_cipher_fini(cipher);
	return r;
}

int
noise_open(struct noise_cipher *cipher, const void *ad, size_t ad_len, const uint8_t *in,
	size_t len, uint8_t *out)
{
	uint8_t tag[NOISE_TAG_BYTES];
	int r = -ERR_CRYPTO;
	size_t plain_len = len < NOISE_TAG_BYTES ? 0 : len - NOISE_TAG_BYTES;
	if (cipher->context && len >= NOISE_TAG_BYTES) {
		memcpy(tag, in + plain_len, sizeof tag);
		r = aead_run(
			cipher->context, 0, cipher->nonce, ad, ad_len, in, plain_len, out, tag);
		if (r < 0)
			mem_wipe(out, plain_len); /* GCM has written what nobody vouches for */
	}
	if (r == 0)
		r = next(cipher);
	if (r < 0)
		noise_cipher_fini(cipher);
	return r;
}
