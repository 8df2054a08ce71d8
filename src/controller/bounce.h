/*
 * A mail that comes back after the mail server had taken it. Its envelope sender says whose it was,
 * so that the mail that comes back need not be believed:
 *
 *     LOCAL+TOKEN@domain   TOKEN = base32(agent 16 | address mark 4 | hour 3 | MAC 12), lower case
 *
 * The MAC is HMAC-SHA256 under a key that only the mail sender has: a token is not guessed, not
 * made for another office PC, and good for BOUNCE_LIFE_S. Nothing has to be remembered. Pure.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
	BOUNCE_KEY_BYTES = 32,
	BOUNCE_TOKEN_BYTES = 16 + 4 + 3 + 12,
	BOUNCE_TOKEN_CHARS = BOUNCE_TOKEN_BYTES / 5 * 8,
	BOUNCE_LOCAL_MAX = 64 - 1 - BOUNCE_TOKEN_CHARS, /* RFC 5321 4.5.3.1.1 */
	BOUNCE_SENDER_SIZE = 255,
	BOUNCE_STATUS_SIZE = 12,
	BOUNCE_LIFE_S = 14 * 86400, /* a mail server tries for 5 days, and another may return it */
};

/* Whose mail, and to which of its addresses: the mark is the agent's own (MailCode.address_mark).
 */
struct bounce {
	uint8_t agent[16];
	uint32_t mark;
};

/* Over bounce.sock, base/ipc packets: one report of `engawa bounce`, one answer. */
enum bounce_message {
	BOUNCE_REPORT = 1, /* delayed u8 (else it came back), token, status: text (base/wire.h) */
	BOUNCE_ANSWER = 2, /* code u32 */
};

struct bounce_report {
	int code; /* ERR_MAIL_CAME_BACK or ERR_MAIL_DELAYED */
	char token[BOUNCE_TOKEN_CHARS + 1];
	char status[BOUNCE_STATUS_SIZE]; /* RFC 3463; "" = unknown */
};

/* 0 or -ERR_PROTOCOL. */
int bounce_report_get(const uint8_t *p, size_t len, struct bounce_report *ret_report);
/* Digits and dots, or nothing: fit for logs. */
int bounce_status_ok(const char *status);

/* 1 when address is plain and leaves room for a token. */
int bounce_address_ok(const char *address);
/* Of the mail sender's secret key; wipe it. 0 or -ERR_CRYPTO. */
int bounce_key(const uint8_t secret[static 32], uint8_t ret_key[static BOUNCE_KEY_BYTES]);
/* The envelope sender of one mail; address was bounce_address_ok. 0, -ERR_CRYPTO, -ENAMETOOLONG. */
int bounce_sender(const uint8_t key[static BOUNCE_KEY_BYTES], const struct bounce *bounce,
	uint64_t now_s, const char *address, char out[static BOUNCE_SENDER_SIZE]);
/* 0; -ERR_NOT_FOUND: not one of ours, or too old. */
int bounce_open(const uint8_t key[static BOUNCE_KEY_BYTES], const char *token, uint64_t now_s,
	struct bounce *ret_bounce);
