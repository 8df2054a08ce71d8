#include "controller/authority.h"

#include <errno.h>
#include <limits.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/x509.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypto/ticket.h"

struct authority {
	struct evp_pkey_st *issuer_key, *ticket_key;
	struct x509_st *issuer;
	uint64_t from_s, until_s; /* of the issuer */
	uint8_t ticket_point[SIGN_POINT_BYTES];
	uint8_t issuer_der[CERT_DER_MAX_BYTES];
	size_t issuer_len;
};

static int
load_key(const char *directory, const char *name, struct evp_pkey_st **ret_key,
	struct conf_error *error)
{
	char path[PATH_MAX];
	int r = str_print(path, sizeof path, "%s/%s", directory, name);
	if (r == 0)
		r = sign_key_load(path, ret_key);
	if (r < 0)
		str_print(error->text, sizeof error->text, "%.100s/%s: %.100s", directory, name,
			err_text(r, ERR_LANG_EN));
	return r;
}

static int
load_issuer(struct authority *a, const char *directory, struct conf_error *error)
{
	char path[PATH_MAX];
	int r = str_print(path, sizeof path, "%s/issuer.pem", directory);
	if (r == 0) {
		a->issuer = cert_load(path);
		r = a->issuer ? cert_der(a->issuer, a->issuer_der, sizeof a->issuer_der,
					&a->issuer_len)
			      : -ERR_CRYPTO;
	}
	if (r == 0)
		r = cert_times(a->issuer, &a->from_s, &a->until_s);
	if (r == 0 && X509_check_private_key(a->issuer, a->issuer_key) != 1)
		r = -ERR_CRYPTO;
	if (r < 0)
		str_print(error->text, sizeof error->text,
			"%.100s/issuer.pem cannot be read or does not belong to issuer.key",
			directory);
	return r;
}

int
authority_load(const char *ca_directory, struct authority **ret_authority, struct conf_error *error)
{
	struct authority *a = mem_new(sizeof *a);
	int r = load_key(ca_directory, "issuer.key", &a->issuer_key, error);
	if (r == 0)
		r = load_key(ca_directory, "ticket.key", &a->ticket_key, error);
	if (r == 0)
		r = load_issuer(a, ca_directory, error);
	if (r == 0)
		r = sign_key_point(a->ticket_key, a->ticket_point);
	if (r < 0) {
		authority_free(a);
		return r;
	}
	*ret_authority = a;
	return 0;
}

void
authority_free(struct authority *a)
{
	if (!a)
		return;
	sign_key_free(a->issuer_key);
	sign_key_free(a->ticket_key);
	cert_free(a->issuer);
	mem_wipe_free(a, sizeof *a);
}

int
authority_clock(const struct authority *a, uint64_t now_s)
{
	if (now_s < a->from_s)
		return -ERR_CLOCK;
	return now_s > a->until_s ? -ERR_CERT_EXPIRED : 0;
}

static int
describe(struct x509_st *cert, struct authority_cert *ret)
{
	uint64_t from_s;
	int r = cert_der(cert, ret->der, sizeof ret->der, &ret->len);
	BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
	char *hex = number ? BN_bn2hex(number) : NULL;
	if (r == 0)
		r = hex ? str_copy(ret->serial, sizeof ret->serial, hex) : -ENOMEM;
	if (r == 0)
		r = cert_times(cert, &from_s, &ret->expires_s);
	OPENSSL_free(hex);
	BN_free(number);
	return r < 0 ? -ERR_INTERNAL : 0;
}

int
authority_issue(struct authority *a, struct evp_pkey_st *key,
	const uint8_t agent_id[static CERT_AGENT_ID_BYTES], const char *organisation, unsigned days,
	struct authority_cert *ret_cert)
{
	char name[2 * CERT_AGENT_ID_BYTES + 1];
	str_hex(name, agent_id, CERT_AGENT_ID_BYTES);
	struct cert_request request = {CERT_AGENT, name, organisation, NULL, days};
	struct x509_st *cert = cert_issue(a->issuer_key, a->issuer, key, &request);
	int r = cert ? describe(cert, ret_cert) : -ERR_INTERNAL;
	cert_free(cert);
	return r;
}

int
authority_ticket(struct authority *a, const engawa_TicketBody *body, uint8_t *out, size_t cap,
	size_t *ret_len)
{
	return ticket_issue(a->ticket_key, body, out, cap, ret_len);
}

const uint8_t *
authority_ticket_point(const struct authority *a)
{
	return a->ticket_point;
}

const uint8_t *
authority_issuer(const struct authority *a, size_t *ret_len)
{
	*ret_len = a->issuer_len;
	return a->issuer_der;
}
