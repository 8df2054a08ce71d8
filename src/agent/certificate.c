#include "agent/certificate.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"

enum {
	STORE_MAX = 32, /* certificates of a CA file */
	AUTH_LEVEL = 2  /* 112 bits: no SHA-1, no RSA below 2048 bits */
};

X509 *
certificate_parse(const void *der, size_t len)
{
	const unsigned char *at = der;
	if (len == 0 || len > HOLDER_CERTIFICATE_MAX_BYTES)
		return NULL;
	X509 *certificate = d2i_X509(NULL, &at, (long)len);
	if (certificate && at == (const unsigned char *)der + len)
		return certificate;
	X509_free(certificate);
	return NULL;
}

X509_STORE *
certificate_store(const char *pem, size_t len)
{
	X509_STORE *store = X509_STORE_new();
	BIO *bio = BIO_new_mem_buf(pem, (int)len);
	X509 *certificate = NULL;
	int count = 0, ok = store && bio;
	while (ok && count < STORE_MAX &&
		(certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		ok = X509_STORE_add_cert(store, certificate);
		X509_free(certificate);
		count++;
	}
	BIO_free(bio);
	if (ok && count > 0)
		return store;
	X509_STORE_free(store);
	return NULL;
}

/* What is not restricted at all is not for this. */
static int
is_for_login(X509 *certificate)
{
	uint32_t flags = X509_get_extension_flags(certificate);
	return !(flags & EXFLAG_CA) && (flags & EXFLAG_XKUSAGE) &&
	       (X509_get_extended_key_usage(certificate) & XKU_SSL_CLIENT) &&
	       (X509_get_key_usage(certificate) & KU_DIGITAL_SIGNATURE);
}

static X509_STORE_CTX *
open_context(X509 *certificate, X509_STORE *store, uint64_t now_s)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	if (!ctx || X509_STORE_CTX_init(ctx, store, certificate, NULL) != 1) {
		X509_STORE_CTX_free(ctx);
		return NULL;
	}
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_time(param, (time_t)now_s);
	X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_CHECK_SS_SIGNATURE);
	X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_CLIENT);
	return ctx;
}

int
certificate_check(X509 *certificate, X509_STORE *store, uint64_t now_s, X509 **ret_issuer,
	const char **ret_text)
{
	X509_STORE_CTX *ctx = open_context(certificate, store, now_s);
	if (!ctx)
		return -ERR_INTERNAL;
	int good = X509_verify_cert(ctx) == 1, error = X509_STORE_CTX_get_error(ctx);
	/* times are looked at last, issuers first: then all else was right */
	int old = !good && X509_STORE_CTX_get_error_depth(ctx) == 0 &&
		  (error == X509_V_ERR_CERT_HAS_EXPIRED || error == X509_V_ERR_CERT_NOT_YET_VALID);
	const STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);
	X509 *issuer = chain && sk_X509_num(chain) > 1 ? sk_X509_value(chain, 1) : NULL;
	int r = 0;
	*ret_text = good ? "not a person's certificate for logging in"
			 : X509_verify_cert_error_string(error);
	if ((!good && !old) || !issuer || !is_for_login(certificate)) {
		r = -ERR_CERTIFICATE_REFUSED;
	} else if (old) {
		r = -ERR_CERTIFICATE_OUTDATED;
	}
	if (r == 0 && ret_issuer) {
		X509_up_ref(issuer);
		*ret_issuer = issuer;
	}
	X509_STORE_CTX_free(ctx);
	return r;
}

int
certificate_check_pinned(X509 *certificate, uint64_t now_s)
{
	time_t now = (time_t)now_s;
	uint32_t flags = X509_get_extension_flags(certificate);
	if ((flags & (EXFLAG_INVALID | EXFLAG_CRITICAL)) ||
		((flags & EXFLAG_XKUSAGE) && !is_for_login(certificate)))
		return -ERR_CERTIFICATE_REFUSED;
	return X509_cmp_time(X509_get0_notBefore(certificate), &now) < 0 &&
			       X509_cmp_time(X509_get0_notAfter(certificate), &now) > 0
		       ? 0
		       : -ERR_CERTIFICATE_OUTDATED;
}

int
certificate_check_holder(X509 *certificate, const uint8_t digest[static HOLDER_DIGEST_BYTES],
	const uint8_t *signature, size_t len)
{
	EVP_PKEY *key = X509_get0_pubkey(certificate);
	return key && holder_check(key, digest, signature, len) == 0 ? 0 : -ERR_CERTIFICATE_REFUSED;
}

/* ---- list of revoked certificates ---- */

