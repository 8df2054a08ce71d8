#include "crypto/cert.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	SERIAL_BYTES = 16,
	BACKDATE_S = 300, /* clocks of office PCs are a few minutes off */
	ROOT_DAYS = 20 * 365 + 5,
	CSR_MAX_BYTES = 1024,
	PEM_MAX_BYTES = 16384,
};

EVP_PKEY *
cert_root_key(void)
{
	return EVP_EC_gen("P-384");
}

static int
set_serial(X509 *cert)
{
	uint8_t bytes[SERIAL_BYTES];
	if (RAND_bytes(bytes, sizeof bytes) != 1)
		return 0;
	bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40); /* positive, of constant length */
	BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
	int ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
	BN_free(number);
	return ok;
}

/* From a few minutes ago for some days, but not longer than the issuer lives. */
static int
set_time(X509 *cert, X509 *issuer, unsigned days)
{
	time_t now = time(NULL);
	const ASN1_TIME *limit = issuer ? X509_get0_notAfter(issuer) : NULL;
	if (!X509_time_adj_ex(X509_getm_notBefore(cert), 0, -BACKDATE_S, &now) ||
		!X509_time_adj_ex(X509_getm_notAfter(cert), (int)days, 0, &now))
		return 0;
	if (limit && ASN1_TIME_compare(X509_get0_notAfter(cert), limit) > 0)
		return X509_set1_notAfter(cert, limit);
	return 1;
}

static int
add_name(X509 *cert, int nid, const char *text)
{
	return X509_NAME_add_entry_by_NID(X509_get_subject_name(cert), nid, MBSTRING_UTF8,
		(const unsigned char *)text, -1, -1, 0);
}

static int
add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
	int ok = extension && X509_add_ext(cert, extension, -1);
	X509_EXTENSION_free(extension);
	return ok;
}

/* Everything but names and what the certificate is for; issuer NULL = self-signed. */
static X509 *
draft(X509 *issuer, EVP_PKEY *subject_key, unsigned days)
{
	X509 *cert = X509_new();
	if (cert && X509_set_version(cert, X509_VERSION_3) && set_serial(cert) &&
		set_time(cert, issuer, days) && X509_set_pubkey(cert, subject_key))
		return cert;
	X509_free(cert);
	return NULL;
}

/* Issuer name, key identifiers and signature, last; a failure frees the draft. */
static X509 *
finish(X509 *cert, X509 *issuer, EVP_PKEY *issuer_key, const EVP_MD *md)
{
	X509 *from = issuer ? issuer : cert;
	if (X509_set_issuer_name(cert, X509_get_subject_name(from)) &&
		add_extension(cert, from, NID_subject_key_identifier, "hash") &&
		add_extension(cert, from, NID_authority_key_identifier, "keyid") &&
		X509_sign(cert, issuer_key, md) > 0)
		return cert;
	X509_free(cert);
	return NULL;
}

static X509 *
authority(EVP_PKEY *root_key, X509 *root, EVP_PKEY *key, const char *name, const char *constraints,
	unsigned days)
{
	X509 *cert = draft(root, key, days);
	if (cert && (!add_name(cert, NID_commonName, name) ||
			    !add_extension(
				    cert, root ? root : cert, NID_basic_constraints, constraints) ||
			    !add_extension(cert, root ? root : cert, NID_key_usage,
				    "critical,keyCertSign,cRLSign"))) {
		X509_free(cert);
		return NULL;
	}
	return cert ? finish(cert, root, root_key, EVP_sha384()) : NULL;
}

X509 *
cert_root(EVP_PKEY *root_key, const char *name)
{
	return authority(root_key, NULL, root_key, name, "critical,CA:TRUE", ROOT_DAYS);
}

X509 *
cert_issuer(EVP_PKEY *root_key, X509 *root, EVP_PKEY *issuer_key, unsigned days)
{
	char name[128], serial[2 * 4 + 1];
	uint8_t random[4];
	int at = X509_NAME_get_index_by_NID(X509_get_subject_name(root), NID_commonName, -1);
	if (at < 0 || RAND_bytes(random, sizeof random) != 1)
		return NULL;
	const ASN1_STRING *of =
		X509_NAME_ENTRY_get_data(X509_NAME_get_entry(X509_get_subject_name(root), at));
	/* issuing CAs follow each other every few weeks: each has a name of its own (64 characters
	 * at most, X.520) */
	str_hex(serial, random, sizeof random);
	if (str_print(name, sizeof name, "%.*s %s", ASN1_STRING_length(of),
		    (const char *)ASN1_STRING_get0_data(of), serial) < 0)
		return NULL;
	return authority(root_key, root, issuer_key, name, "critical,CA:TRUE,pathlen:0", days);
}

