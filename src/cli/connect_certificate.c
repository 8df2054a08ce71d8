#include "cli/connect_certificate.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/mem.h"

enum {
	FILE_MAX_BYTES = 64 * 1024
};

struct certificate {
	EVP_PKEY *key;
	struct holder_proof proof;
};

static X509 *
parse(const char *data, size_t len)
{
	const unsigned char *at = (const unsigned char *)data;
	BIO *bio = BIO_new_mem_buf(data, (int)len);
	X509 *x509 = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	BIO_free(bio);
	return x509 ? x509 : d2i_X509(NULL, &at, (long)len);
}

static int
load_certificate(const char *path, X509 **ret)
{
	char *data;
	size_t len;
	int r = conf_read_file(path, FILE_MAX_BYTES, &data, &len);
	if (r < 0)
		return r;
	*ret = parse(data, len);
	mem_wipe_free(data, len); /* a key may be in the same file */
	return *ret ? 0 : -ERR_CERTIFICATE_KEY;
}

/* A key with a passphrase is not asked for it here: a card is the better place. */
static int
no_passphrase(char *buf, int size, int writing, void *user)
{
	(void)buf, (void)size, (void)writing, (void)user;
	return -1;
}

static int
load_key(const char *path, EVP_PKEY **ret)
{
	char *pem;
	size_t len;
	int r = conf_read_secret(path, FILE_MAX_BYTES, &pem, &len);
	if (r < 0)
		return r;
	BIO *bio = BIO_new_mem_buf(pem, (int)len);
	*ret = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	BIO_free(bio);
	mem_wipe_free(pem, len);
	return *ret ? 0 : -ERR_CERTIFICATE_KEY;
}

static int
take_der(X509 *x509, struct holder_proof *proof)
{
	unsigned char *out = proof->certificate;
	int len = i2d_X509(x509, NULL);
	if (len <= 0 || (size_t)len > sizeof proof->certificate)
		return -ERR_CERTIFICATE_KEY;
	proof->certificate_len = (size_t)i2d_X509(x509, &out);
	return 0;
}

int
certificate_load(const char *certificate_path, const char *key_path, struct certificate **ret,
	const char **ret_bad)
{
	struct certificate *c = mem_new(sizeof *c);
	X509 *x509 = NULL;
	*ret_bad = certificate_path;
	int r = load_certificate(certificate_path, &x509);
	if (r == 0)
		r = take_der(x509, &c->proof);
	if (r == 0) {
		*ret_bad = key_path;
		r = load_key(key_path, &c->key);
	}
	if (r == 0 && X509_check_private_key(x509, c->key) != 1)
		r = -ERR_CERTIFICATE_KEY;
	X509_free(x509);
	if (r < 0) {
		certificate_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

void
certificate_free(struct certificate *certificate)
{
	if (!certificate)
		return;
	EVP_PKEY_free(certificate->key);
	mem_wipe_free(certificate, sizeof *certificate);
}

int
certificate_answer(const struct certificate *certificate, struct session *session)
{
	uint8_t digest[HOLDER_DIGEST_BYTES];
	struct holder_proof proof;
	if (!certificate)
		return session_reply(session, "");
	proof = certificate->proof;
	int r = session_certificate_digest(
		session, proof.certificate, proof.certificate_len, digest);
	if (r == 0)
		r = holder_sign(certificate->key, digest, proof.signature, &proof.signature_len);
	if (r == -ERR_CRYPTO)
		r = -ERR_CERTIFICATE_KEY;
	return r < 0 ? r : session_reply_certificate(session, &proof);
}
