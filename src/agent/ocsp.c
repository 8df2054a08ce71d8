/* Answers of OCSP (RFC 6960). */
#include <openssl/ocsp.h>

#include "agent/certificate.h"

enum {
	SKEW_S = 300,        /* clocks of a few minutes off */
	OLDEST_S = 24 * 3600 /* of an answer that does not say how long it is valid */
};

OCSP_REQUEST *
certificate_ocsp(X509 *certificate, X509 *issuer)
{
	OCSP_REQUEST *request = OCSP_REQUEST_new();
	OCSP_CERTID *id =
		OCSP_cert_to_id(EVP_sha1(), certificate, issuer); /* a name, not a proof */
	if (request && id && OCSP_request_add0_id(request, id) &&
		OCSP_request_add1_nonce(request, NULL, -1))
		return request;
	OCSP_CERTID_free(id);
	OCSP_REQUEST_free(request);
	return NULL;
}

static enum revocation
judge_single(OCSP_BASICRESP *basic, X509 *certificate, X509 *issuer, const char **ret_text)
{
	ASN1_GENERALIZEDTIME *from, *until;
	int status, reason;
	OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), certificate, issuer);
	int found =
		id && OCSP_resp_find_status(basic, id, &status, &reason, NULL, &from, &until) == 1;
	OCSP_CERTID_free(id);
	if (!found) {
		*ret_text = "not about this certificate";
		return REVOCATION_NO_ANSWER;
	}
	if (!OCSP_check_validity(from, until, SKEW_S, until ? -1 : OLDEST_S)) {
		*ret_text = "stale";
		return REVOCATION_NO_ANSWER;
	}
	return status == V_OCSP_CERTSTATUS_GOOD      ? REVOCATION_GOOD
	       : status == V_OCSP_CERTSTATUS_REVOKED ? REVOCATION_REVOKED
						     : REVOCATION_UNKNOWN;
}

static enum revocation
judge_basic(OCSP_REQUEST *request, OCSP_BASICRESP *basic, X509 *certificate, X509 *issuer,
	X509_STORE *store, int need_nonce, const char **ret_text)
{
	STACK_OF(X509) *own = sk_X509_new_null();
	/* not pushed by reference: the stack does not outlive the issuer */
	int verified = own && sk_X509_push(own, issuer) > 0 &&
		       OCSP_basic_verify(basic, own, store, 0) == 1;
	sk_X509_free(own);
	if (!verified) {
		*ret_text = "not signed by the issuer or who it entitles";
		return REVOCATION_NO_ANSWER;
	}
	int nonce = OCSP_check_nonce(request, basic); /* 1: the same, -1: the answer has none */
	if (nonce != 1 && (nonce != -1 || need_nonce)) {
		*ret_text = nonce == -1 ? "no nonce" : "another nonce";
		return REVOCATION_NO_ANSWER;
	}
	return judge_single(basic, certificate, issuer, ret_text);
}

enum revocation
certificate_ocsp_judge(OCSP_REQUEST *request, const void *der, size_t len, X509 *certificate,
	X509 *issuer, X509_STORE *store, int need_nonce, const char **ret_text)
{
	const unsigned char *at = der;
	*ret_text = "no OCSP answer";
	OCSP_RESPONSE *response = len <= CERTIFICATE_ANSWER_MAX_BYTES
					  ? d2i_OCSP_RESPONSE(NULL, &at, (long)len)
					  : NULL;
	if (!response)
		return REVOCATION_NO_ANSWER;
	int status = OCSP_response_status(response);
	OCSP_BASICRESP *basic = status == OCSP_RESPONSE_STATUS_SUCCESSFUL
					? OCSP_response_get1_basic(response)
					: NULL;
	enum revocation result = REVOCATION_NO_ANSWER;
	if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL)
		*ret_text = OCSP_response_status_str(status);
	if (basic)
		result = judge_basic(
			request, basic, certificate, issuer, store, need_nonce, ret_text);
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(response);
	return result;
}
