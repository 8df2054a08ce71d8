/* Answers about a certificate with signatures that are good, by those who may say something and
 * by others. What is in them, the input says; beside it stands what must come of it. */
#pragma once
#include <openssl/ocsp.h>
#include <time.h>

#include "agent/certificate.h"
#include "authority.h"

enum {
	ANSWER_MAX_BYTES = 8192,
	ANSWER_NONE = 128, /* of a time: none */
	ANSWER_RAW = 127,  /* no time, but what the input has */
};

struct signers { /* the issuer, who answers for it, a person of it, a CA of the same name */
	EVP_PKEY *key[4];
	X509 *x509[4], *certificate;
	X509_STORE *store;
	OCSP_REQUEST *request;
};

struct answer {
	uint8_t der[ANSWER_MAX_BYTES];
	size_t len;
	enum revocation says; /* by what is signed in it */
	int refused;          /* it is none: said beside the signature */
	int unsure;           /* spoilt, perhaps where it does no harm */
};

static inline int
answer_fits(const struct answer *a, enum revocation result)
{
	return (result == REVOCATION_NO_ANSWER && (a->unsure || a->refused)) ||
	       (result == a->says && (a->unsure || !a->refused));
}

static inline struct signers *
signers_new(void)
{
	static const char *const uses[] = {NULL, "OCSPSigning", "clientAuth", NULL};
	static struct signers s;
	for (uint8_t i = 0; i < 4; i++) {
		s.key[i] = authority_key(i);
		s.x509[i] = uses[i] ? authority_draft("somebody", 2 + i, s.key[i], s.x509[0])
				    : authority_root("fuzz", s.key[i]);
		if (uses[i]) {
			authority_extend(s.x509[i], NID_ext_key_usage, uses[i]);
			assert(X509_sign(s.x509[i], s.key[0], NULL) > 0);
		}
	}
	s.certificate = s.x509[2];
	s.store = X509_STORE_new();
	X509_STORE_add_cert(s.store, s.x509[0]);
	s.request = certificate_ocsp(s.certificate, s.x509[0]);
	return &s;
}

/* Far from every limit: the clock goes on meanwhile. */
static inline long
answer_offset_s(uint8_t byte)
{
	return (int8_t)byte * 1000L + 60;
}

/* One part of an OCSP answer. 1: about our certificate; -1: of another issuer. */
static inline int
answer_part(struct signers *s, OCSP_BASICRESP *basic, time_t now, struct rd *in, struct answer *a)
{
	uint8_t id = rd_u8(in) % 4, status = rd_u8(in) % 3, begin = rd_u8(in), end = rd_u8(in);
	long from_s = answer_offset_s(begin), until_s = answer_offset_s(end);
	char raw[15];
	ASN1_GENERALIZEDTIME *next;
	ASN1_TIME *from = ASN1_TIME_adj(NULL, now, 0, from_s);
	ASN1_TIME *until = end == ANSWER_NONE ? NULL : ASN1_TIME_adj(NULL, now, 0, until_s);
	OCSP_CERTID *about = OCSP_cert_to_id(id == 1 ? EVP_sha256() : EVP_sha1(),
		s->x509[id == 2 ? 1 : 2], s->x509[id == 3 ? 3 : 0]);
	OCSP_SINGLERESP *one = OCSP_basic_add1_status(basic, about, status, -1, from, from, until);
	assert(one);
	if (end == ANSWER_RAW) {
		OCSP_single_get0_status(one, NULL, NULL, NULL, &next);
		rd_copy(in, raw, sizeof raw);
		ASN1_STRING_set(next, raw, sizeof raw);
	}
	int fresh =
		from_s <= 300 && (until ? until_s >= -300 && until_s >= from_s : from_s >= -86400);
	if (id == 0 && a->says == REVOCATION_NOT_ASKED) { /* the first counts */
		a->says = !fresh                                ? REVOCATION_NO_ANSWER
			  : status == V_OCSP_CERTSTATUS_GOOD    ? REVOCATION_GOOD
			  : status == V_OCSP_CERTSTATUS_REVOKED ? REVOCATION_REVOKED
								: REVOCATION_UNKNOWN;
		a->unsure = end == ANSWER_RAW;
	}
	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
	OCSP_CERTID_free(about);
	return id == 3 ? -1 : 1;
}

