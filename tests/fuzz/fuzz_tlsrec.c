/* Correctly sealed records with any content: input is a list of {length:u8, inner plaintext}. */
#include <openssl/evp.h>
#include <stdint.h>
#include <string.h>

#include "base/wire.h"
#include "crypto/tlsrec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tlsrec_crypto *crypto;
	uint8_t secret[48] = { 7 }, wire[512], *out;
	struct tlsrec rec;
	size_t len;
	int n, r = 0;
	if (!crypto)
		crypto = tlsrec_crypto_new();
	tlsrec_init(&rec, TLSREC_AES_256_GCM, secret, secret, 0, 0);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	for (struct rd in = rd_init(data, size); r == 0 && in.left > 0;) {
		size_t part = rd_u8(&in);
		const uint8_t *inner = rd_bytes(&in, part = part < in.left ? part : in.left);
		uint8_t nonce[12], header[5] = { 23, 3, 3, 0, 0 };
		struct wr w = wr_init(header + 3, 2);
		wr_u16(&w, (uint16_t)(part + 16));
		memcpy(nonce, rec.in.iv, 12);
		nonce[11] ^= (uint8_t)rec.in.seq;
		nonce[10] ^= (uint8_t)(rec.in.seq >> 8);
		EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, rec.in.key, nonce);
		EVP_EncryptUpdate(ctx, NULL, &n, memcpy(wire, header, 5), 5);
		EVP_EncryptUpdate(ctx, wire + 5, &n, inner, (int)part);
		EVP_EncryptFinal_ex(ctx, wire + 5 + part, &n);
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, wire + 5 + part);
		if (tlsrec_length(wire, part + 21) > 0)
			r = tlsrec_open(&rec, crypto, wire, part + 21, &out, &len);
	}
	EVP_CIPHER_CTX_free(ctx);
	return 0;
}
