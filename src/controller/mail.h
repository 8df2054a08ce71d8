/* The mail with a code: who it may go to, and its text. Pure. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "signed.pb.h"

enum {
	MAIL_MAX_BYTES = 8192,
	MAIL_ADDRESS_MAX = 254,
	MAIL_ID_BYTES = 16
};

/* 1 for local@domain with a dot-atom local part (RFC 5321 4.1.2) and a host name with a dot or an
 * address of the local host's own domain; nothing that could end a header or a command, no quotes,
 * no comments, ASCII only. */
int mail_address_ok(const char *address);

/* Whole message with CRLF line ends into out, NUL-terminated. from was checked with
 * mail_address_ok. id: random bytes of the Message-ID. Returns its length, -ERR_MAIL_ADDRESS,
 * -ERR_PROTOCOL (code or words are not what they should be), -ERR_TOO_LONG. */
int mail_compose(const engawa_MailCode *code, const char *from,
	const uint8_t id[static MAIL_ID_BYTES], uint64_t now_s, char *out, size_t size);