/* {state, signer and more, nonce, parts, the parts, what is spoilt afterwards}. */
static inline int
answer_ocsp(struct signers *s, struct rd *in, struct answer *a)
{
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	uint8_t state = rd_u8(in), how = rd_u8(in), nonce = rd_u8(in) % 3, parts = rd_u8(in) % 4;
	unsigned who = how & 3, bare = how & 8, strict = how & 16;
	unsigned flags = (how & 4 ? OCSP_RESPID_KEY : 0) | (bare ? OCSP_NOCERTS : 0);
	uint8_t other[16] = {0}, *at = a->der;
	time_t now = time(NULL);
	int ours = parts > 0;
	*a = (struct answer){.says = REVOCATION_NOT_ASKED};
	for (uint8_t i = 0; i < parts; i++)
		ours &= answer_part(s, basic, now, in, a) > 0;
	if (nonce == 1)
		OCSP_copy_nonce(basic, s->request);
	if (nonce == 2)
		OCSP_basic_add1_nonce(basic, other, sizeof other);
	assert(OCSP_basic_sign(basic, s->x509[who], s->key[who], NULL, NULL, flags));
	OCSP_RESPONSE *response = OCSP_response_create(state < 240 ? 0 : state % 7, basic);
	a->len = (size_t)i2d_OCSP_RESPONSE(response, &at);
	assert(a->len <= sizeof a->der);
	if (!ours || who > 1 || (who == 1 && bare) || nonce == 2 || (nonce == 0 && strict) ||
		a->says == REVOCATION_NOT_ASKED)
		a->says = REVOCATION_NO_ANSWER;
	a->refused = OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL;
	a->unsure |= authority_spoil(a->der, a->len, in);
	OCSP_RESPONSE_free(response);
	OCSP_BASICRESP_free(basic);
	return strict != 0;
}

/* 1 when it is our certificate that is revoked. */
static inline int
answer_entry(X509_CRL *crl, long serial, ASN1_TIME *when, struct signers *s)
{
	X509_REVOKED *entry = X509_REVOKED_new();
	ASN1_INTEGER *number = ASN1_INTEGER_new();
	ASN1_INTEGER_set(number, serial);
	X509_REVOKED_set_serialNumber(entry, number);
	X509_REVOKED_set_revocationDate(entry, when);
	X509_CRL_add0_revoked(crl, entry);
	int ours = ASN1_INTEGER_cmp(number, X509_get0_serialNumber(s->certificate)) == 0;
	ASN1_INTEGER_free(number);
	return ours;
}

/* {signer, kind, from, until, certificates, what is spoilt afterwards}. */
static inline void
answer_list(struct signers *s, struct rd *in, struct answer *a)
{
	static const struct {
		int nid, speaks;
		const char *value;
	} kinds[] = {
		{NID_crl_number, 1, "DER:020105"},
		{NID_issuing_distribution_point, 1, "critical,DER:30038101ff"}, /* persons' only */
		{NID_issuing_distribution_point, 0, "critical,DER:30038201ff"}, /* CAs' only */
		{NID_issuing_distribution_point, 0, "critical,DER:3004830206c0"}, /* some reasons */
		{NID_issuing_distribution_point, 0, "critical,DER:30038401ff"},   /* others' too */
		{NID_issuing_distribution_point, 0,
			"critical,DER:30038501ff"},        /* no certificates */
		{NID_delta_crl, 0, "critical,DER:020103"}, /* what is new since another one */
		{NID_delta_crl, 0, "DER:0500"},
		{NID_netscape_comment, 0, "critical,DER:1600"}, /* who knows what it means? */
	};
	uint8_t who = rd_u8(in) % 2 * 3, kind = rd_u8(in) % 9, begin = rd_u8(in), end = rd_u8(in);
	uint8_t count = rd_u8(in) % 4, *at = a->der;
	long from_s = answer_offset_s(begin), until_s = answer_offset_s(end);
	ASN1_TIME *from = ASN1_TIME_set(NULL, AUTHORITY_NOW_S + from_s);
	ASN1_TIME *until = ASN1_TIME_set(NULL, AUTHORITY_NOW_S + until_s);
	X509_EXTENSION *e = X509V3_EXT_nconf_nid(NULL, NULL, kinds[kind].nid, kinds[kind].value);
	X509_CRL *crl = X509_CRL_new();
	*a = (struct answer){.says = REVOCATION_GOOD};
	X509_CRL_set_version(crl, X509_CRL_VERSION_2);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(s->x509[who]));
	X509_CRL_set1_lastUpdate(crl, from);
	if (end != ANSWER_NONE)
		X509_CRL_set1_nextUpdate(crl, until);
	X509_CRL_add_ext(crl, e, -1);
	while (count-- > 0)
		if (answer_entry(crl, rd_u8(in) % 8, from, s))
			a->says = REVOCATION_REVOKED;
	assert(X509_CRL_sign(crl, s->key[who], NULL) > 0);
	a->len = (size_t)i2d_X509_CRL(crl, &at);
	assert(a->len <= sizeof a->der);
	if (who || !kinds[kind].speaks || from_s > 0 || (end != ANSWER_NONE && until_s < 0))
		a->says = REVOCATION_NO_ANSWER;
	a->unsure = authority_spoil(a->der, a->len, in);
	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
	X509_EXTENSION_free(e);
	X509_CRL_free(crl);
}
