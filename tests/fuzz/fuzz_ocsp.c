/* Answers about a certificate: of OCSP, and lists. Without the issuer's key none says anything. */
#include <openssl/ocsp.h>

#include "agent/certificate.h"
#include "crypto/cert.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static X509_STORE *store;
	static X509 *issuer, *certificate;
	static OCSP_REQUEST *request;
	static EVP_PKEY *key;
	const char *text;
	if (!store) {
		static const struct cert_request person = {CERT_AGENT, "tanaka", NULL, NULL, 1};
		key = cert_root_key();
		issuer = cert_root(key, "fuzz");
		certificate = cert_issue(key, issuer, key, &person);
		request = certificate_ocsp(certificate, issuer);
		store = X509_STORE_new();
		X509_STORE_add_cert(store, issuer);
	}
	assert(certificate_ocsp_judge(request, data, size, certificate, issuer, store, 0, &text) ==
		REVOCATION_NO_ANSWER);
	assert(certificate_crl_judge(data, size, certificate, store, 1800000000, &text) ==
		REVOCATION_NO_ANSWER);
	return 0;
}
