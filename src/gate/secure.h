/*
 * All TLS of the gate: one small interface, so that what is behind it can change (the exportable
 * record layer, crypto/tlsrec.h, takes over after the handshake) without anything above noticing.
 * One port, two certificates, chosen by ALPN; the private keys are in the keeper process.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/wire.h"
#include "crypto/tlsrec.h"

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

/* An agent's certificate that came by another way than a handshake: agent id, organisation (size
 * bytes) and public key when a handshake with it would be accepted. 0, -ERR_CERT_UNTRUSTED,
 * -ERR_CERT_EXPIRED, -ERR_CRYPTO. */
int secure_check_agent(struct secure_context *context, const void *der, size_t len,
	uint8_t ret_agent_id[static 16], char *ret_organisation, size_t size);

/* A connection on an accepted non-blocking descriptor, which stays the caller's. NULL when out of
 * memory. */
struct secure *secure_new(struct secure_context *context, int fd);
void secure_free(struct secure *secure);

/* The state of an established connection that has not failed, for another process. Bytes that came
 * and make no whole record go along. */
void secure_pack(const struct secure *secure, struct wr *out);
/* The connection that was packed, on this descriptor. NULL when it cannot be one, or out of memory.
 */
struct secure *secure_unpack(struct rd *in, int fd);

/* 0 = done: text has the organisation of an agent's certificate, or nothing. -EAGAIN, else why not;
 * then text has OpenSSL's words. -ERR_NO_SIGNATURE: the keeper's fault, not the peer's. */
int secure_handshake(struct secure *secure, char *ret_text, size_t size);
/* In a handshake: 1 when the peer has said something that TLS could read. */
int secure_has_begun(const struct secure *secure);
/* After the handshake: 1 = engawa/1, 0 = a browser. */
int secure_is_native(const struct secure *secure);
/* 1 when the peer gave a certificate (which then is a good one). */
int secure_has_certificate(const struct secure *secure);
/* Agent id (16 bytes) of the certificate. 0 or -ERR_CRYPTO. */
int secure_agent(const struct secure *secure, uint8_t ret_agent_id[static 16]);

/*
 * Bytes read into out, at least SECURE_READ_BYTES long; -EAGAIN; -ERR_CLOSED after close_notify;
 * -ECONNRESET when the peer went without one; -ERR_CRYPTO, or -ERR_KEY_WORN when its key is used up
 * and it does not renew it, and secure_alert has what the peer is owed.
 */
enum {
	SECURE_READ_BYTES = TLSREC_PLAIN_MAX_BYTES,
	SECURE_ROOM_BYTES = TLSREC_OVERHEAD_BYTES + TLSREC_UPDATE_BYTES,
	SECURE_ASK_BYTES = TLSREC_UPDATE_BYTES,
};
int secure_read(struct secure *secure, uint8_t *out, size_t cap);

/* Wire bytes of len (1 to SECURE_READ_BYTES) bytes of data: out has room for len +
 * SECURE_ROOM_BYTES. Their count or -ERR_CRYPTO. */
int secure_wrap(struct secure *secure, const uint8_t *data, size_t len, uint8_t *out);

/* 1 when the peer has to be asked for its next key. */
int secure_ask_due(const struct secure *secure);
/* Wire bytes that ask it: out has SECURE_ASK_BYTES. Their count or -ERR_CRYPTO. What secure_wrap
 * and secure_relay give the peer asks too: this is for one that gets nothing now. */
int secure_ask(struct secure *secure, uint8_t *out);

/*
 * What has come from one connection becomes, in place and record by record, wire bytes of the
 * other. buf: cap bytes, at least SECURE_RELAY_BYTES; most: read no more than about that. 0 and
 * *ret_len wire bytes at *ret_wire in buf that carry *ret_payload bytes; otherwise as secure_read.
 * What was read before a failure still comes out first.
 */
enum {
	SECURE_RELAY_BYTES = 4 * TLSREC_WIRE_MAX_BYTES
};
int secure_relay(struct secure *from, struct secure *to, uint8_t *buf, size_t cap, size_t most,
	uint8_t **ret_wire, size_t *ret_len, size_t *ret_payload);

/* 1 when the last secure_relay took all that the kernel had: until the next event there is no more,
 * not even an end. */
int secure_is_drained(const struct secure *secure);

/* Wire bytes of close_notify, or of the alert after a failed read: out has SECURE_ALERT_BYTES.
 * Their count, 0 when there is none to send. Reading may go on after close_notify. */
enum {
	SECURE_ALERT_BYTES = TLSREC_ALERT_BYTES
};
size_t secure_goodbye(struct secure *secure, uint8_t *out);
size_t secure_alert(struct secure *secure, uint8_t *out);
