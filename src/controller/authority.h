/* The controller's keys: issues agents' certificates and tickets. Loaded once; the process that has
 * it parses no HTTP. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"
#include "crypto/cert.h"
#include "crypto/sign.h"
#include "signed.pb.h"

struct authority;

struct authority_cert {
	uint8_t der[CERT_DER_MAX_BYTES];
	size_t len;
	char serial[64]; /* hex */
	uint64_t expires_s;
};

/* Reads issuer.key, issuer.pem and ticket.key. 0 or negative with words in error. */
int authority_load(
	const char *ca_directory, struct authority **ret_authority, struct conf_error *error);
void authority_free(struct authority *authority);

/* 0; -ERR_CLOCK when the clock is before the issuer's time, -ERR_CERT_EXPIRED when the issuer has
 * expired. */
int authority_clock(const struct authority *authority, uint64_t now_s);

/* 0 or -ERR_INTERNAL. */
int authority_issue(struct authority *authority, struct evp_pkey_st *key,
	const uint8_t agent_id[static CERT_AGENT_ID_BYTES], const char *organisation, unsigned days,
	struct authority_cert *ret_cert);
int authority_ticket(struct authority *authority, const engawa_TicketBody *body, uint8_t *out,
	size_t cap, size_t *ret_len);

const uint8_t *authority_ticket_point(const struct authority *authority); /* SIGN_POINT_BYTES */
const uint8_t *authority_issuer(const struct authority *authority, size_t *ret_len); /* DER */