static X509_CRL *
parse_crl(const void *data, size_t len)
{
	const unsigned char *at = data;
	if (len == 0 || len > CERTIFICATE_CRL_MAX_BYTES)
		return NULL;
	if (at[0] == 0x30) /* a DER sequence; PEM is text */
		return d2i_X509_CRL(NULL, &at, (long)len);
	BIO *bio = BIO_new_mem_buf(data, (int)len);
	X509_CRL *crl = bio ? PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL) : NULL;
	BIO_free(bio);
	return crl;
}

/* What is new since another list says nothing of who stands there. OpenSSL of before June 2026 took
 * it for the whole (its pull request 31044). */
static int
is_whole(const X509_CRL *crl)
{
	return X509_CRL_get_ext_by_NID(crl, NID_delta_crl, -1) < 0;
}

/* The library knows which lists speak for which certificates (RFC 5280 6.3). */
enum revocation
certificate_crl_judge(const void *data, size_t len, X509 *certificate, X509_STORE *store,
	uint64_t now_s, const char **ret_text)
{
	enum revocation result = REVOCATION_NO_ANSWER;
	X509_CRL *crl = parse_crl(data, len);
	STACK_OF(X509_CRL) *crls = sk_X509_CRL_new_null();
	X509_STORE_CTX *ctx = open_context(certificate, store, now_s);
	*ret_text = crl && !is_whole(crl) ? "a CRL of what is new only" : "no CRL";
	if (crl && is_whole(crl) && crls && ctx && sk_X509_CRL_push(crls, crl) > 0) {
		X509_STORE_CTX_set0_crls(ctx, crls);
		X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(ctx), X509_V_FLAG_CRL_CHECK);
		int good = X509_verify_cert(ctx) == 1, error = X509_STORE_CTX_get_error(ctx);
		*ret_text = X509_verify_cert_error_string(error);
		result = good                               ? REVOCATION_GOOD
			 : error == X509_V_ERR_CERT_REVOKED ? REVOCATION_REVOKED
							    : REVOCATION_NO_ANSWER;
	}
	X509_STORE_CTX_free(ctx);
	sk_X509_CRL_free(crls);
	X509_CRL_free(crl);
	return result;
}

/* ---- names ---- */

static int
take_text(const ASN1_STRING *text, char ret_name[static USER_NAME_SIZE])
{
	unsigned char *utf8 = NULL;
	int len = text ? ASN1_STRING_to_UTF8(&utf8, text) : -1;
	int ok = len > 0 && len < USER_NAME_SIZE &&
		 strnlen((char *)utf8, (size_t)len) == (size_t)len;
	if (ok) {
		memcpy(ret_name, utf8, (size_t)len);
		ret_name[len] = '\0';
		ok = str_printable(ret_name);
	}
	if (!ok)
		ret_name[0] = '\0';
	OPENSSL_free(utf8);
	return ok ? 0 : -ERR_CERTIFICATE_REFUSED;
}

static int
common_name(X509 *certificate, char ret_name[static USER_NAME_SIZE])
{
	const X509_NAME *name = X509_get_subject_name(certificate);
	int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	if (at < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0)
		return -ERR_CERTIFICATE_REFUSED;
	return take_text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)), ret_name);
}

/* The text of an alternative name of this kind, or NULL. */
static const ASN1_STRING *
name_text(const GENERAL_NAME *name, int upn)
{
	if (!upn)
		return name->type == GEN_EMAIL ? name->d.rfc822Name : NULL;
	if (name->type != GEN_OTHERNAME || OBJ_obj2nid(name->d.otherName->type_id) != NID_ms_upn ||
		name->d.otherName->value->type != V_ASN1_UTF8STRING)
		return NULL;
	return name->d.otherName->value->value.utf8string;
}

static int
alternative_name(X509 *certificate, int upn, char ret_name[static USER_NAME_SIZE])
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	const ASN1_STRING *found = NULL;
	int count = 0;
	for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
		const ASN1_STRING *text = name_text(sk_GENERAL_NAME_value(names, i), upn);
		if (text) {
			found = text;
			count++;
		}
	}
	int r = count == 1 ? take_text(found, ret_name) : -ERR_CERTIFICATE_REFUSED;
	GENERAL_NAMES_free(names);
	return r;
}

int
certificate_name_rule_fit(const char *rule)
{
	return strcmp(rule, "cn") == 0 || strcmp(rule, "email") == 0 || strcmp(rule, "upn") == 0;
}

int
certificate_name(X509 *certificate, const char *rule, char ret_name[static USER_NAME_SIZE])
{
	ret_name[0] = '\0';
	return strcmp(rule, "cn") == 0
		       ? common_name(certificate, ret_name)
		       : alternative_name(certificate, strcmp(rule, "upn") == 0, ret_name);
}
