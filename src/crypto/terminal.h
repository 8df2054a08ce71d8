/* Terminal IDs that commit to a key, and the statement that proves it (docs/protocol.md 2). */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "crypto/sign.h"
#include "signed.pb.h"

enum {
	TERMINAL_ID_CHARS = 16,
	TERMINAL_ID_SIZE = TERMINAL_ID_CHARS + 1,
	TERMINAL_ID_TEXT_SIZE = TERMINAL_ID_CHARS + 3 + 1, /* with hyphens */
	TERMINAL_SALT_BYTES = 16,
};

/* 64 MiB and about 0.1 s: never on a loop that serves others. 0 or -ENOMEM. */
int terminal_id_derive(const uint8_t anchor[static SIGN_POINT_BYTES], const uint8_t salt[static TERMINAL_SALT_BYTES],
	char ret_id[static TERMINAL_ID_SIZE]);

/* What a person typed (any case, full-width forms, hyphens, spaces) to the 16 characters. 0 or -ERR_TERMINAL_ID_BAD. */
int terminal_id_parse(const char *text, char ret_id[static TERMINAL_ID_SIZE]);
void terminal_id_format(const char id[static TERMINAL_ID_SIZE], char ret_text[static TERMINAL_ID_TEXT_SIZE]);

int statement_issue(struct evp_pkey_st *anchor, const engawa_StatementBody *body, uint8_t *out, size_t cap, size_t *ret_len);
/* What a statement says, if the anchor in it signed it; nothing yet about whose anchor it is. -ERR_PROTOCOL, -ERR_TERMINAL_FORGED. */
int statement_decode(const void *statement, size_t len, engawa_StatementBody *ret_body);
/* All checks of protocol.md 5 against the typed ID: 0, -ERR_TERMINAL_FORGED, -ERR_CERT_EXPIRED, -ERR_PROTOCOL, -ENOMEM. Derives
 * the ID (slow). */
int statement_verify(const void *statement, size_t len, const char id[static TERMINAL_ID_SIZE],
	const uint8_t agent_key[static 32], uint64_t now_s, engawa_StatementBody *ret_body);
