/*
 * All TLS of the gate: one small interface, so that what is behind it can change (the exportable
 * record layer, crypto/tlsrec.h, takes over after the handshake) without anything above noticing.
 * One port, two certificates, chosen by ALPN; the private keys are in the keeper process.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct secure_context;
struct secure;
struct x509_st;

/*
 * native: our certificate; issuers: of agents. page_pem: chain for browsers, or NULL = browsers are
 * refused. channel: to the keeper; closed when the last connection made from this context is gone.
 * NULL on failure (the channel stays the caller's).
 */
struct secure_context *secure_context_new(struct x509_st *native, struct x509_st *const *issuers,
	size_t issuer_count, const char *page_pem, size_t page_len, int channel);
void secure_context_free(struct secure_context *context);

/* A connection on an accepted non-blocking descriptor, which stays the caller's. NULL when out of
 * memory. */
struct secure *secure_new(struct secure_context *context, int fd);
void secure_free(struct secure *secure);

/* 0 = done, -EAGAIN, else why not; then text has OpenSSL's words. */
int secure_handshake(struct secure *secure, char *ret_text, size_t size);
/* After the handshake: 1 = engawa/1, 0 = a browser. */
int secure_is_native(const struct secure *secure);
/* 1 when the peer gave a certificate (which then is a good one). */
int secure_has_certificate(const struct secure *secure);
/* Agent id (16 bytes) of the certificate. 0 or -ERR_CRYPTO. */
int secure_agent(const struct secure *secure, uint8_t ret_agent_id[static 16]);

/* Bytes read; -EAGAIN; -ERR_CLOSED after close_notify; -ECONNRESET when the peer went without one;
 * -ERR_CRYPTO. */
int secure_read(struct secure *secure, void *out, size_t cap);
/* Bytes taken; -EAGAIN (try again with the same bytes, more may follow them); -ECONNRESET;
 * -ERR_CRYPTO. */
int secure_write(struct secure *secure, const void *data, size_t len);
/* Sends close_notify. 0, -EAGAIN, or negative when the connection is broken. Reading may go on. */
int secure_finish(struct secure *secure);