static int
is_dns_name(const char *host)
{
	size_t len = strlen(host);
	return len > 0 && len <= 253 &&
	       strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") ==
		       len;
}

static int
add_host(GENERAL_NAMES *names, const char *host)
{
	uint8_t address[16];
	GENERAL_NAME *name = GENERAL_NAME_new();
	int len = inet_pton(AF_INET, host, address) == 1    ? 4
		  : inet_pton(AF_INET6, host, address) == 1 ? 16
							    : 0;
	ASN1_STRING *value = len ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
	if (!name || !value || (len == 0 && !is_dns_name(host)) ||
		!ASN1_STRING_set(value, len ? (const void *)address : host, len ? len : -1)) {
		GENERAL_NAME_free(name);
		ASN1_STRING_free(value);
		return 0;
	}
	GENERAL_NAME_set0_value(name, len ? GEN_IPADD : GEN_DNS, value);
	if (sk_GENERAL_NAME_push(names, name) > 0)
		return 1;
	GENERAL_NAME_free(name);
	return 0;
}

static int
add_hosts(X509 *cert, const char *const *hosts)
{
	GENERAL_NAMES *names = hosts && *hosts ? sk_GENERAL_NAME_new_null() : NULL;
	if (!hosts || !*hosts)
		return 1;
	int ok = names != NULL;
	for (; ok && *hosts; hosts++)
		ok = add_host(names, *hosts);
	ok = ok && X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1;
	GENERAL_NAMES_free(names);
	return ok;
}

X509 *
cert_issue(EVP_PKEY *issuer_key, X509 *issuer, EVP_PKEY *subject_key,
	const struct cert_request *request)
{
	X509 *cert = draft(issuer, subject_key, request->days);
	const char *use = request->use == CERT_AGENT ? "clientAuth" : "serverAuth";
	if (!cert)
		return NULL;
	if (!add_name(cert, NID_commonName, request->common_name) ||
		(request->organisation &&
			!add_name(cert, NID_organizationName, request->organisation)) ||
		!add_extension(cert, issuer, NID_basic_constraints, "critical,CA:FALSE") ||
		!add_extension(cert, issuer, NID_key_usage, "critical,digitalSignature") ||
		!add_extension(cert, issuer, NID_ext_key_usage, use) ||
		!add_hosts(cert, request->hosts)) {
		X509_free(cert);
		return NULL;
	}
	return finish(cert, issuer, issuer_key, EVP_sha256());
}

int
cert_csr_make(EVP_PKEY *key, uint8_t *out, size_t cap, size_t *ret_len)
{
	int len = -1;
	X509_REQ *request = X509_REQ_new();
	if (request && X509_REQ_set_version(request, X509_REQ_VERSION_1) &&
		X509_REQ_set_pubkey(request, key) && X509_REQ_sign(request, key, EVP_sha256()) > 0)
		len = i2d_X509_REQ(request, NULL);
	if (len > 0 && (size_t)len <= cap)
		i2d_X509_REQ(request, &out);
	X509_REQ_free(request);
	if (len <= 0)
		return -ERR_CRYPTO;
	if ((size_t)len > cap)
		return -ERR_TOO_LONG;
	*ret_len = (size_t)len;
	return 0;
}

int
cert_csr_key(const void *der, size_t len, EVP_PKEY **ret_key)
{
	const unsigned char *at = der;
	uint8_t point[SIGN_POINT_BYTES];
	if (len > CSR_MAX_BYTES)
		return -ERR_CRYPTO;
	X509_REQ *request = d2i_X509_REQ(NULL, &at, (long)len);
	EVP_PKEY *key = request ? X509_REQ_get_pubkey(request) : NULL;
	int ok = key && at == (const unsigned char *)der + len && sign_key_point(key, point) == 0 &&
		 X509_REQ_verify(request, key) == 1;
	X509_REQ_free(request);
	if (!ok) {
		EVP_PKEY_free(key);
		return -ERR_CRYPTO;
	}
	*ret_key = key;
	return 0;
}

