/* A TLS record as a peer with the keys makes it. */
#pragma once
#include <openssl/evp.h>

#include "base/wire.h"
#include "crypto/tlsrec.h"
#include "fuzz.h"

/* The next one rec expects, around len bytes; wire needs len + 21. */
static inline void
seal_tlsrec(const struct tlsrec *rec, const uint8_t *inner, size_t len, uint8_t *wire)
{
	uint8_t nonce[12], header[5] = {23, 3, 3, 0, 0};
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	struct wr w = wr_init(header + 3, 2);
	int n;
	wr_u16(&w, (uint16_t)(len + 16));
	memcpy(nonce, rec->in.iv, 12);
	nonce[11] ^= (uint8_t)rec->in.seq;
	nonce[10] ^= (uint8_t)(rec->in.seq >> 8);
	EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, rec->in.key, nonce);
	EVP_EncryptUpdate(ctx, NULL, &n, memcpy(wire, header, 5), 5);
	EVP_EncryptUpdate(ctx, wire + 5, &n, inner, (int)len);
	EVP_EncryptFinal_ex(ctx, wire + 5 + len, &n);
	EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, wire + 5 + len);
	EVP_CIPHER_CTX_free(ctx);
}
