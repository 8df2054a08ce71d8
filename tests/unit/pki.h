/* A small PKI in memory for tests: root, issuer, an organisation that trusts them, certificates.
 * Aborts on failure. */
#pragma once
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/cert.h"
#include "crypto/orgfile.h"
#include "crypto/sign.h"

struct pki {
	EVP_PKEY *root_key, *issuer_key;
	X509 *root, *issuer;
	struct orgfile org; /* only what tls_outgoing reads, and ticket keys by the test */
};

static inline void
pki_must(int ok)
{
	if (!ok)
		abort();
}

static inline void
pki_init(struct pki *p)
{
	memset(p, 0, sizeof *p);
	p->root_key = cert_root_key();
	p->root = cert_root(p->root_key, "Test root");
	p->issuer_key = sign_key_generate();
	p->issuer = cert_issuer(p->root_key, p->root, p->issuer_key, 90);
	pki_must(p->root && p->issuer);
	p->org.root = mem_new(CERT_DER_MAX_BYTES);
	p->org.issuers[0] = mem_new(CERT_DER_MAX_BYTES);
	p->org.issuer_count = 1;
	pki_must(cert_der(p->root, p->org.root, CERT_DER_MAX_BYTES, &p->org.root_len) == 0);
	pki_must(cert_der(p->issuer, p->org.issuers[0], CERT_DER_MAX_BYTES,
			 &p->org.issuer_lens[0]) == 0);
}

static inline void
pki_fini(struct pki *p)
{
	orgfile_fini(&p->org);
	cert_free(p->root);
	cert_free(p->issuer);
	sign_key_free(p->root_key);
	sign_key_free(p->issuer_key);
}

/* A gate's certificate for one host; expired ones ended a minute ago. */
static inline X509 *
pki_gate(struct pki *p, const char *host, EVP_PKEY *key, int expired)
{
	const char *hosts[] = {host, NULL};
	struct cert_request request = {CERT_GATE, "gate-1", NULL, hosts, 30};
	X509 *cert = cert_issue(p->issuer_key, p->issuer, key, &request);
	pki_must(cert != NULL);
	if (expired) {
		pki_must(X509_gmtime_adj(X509_getm_notAfter(cert), -60) != NULL);
		pki_must(X509_sign(cert, p->issuer_key, EVP_sha256()) > 0);
	}
	return cert;
}
