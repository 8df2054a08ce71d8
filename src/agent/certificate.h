/*
 * A person's certificate, judged: does it come from who it should, is it for logging in, whose is
 * it, has it been revoked. No files and no network here: check_certificate.c has those, in a
 * process without rights. Source: RFC 5280, RFC 6960.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "agent/users.h"
#include "crypto/holder.h"

struct x509_st;
struct x509_store_st;
struct ocsp_request_st;

enum {
	CERTIFICATE_ANSWER_MAX_BYTES = 64 * 1024, /* of OCSP */
	CERTIFICATE_CRL_MAX_BYTES = 8 * 1024 * 1024
};

/* DER of a peer. NULL when it is not exactly one certificate. */
struct x509_st *certificate_parse(const void *der, size_t len);
/* PEM, one or more, roots first or last. NULL when there is none. */
struct x509_store_st *certificate_store(const char *pem, size_t len);

/* Chain to the store with signatures, times, key sizes and hashes of today, and use: clientAuth
 * must be named. ret_issuer (may be NULL) is to be freed; ret_text says what is wrong, for the log.
 * 0, -ERR_CERTIFICATE_REFUSED, or -ERR_CERTIFICATE_OUTDATED when its own time is all that is wrong.
 */
int certificate_check(struct x509_st *certificate, struct x509_store_st *store, uint64_t now_s,
	struct x509_st **ret_issuer, const char **ret_text);
/* One that is known as it is: time, key and, where it is restricted, use. */
int certificate_check_pinned(struct x509_st *certificate, uint64_t now_s);
/* 0 when the holder has signed the digest, else -ERR_CERTIFICATE_REFUSED. */
int certificate_check_holder(struct x509_st *certificate,
	const uint8_t digest[static HOLDER_DIGEST_BYTES], const uint8_t *signature, size_t len);

/* rule: "cn", "email" or "upn". The one name of that kind; -ERR_CERTIFICATE_REFUSED when there is
 * none or more than one, or it is not one line of text; then ret_name is "". */
int certificate_name_rule_fit(const char *rule);
int certificate_name(
	struct x509_st *certificate, const char *rule, char ret_name[static USER_NAME_SIZE]);

enum revocation {
	REVOCATION_NOT_ASKED,
	REVOCATION_GOOD,
	REVOCATION_REVOKED,
	REVOCATION_UNKNOWN,   /* its issuer does not know it */
	REVOCATION_NO_ANSWER, /* none that is valid */
	REVOCATION_COUNT
};

/* ocsp.c: a question about one certificate, with a nonce. NULL when out of memory. */
struct ocsp_request_st *certificate_ocsp(struct x509_st *certificate, struct x509_st *issuer);
/* The answer as it came. Its signer must be the issuer, or be entitled by the issuer (OCSPSigning).
 * text: what is wrong, for the log. */
enum revocation certificate_ocsp_judge(struct ocsp_request_st *request, const void *der, size_t len,
	struct x509_st *certificate, struct x509_st *issuer, struct x509_store_st *store,
	int need_nonce, const char **ret_text);
/* A list, PEM or DER. GOOD, REVOKED or NO_ANSWER (not for this certificate, damaged, stale). */
enum revocation certificate_crl_judge(const void *data, size_t len, struct x509_st *certificate,
	struct x509_store_st *store, uint64_t now_s, const char **ret_text);
