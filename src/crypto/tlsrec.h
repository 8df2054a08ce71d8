/*
 * The record layer of an established TLS 1.3 connection, server side (RFC 8446 5 and 7), without a TLS library: OpenSSL does the
 * handshake and is freed, its traffic secrets go on here. A connection is then two of these structs and a descriptor: small
 * enough for half a million, and plain enough to hand to another process.
 *
 * Pure: no I/O, no clock, no allocation. One struct tlsrec_crypto per process is re-keyed when the next record is another
 * connection's.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
	TLSREC_HEADER_BYTES = 5,
	TLSREC_PLAIN_MAX_BYTES = 16384,                                   /* RFC 8446 5.1 */
	TLSREC_OVERHEAD_BYTES = TLSREC_HEADER_BYTES + 1 + 16,             /* header, inner type, tag */
	TLSREC_WIRE_MAX_BYTES = TLSREC_HEADER_BYTES + TLSREC_PLAIN_MAX_BYTES + 256, /* RFC 8446 5.2 */
	TLSREC_SECRET_MAX_BYTES = 48,
	TLSREC_KEY_MAX_BYTES = 32,
	TLSREC_IV_BYTES = 12,
	TLSREC_UPDATES_MAX = 32,       /* of the peer's KeyUpdates without application data between: more is abuse */
};

/*
 * How often one key is used. Ours is renewed after TLSREC_UPDATE_AFTER records, and after as many of its own the peer is asked to
 * renew its key. What it sends until it hears of that is good; AES-GCM's limit is 2^24.5 records (RFC 8446 5.5), and there it ends.
 */
#ifndef TLSREC_KEY_BITS /* a test has a smaller number */
#define TLSREC_KEY_BITS 23
#endif
enum {
	TLSREC_UPDATE_AFTER = 1 << TLSREC_KEY_BITS,
	TLSREC_KEY_RECORDS_MAX = TLSREC_UPDATE_AFTER / 64 * 181, /* 2^1.5 is 181/64, rounded down */
};

enum tlsrec_suite { TLSREC_AES_128_GCM, TLSREC_AES_256_GCM, TLSREC_CHACHA20_POLY1305 };

/* RFC 8446 6 */
enum tlsrec_alert {
	TLSREC_ALERT_CLOSE_NOTIFY = 0,
	TLSREC_ALERT_UNEXPECTED_MESSAGE = 10,
	TLSREC_ALERT_BAD_RECORD_MAC = 20,
	TLSREC_ALERT_RECORD_OVERFLOW = 22,
	TLSREC_ALERT_ILLEGAL_PARAMETER = 47,
	TLSREC_ALERT_DECODE_ERROR = 50,
	TLSREC_ALERT_INTERNAL_ERROR = 80,
	TLSREC_ALERT_USER_CANCELED = 90,
};

/* One direction. */
struct tlsrec_key {
	uint8_t secret[TLSREC_SECRET_MAX_BYTES];
	uint8_t key[TLSREC_KEY_MAX_BYTES];
	uint8_t iv[TLSREC_IV_BYTES];
	uint64_t seq;
};

struct tlsrec {
	struct tlsrec_key in, out;
	uint8_t suite;          /* enum tlsrec_suite */
	uint8_t update_wanted;  /* the peer asked for our KeyUpdate: send one before the next application data */
	uint8_t updates;        /* of the peer since its last application data */
	uint8_t asked;          /* the peer, for its KeyUpdate, since its last one */
	uint8_t closed;         /* the peer sent close_notify */
	uint8_t partial_len;    /* of a KeyUpdate that the peer split over records */
	uint8_t partial[5];
};

struct tlsrec_crypto;
struct tlsrec_crypto *tlsrec_crypto_new(void); /* NULL when out of memory */
void tlsrec_crypto_free(struct tlsrec_crypto *crypto);

/* Secrets are client_application_traffic_secret_N and server_..., 32 or 48 bytes by suite; sequence numbers as they stand.
 * 0 or -ERR_CRYPTO. */
int tlsrec_init(struct tlsrec *t, enum tlsrec_suite suite, const uint8_t *client_secret, const uint8_t *server_secret,
	uint64_t in_seq, uint64_t out_seq);
void tlsrec_fini(struct tlsrec *t);
/* Suite of a TLS 1.3 cipher id (0x1301 to 0x1303); -ERR_CRYPTO for others. */
int tlsrec_suite_find(uint16_t cipher_id, enum tlsrec_suite *ret_suite);
size_t tlsrec_secret_bytes(enum tlsrec_suite suite);

/* Bytes of the record that starts at data: 0 when the header is not whole, negative alert (-TLSREC_ALERT_...) when it can't be one. */
int tlsrec_length(const uint8_t *data, size_t len);

/*
 * Opens one whole record (tlsrec_length bytes) in place. Returns 0 or a negative alert to send and close with; a peer's fatal
 * alert returns TLSREC_PEER_ALERT: close without a word. TLSREC_KEY_WORN: the peer's key is used up and it went on with it, which
 * earns unexpected_message, this and every time. Application data: *ret_data points into record, *ret_len > 0. Anything else (empty
 * records, KeyUpdate, close_notify) gives *ret_len = 0 and shows in update_wanted or closed.
 */
enum { TLSREC_PEER_ALERT = 1, TLSREC_KEY_WORN = 2 };
int tlsrec_open(struct tlsrec *t, struct tlsrec_crypto *crypto, uint8_t *record, size_t len, uint8_t **ret_data,
	size_t *ret_len);

/*
 * Seals len (1 to TLSREC_PLAIN_MAX_BYTES) bytes of application data as one record; out may be data - TLSREC_HEADER_BYTES (in place), its
 * capacity is len + TLSREC_OVERHEAD_BYTES. Returns the record's length or -ERR_CRYPTO.
 */
int tlsrec_seal(struct tlsrec *t, struct tlsrec_crypto *crypto, const uint8_t *data, size_t len, uint8_t *out);

/* 1 when tlsrec_update must come before the next tlsrec_seal: the peer asked, or our key or the peer's is nearly used up. */
int tlsrec_update_due(const struct tlsrec *t);
/* 1 when it should come at once, whatever there is to send: the peer has to be asked for its next key. */
int tlsrec_ask_due(const struct tlsrec *t);
enum { TLSREC_UPDATE_BYTES = 5 + TLSREC_OVERHEAD_BYTES, TLSREC_ALERT_BYTES = 2 + TLSREC_OVERHEAD_BYTES };
/* A KeyUpdate record (TLSREC_UPDATE_BYTES) and our next key; it asks for the peer's when that is due. Length or -ERR_CRYPTO. */
int tlsrec_update(struct tlsrec *t, struct tlsrec_crypto *crypto, uint8_t *out);
/* An alert record (TLSREC_ALERT_BYTES); close_notify and user_canceled are warnings, the rest fatal. Length or -ERR_CRYPTO. */
int tlsrec_alert(struct tlsrec *t, struct tlsrec_crypto *crypto, enum tlsrec_alert alert, uint8_t *out);
