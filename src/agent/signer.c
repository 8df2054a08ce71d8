/* EC_KEY_METHOD is the one hook of OpenSSL 3.0 for a foreign EC key without an engine or a provider
 * of our own. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "agent/signer.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "agent/message.h"
#include "base/err.h"
#include "base/ipc.h"

enum {
	ANSWER_S = 5
}; /* the monitor's loop never waits: longer than this and it is gone */

static int channel = -1;

static int
on_sign(int type, const unsigned char *digest, int len, unsigned char *sig, unsigned *ret_len,
	const BIGNUM *kinv, const BIGNUM *r, EC_KEY *ec)
{
	uint16_t answer;
	(void)type, (void)kinv, (void)r, (void)ec;
	if (len != DIGEST_BYTES || ipc_send(channel, MSG_SIGN, digest, DIGEST_BYTES, -1) < 0)
		return 0;
	int n = ipc_recv(channel, &answer, sig, SIGNER_DER_MAX_BYTES, NULL);
	if (n <= 0 || answer != MSG_SIGNED)
		return 0;
	*ret_len = (unsigned)n;
	return 1;
}

struct evp_pkey_st *
signer_key(X509 *cert, int fd)
{
	static EC_KEY_METHOD *method;
	struct timeval limit = {.tv_sec = ANSWER_S};
	EVP_PKEY *public = X509_get0_pubkey(cert), *key = EVP_PKEY_new();
	const EC_KEY *of_cert = public ? EVP_PKEY_get0_EC_KEY(public) : NULL;
	EC_KEY *ec = of_cert ? EC_KEY_dup(of_cert) : NULL;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	channel = fd;
	if (!method && (method = EC_KEY_METHOD_new(EC_KEY_OpenSSL())))
		EC_KEY_METHOD_set_sign(method, on_sign, NULL, NULL);
	if (!ec || !key || !method || ECDSA_size(ec) > SIGNER_DER_MAX_BYTES ||
		!EC_KEY_set_method(ec, method) || !EVP_PKEY_assign_EC_KEY(key, ec)) {
		EC_KEY_free(ec);
		EVP_PKEY_free(key);
		return NULL;
	}
	return key;
}

int
signer_sign(struct evp_pkey_st *key, const uint8_t digest[static 32],
	uint8_t ret_der[static SIGNER_DER_MAX_BYTES], size_t *ret_len)
{
	size_t len = SIGNER_DER_MAX_BYTES;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	int ok = ctx && EVP_PKEY_sign_init(ctx) == 1 &&
		 EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1 &&
		 EVP_PKEY_sign(ctx, ret_der, &len, digest, DIGEST_BYTES) == 1;
	EVP_PKEY_CTX_free(ctx);
	if (!ok)
		return -ERR_CRYPTO;
	*ret_len = len;
	return 0;
}
