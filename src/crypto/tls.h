/* TLS 1.3 contexts with the profile of docs/protocol.md 1: nothing weaker can be asked for. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "crypto/orgfile.h"

struct ssl_ctx_st;
struct ssl_st;
struct x509_st;
struct evp_pkey_st;

#define TLS_ALPN_NATIVE "engawa/1"
#define TLS_ALPN_HTTP "http/1.1"

/* Outgoing: trusts the organisation's issuing certificates (partial chain) and, for an issuer newer than the file that the
 * peer sends along, its root; offers engawa/1 and refuses a server that does not select it. cert and key may be NULL
 * (clients) or an agent's. NULL on failure. Free with tls_free. */
struct ssl_ctx_st *tls_outgoing(const struct orgfile *org, struct x509_st *cert, struct evp_pkey_st *key);

/* Incoming native: presents cert and its issuer, requests a client certificate issued by issuers. */
struct ssl_ctx_st *tls_incoming(struct x509_st *cert, struct evp_pkey_st *key, struct x509_st *const *issuers,
	size_t issuer_count);
/* Incoming browser: the leaf and what goes with it; the key may be one that is somewhere else. */
struct ssl_ctx_st *tls_incoming_page_chain(struct x509_st *const *chain, size_t count, struct evp_pkey_st *key);
/* One port for both: connections are made from page; one whose ClientHello offers engawa/1 goes on with native, which must
 * outlive page. */
void tls_incoming_share(struct ssl_ctx_st *page, struct ssl_ctx_st *native);
void tls_free(struct ssl_ctx_st *ctx);

/* Whether a client with this certificate would be let in by ctx (of tls_incoming): chain, time and purpose. 0, -ERR_CERT_UNTRUSTED,
 * -ERR_CERT_EXPIRED. */
int tls_check_client(struct ssl_ctx_st *ctx, struct x509_st *cert);

/* What the last failure on this connection means to a person: -ERR_CERT_UNTRUSTED, -ERR_CERT_EXPIRED, -ERR_VERSION (no common
 * protocol or ALPN), -ERR_CRYPTO. text gets OpenSSL's words. */
int tls_failure(struct ssl_st *tls, char *ret_text, size_t size);

/* 1 when a ClientHello's ALPN extension (RFC 7301: u16 length of the list, then names with a u8 length each) has engawa/1. */
int tls_alpn_native(const uint8_t *extension, size_t len);
