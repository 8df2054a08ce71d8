/*
 * The TLS key stays with the monitor: control and pump have an EVP_PKEY whose signatures are made
 * there, over a socket of its own. A process that was taken over can use the key while it lives and
 * never has it.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct evp_pkey_st;
struct x509_st;

/* Child: the certificate's key, each signature a blocking question on fd (a process has one). NULL
 * on failure. */
struct evp_pkey_st *signer_key(struct x509_st *cert, int fd);

/* Monitor: the signature of a digest. 0 or -ERR_CRYPTO. */
enum {
	SIGNER_DER_MAX_BYTES = 72
};
int signer_sign(struct evp_pkey_st *key, const uint8_t digest[static 32],
	uint8_t ret_der[static SIGNER_DER_MAX_BYTES], size_t *ret_len);
