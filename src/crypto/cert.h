/* X.509: the small CA, requests and what we read out of certificates. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "crypto/sign.h"

struct x509_st;

enum { CERT_DER_MAX_BYTES = 2048, CERT_AGENT_ID_BYTES = 16 };

/* P-384 root (20 years) and P-256 issuing CA (90 days, path length 0), self-made. NULL on failure. */
struct evp_pkey_st *cert_root_key(void);
struct x509_st *cert_root(struct evp_pkey_st *root_key, const char *name);
struct x509_st *cert_issuer(struct evp_pkey_st *root_key, struct x509_st *root, struct evp_pkey_st *issuer_key, unsigned days);

enum cert_use { CERT_AGENT, CERT_GATE, CERT_PAGE }; /* clientAuth; serverAuth; serverAuth for browsers */
struct cert_request {
	enum cert_use use;
	const char *common_name;  /* agent id in hex, gate name, or host */
	const char *organisation; /* may be NULL */
	const char *const *hosts; /* DNS names and IP addresses, NULL-terminated; may be NULL */
	unsigned days;
};
struct x509_st *cert_issue(struct evp_pkey_st *issuer_key, struct x509_st *issuer, struct evp_pkey_st *subject_key,
	const struct cert_request *request);

/* PKCS#10 of a P-256 key. 0 and *ret_len. */
int cert_csr_make(struct evp_pkey_st *key, uint8_t *out, size_t cap, size_t *ret_len);
/* Checks self-signature and curve; the subject in it is ignored. 0 or -ERR_CRYPTO. */
int cert_csr_key(const void *der, size_t len, struct evp_pkey_st **ret_key);

int cert_der(struct x509_st *cert, uint8_t *out, size_t cap, size_t *ret_len);
struct x509_st *cert_parse(const void *der, size_t len); /* NULL when it is none */
int cert_save(struct x509_st *cert, const char *path); /* PEM 0644 */
struct x509_st *cert_load(const char *path);
void cert_free(struct x509_st *cert);
/* Agent id from CN, organisation from O. 0 or -ERR_CRYPTO. */
int cert_agent(struct x509_st *cert, uint8_t ret_agent_id[static CERT_AGENT_ID_BYTES], char *ret_organisation, size_t size);
/* Its period of validity. 0 or -ERR_CRYPTO. */
int cert_times(struct x509_st *cert, uint64_t *ret_from_s, uint64_t *ret_until_s);
/* 1 when it may sign certificates. */
int cert_is_authority(struct x509_st *cert);
/* 0 when issuer signed cert and both are within their time, -ERR_CERT_UNTRUSTED, -ERR_CERT_EXPIRED. */
int cert_check_issuer(struct x509_st *cert, struct x509_st *issuer, uint64_t now_s);
