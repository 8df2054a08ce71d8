/* A certificate with a signature that is good, of the CA or of another one of its name. What is in
 * it, the input says. */
#pragma once
#include "agent/certificate.h"
#include "authority.h"
#include "base/err.h"

struct issuers {
	EVP_PKEY *key[2], *holder;
	X509 *x509[2];
	X509_STORE *store;
	uint8_t digest[HOLDER_DIGEST_BYTES],
		signature[HOLDER_SIGNATURE_MAX_BYTES]; /* by the holder */
	size_t signature_len;
};

static inline struct issuers *
issuers_new(void)
{
	static struct issuers s;
	for (uint8_t i = 0; i < 2; i++) {
		s.key[i] = authority_key(i);
		s.x509[i] = authority_root("fuzz", s.key[i]);
	}
	s.holder = EVP_EC_gen("P-256"); /* cards have no Ed25519 */
	assert(holder_sign(s.holder, s.digest, s.signature, &s.signature_len) == 0);
	s.store = X509_STORE_new();
	X509_STORE_add_cert(s.store, s.x509[0]);
	return &s;
}

/* A name of the person: {kind:u8, length:u8, text}. */
static inline void
certificate_put_name(X509 *x, GENERAL_NAMES *others, struct rd *in)
{
	static const int types[] = {
		V_ASN1_UTF8STRING, V_ASN1_BMPSTRING, V_ASN1_T61STRING, V_ASN1_UNIVERSALSTRING};
	uint8_t kind = rd_u8(in) % 7;
	size_t len = rd_u8(in);
	const uint8_t *p = rd_bytes(in, len);
	if (!p)
		return;
	if (kind < 4) {
		X509_NAME_add_entry_by_NID(
			X509_get_subject_name(x), NID_commonName, types[kind], p, (int)len, -1, 0);
		return;
	}
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_STRING *text = ASN1_STRING_type_new(kind == 6 ? V_ASN1_IA5STRING : V_ASN1_UTF8STRING);
	ASN1_STRING_set(text, p, (int)len);
	if (kind == 6) {
		GENERAL_NAME_set0_value(name, GEN_EMAIL, text);
	} else {
		ASN1_TYPE *value = ASN1_TYPE_new();
		ASN1_TYPE_set(value, V_ASN1_UTF8STRING, text);
		GENERAL_NAME_set0_othername(
			name, OBJ_nid2obj(kind == 4 ? NID_ms_upn : NID_commonName), value);
	}
	sk_GENERAL_NAME_push(others, name);
}

struct made {
	uint8_t der[4096];
	size_t len;
	int code, pinned, holder; /* what must be said of it, and of its holder */
	int spoilt;               /* or it is refused */
};

static inline void
certificate_expect(const struct issuers *s, X509 *x, const struct made *made)
{
	const char *text;
	int code = certificate_check(x, s->store, AUTHORITY_NOW_S, NULL, &text);
	int pinned = certificate_check_pinned(x, AUTHORITY_NOW_S);
	int holder = certificate_check_holder(x, s->digest, s->signature, s->signature_len);
	assert(code == made->code || (made->spoilt && code == -ERR_CERTIFICATE_REFUSED));
	assert(pinned == made->pinned || made->spoilt);
	assert(holder == made->holder || made->spoilt);
}

/* {signer and more, use, for what, from, until, number of names, the names, what is spoilt
 * afterwards}. What cannot be encoded has no length. */
static inline void
certificate_make(const struct issuers *s, struct rd *in, struct made *made)
{
	static const struct use {
		int login;
		const char *value;
	} uses[] = {{0, NULL}, {1, "clientAuth"}, {0, "serverAuth"}, {0, "anyExtendedKeyUsage"},
		{1, "critical,clientAuth,emailProtection"}},
	  keys[] = {{1, NULL}, {1, "critical,digitalSignature"}, {0, "keyEncipherment"},
		  {0, "keyAgreement"}, {1, "nonRepudiation,digitalSignature"}};
	uint8_t how = rd_u8(in), use = rd_u8(in) % 5, key = rd_u8(in) % 5, begin = rd_u8(in);
	uint8_t end = rd_u8(in), names = rd_u8(in) % 4, *at = made->der;
	int stranger = how & 1, ca = how & 2, no_card = how & 4, odd = how & 8;
	long from_s = (int8_t)begin * 1000L, until_s = (int8_t)end * 1000L + 60;
	X509 *x = authority_draft(NULL, 9, no_card ? s->key[1] : s->holder, s->x509[stranger]);
	GENERAL_NAMES *others = GENERAL_NAMES_new();
	ASN1_TIME_set(X509_getm_notBefore(x), AUTHORITY_NOW_S + from_s);
	ASN1_TIME_set(X509_getm_notAfter(x), AUTHORITY_NOW_S + until_s);
	authority_extend(x, NID_basic_constraints, ca ? "critical,CA:TRUE" : NULL);
	authority_extend(x, NID_ext_key_usage, uses[use].value);
	authority_extend(x, NID_key_usage, keys[key].value);
	authority_extend(x, NID_netscape_comment, odd ? "critical,DER:1600" : NULL);
	while (names-- > 0)
		certificate_put_name(x, others, in);
	if (sk_GENERAL_NAME_num(others) > 0)
		X509_add1_ext_i2d(x, NID_subject_alt_name, others, 0, 0);
	int login = !ca && uses[use].login && keys[key].login;
	int outdated = from_s > 0 || until_s < 0 ? -ERR_CERTIFICATE_OUTDATED : 0;
	made->code = stranger || odd || !login ? -ERR_CERTIFICATE_REFUSED : outdated;
	made->pinned = odd || (uses[use].value && !login) ? -ERR_CERTIFICATE_REFUSED : outdated;
	made->holder = no_card ? -ERR_CERTIFICATE_REFUSED : 0;
	int len = X509_sign(x, s->key[stranger], NULL) > 0 ? i2d_X509(x, &at) : 0;
	made->len = len > 0 ? (size_t)len : 0;
	assert(made->len <= sizeof made->der);
	made->spoilt = len > 0 && authority_spoil(made->der, made->len, in);
	GENERAL_NAMES_free(others);
	X509_free(x);
}
