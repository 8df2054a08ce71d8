/* A person's certificate as it comes: nothing but the issuer's key makes one good. */
#include <openssl/x509.h>

#include "agent/certificate.h"
#include "crypto/cert.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static X509_STORE *store;
	static EVP_PKEY *key;
	static const uint8_t digest[HOLDER_DIGEST_BYTES];
	static const char *rules[] = {"cn", "email", "upn"}, *text;
	char name[USER_NAME_SIZE];
	if (!store) {
		key = cert_root_key();
		store = X509_STORE_new();
		X509_STORE_add_cert(store, cert_root(key, "fuzz"));
	}
	X509 *certificate = certificate_parse(data, size);
	for (size_t i = 0; certificate && i < 3; i++)
		certificate_name(certificate, rules[i], name);
	assert(!certificate || certificate_check(certificate, store, 1800000000, NULL, &text) < 0);
	assert(!certificate || certificate_check_holder(certificate, digest, data, size) < 0);
	if (certificate)
		certificate_check_pinned(certificate, 1800000000);
	X509_free(certificate);
	return 0;
}
