/* DER that we are the first to look at: certificates of peers, requests of enrolments. */
#include "crypto/cert.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t id[CERT_AGENT_ID_BYTES];
	char organisation[64];
	struct evp_pkey_st *key;
	struct x509_st *cert = cert_parse(data, size);
	if (cert) {
		cert_agent(cert, id, organisation, sizeof organisation);
		cert_check_issuer(cert, cert, 1800000000);
	}
	cert_free(cert);
	if (cert_csr_key(data, size, &key) == 0)
		sign_key_free(key);
	return 0;
}