int
cert_der(X509 *cert, uint8_t *out, size_t cap, size_t *ret_len)
{
	int len = i2d_X509(cert, NULL);
	if (len <= 0)
		return -ERR_CRYPTO;
	if ((size_t)len > cap || len > CERT_DER_MAX_BYTES)
		return -ERR_TOO_LONG;
	i2d_X509(cert, &out);
	*ret_len = (size_t)len;
	return 0;
}

X509 *
cert_parse(const void *der, size_t len)
{
	const unsigned char *at = der;
	if (!der || len > CERT_DER_MAX_BYTES)
		return NULL;
	X509 *cert = d2i_X509(NULL, &at, (long)len);
	if (cert && at == (const unsigned char *)der + len)
		return cert;
	X509_free(cert);
	return NULL;
}

int
cert_save(X509 *cert, const char *path)
{
	char *pem;
	int r = -ERR_CRYPTO;
	BIO *bio = BIO_new(BIO_s_mem());
	if (!bio)
		return -ENOMEM;
	if (PEM_write_bio_X509(bio, cert)) {
		long len = BIO_get_mem_data(bio, &pem);
		r = conf_write_file(path, pem, (size_t)len, 0644);
	}
	BIO_free(bio);
	return r;
}

X509 *
cert_load(const char *path)
{
	char *pem;
	size_t len;
	if (conf_read_file(path, PEM_MAX_BYTES, &pem, &len) < 0)
		return NULL;
	BIO *bio = BIO_new_mem_buf(pem, (int)len);
	X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	BIO_free(bio);
	mem_wipe_free(pem, len);
	return cert;
}

void
cert_free(X509 *cert)
{
	X509_free(cert);
}

/* The one entry of this kind in the subject, without a NUL inside. */
static int
subject_text(X509 *cert, int nid, char *out, size_t size)
{
	const X509_NAME *name = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(name, nid, -1);
	if (at < 0 || X509_NAME_get_index_by_NID(name, nid, at) >= 0)
		return -ERR_CRYPTO;
	const ASN1_STRING *text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
	size_t len = (size_t)ASN1_STRING_length(text);
	const char *bytes = (const char *)ASN1_STRING_get0_data(text);
	if (len >= size || strnlen(bytes, len) != len)
		return -ERR_CRYPTO;
	memcpy(out, bytes, len);
	out[len] = '\0';
	return str_printable(out) ? 0 : -ERR_CRYPTO;
}

int
cert_agent(X509 *cert, uint8_t ret_agent_id[static CERT_AGENT_ID_BYTES], char *ret_organisation,
	size_t size)
{
	char id[2 * CERT_AGENT_ID_BYTES + 1], organisation[128];
	uint8_t bytes[CERT_AGENT_ID_BYTES];
	if (subject_text(cert, NID_commonName, id, sizeof id) < 0 ||
		subject_text(cert, NID_organizationName, organisation, sizeof organisation) < 0 ||
		str_unhex(id, bytes, sizeof bytes) < 0 || strlen(organisation) >= size)
		return -ERR_CRYPTO;
	memcpy(ret_agent_id, bytes, sizeof bytes);
	str_copy(ret_organisation, size, organisation);
	return 0;
}

static int
in_time(const X509 *cert, uint64_t now_s)
{
	time_t now = (time_t)now_s;
	return X509_cmp_time(X509_get0_notBefore(cert), &now) < 0 &&
	       X509_cmp_time(X509_get0_notAfter(cert), &now) > 0;
}

static int
asn1_s(const ASN1_TIME *t, uint64_t *ret_s)
{
	struct tm tm;
	if (!t || ASN1_TIME_to_tm(t, &tm) != 1)
		return -ERR_CRYPTO;
	*ret_s = (uint64_t)timegm(&tm);
	return 0;
}

int
cert_times(X509 *cert, uint64_t *ret_from_s, uint64_t *ret_until_s)
{
	int r = asn1_s(X509_get0_notBefore(cert), ret_from_s);
	return r < 0 ? r : asn1_s(X509_get0_notAfter(cert), ret_until_s);
}

int
cert_is_authority(X509 *cert)
{
	return X509_check_ca(cert) == 1; /* a version 3 CA; the other values are historical kinds */
}

int
cert_check_issuer(X509 *cert, X509 *issuer, uint64_t now_s)
{
	if (X509_check_issued(issuer, cert) != X509_V_OK || !cert_is_authority(issuer) ||
		X509_verify(cert, X509_get0_pubkey(issuer)) != 1)
		return -ERR_CERT_UNTRUSTED;
	return in_time(cert, now_s) && in_time(issuer, now_s) ? 0 : -ERR_CERT_EXPIRED;
}
