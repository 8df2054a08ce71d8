/* A small CA with fixed keys, for targets that judge what somebody has signed. Ed25519 gives the
 * same signature for the same bytes: an input makes what it made before. */
#pragma once
#include <openssl/x509v3.h>

#include "base/wire.h"
#include "fuzz.h"

enum {
	AUTHORITY_NOW_S = 1800000000 /* what is issued here is good from 2020 to 2099 */
};

static inline EVP_PKEY *
authority_key(uint8_t number)
{
	uint8_t secret[32] = {number};
	return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, sizeof secret);
}

static inline void
authority_extend(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = value ? X509V3_EXT_nconf_nid(NULL, NULL, nid, value) : NULL;
	assert(!value || (e && X509_add_ext(x, e, -1)));
	X509_EXTENSION_free(e);
}

/* Not signed yet: with a name (NULL: none yet), of an issuer (NULL: its own). */
static inline X509 *
authority_draft(const char *name, long serial, EVP_PKEY *key, X509 *issuer)
{
	X509 *x = X509_new();
	X509_NAME *subject = X509_get_subject_name(x);
	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), serial);
	ASN1_TIME_set_string(X509_getm_notBefore(x), "20200101000000Z");
	ASN1_TIME_set_string(X509_getm_notAfter(x), "20991231235959Z");
	if (name)
		X509_NAME_add_entry_by_txt(
			subject, "CN", MBSTRING_UTF8, (const uint8_t *)name, -1, -1, 0);
	X509_set_issuer_name(x, issuer ? X509_get_subject_name(issuer) : subject);
	X509_set_pubkey(x, key);
	return x;
}

static inline X509 *
authority_root(const char *name, EVP_PKEY *key)
{
	X509 *x = authority_draft(name, 1, key, NULL);
	authority_extend(x, NID_basic_constraints, "critical,CA:TRUE");
	authority_extend(x, NID_key_usage, "critical,keyCertSign,cRLSign");
	assert(X509_sign(x, key, NULL) > 0);
	return x;
}

/* Spoils what was signed, by what is left of the input: {where:u16, with what:u8}. 1 when it did.
 */
static inline int
authority_spoil(uint8_t *der, size_t len, struct rd *in)
{
	int spoilt = 0;
	while (!in->failed && in->left >= 3) {
		size_t at = rd_u16(in) % len;
		uint8_t with = rd_u8(in);
		der[at] ^= with;
		spoilt |= with;
	}
	return spoilt != 0;
}
