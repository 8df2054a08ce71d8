/*
 * The coded part of the watermark (docs/protocol.md 8.5): the session's code and its start, with a
 * MAC, in 256 symbols of two bits, one for each cell of the pattern that is repeated over the
 * screen (screen/watermark.h). The order of the bits, their scrambling and the MAC depend on a key
 * that the office PC and the organisation's watermark key have in common (X25519): no other office
 * PC and no client can make, or read, a mark of this one.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "screen/watermark.h"

enum {
	MARK_KEY_BYTES = 32,
	MARK_SESSION_SIZE = 10, /* "4F2A-91C0", Crockford's base32 */
	MARK_TABLES_MAX = 8,
};

struct mark {
	char session[MARK_SESSION_SIZE];
	uint64_t started_s; /* since 1970, up to 2^32 - 1 */
};

/* What a photograph says of each cell: how much stands at each of its four places, any scale. Where
 * the pattern begins, and which way is up, is unknown. */
struct mark_table {
	float cell[WATERMARK_CELLS * WATERMARK_CELLS][4];
};

struct mark_reading {
	struct mark mark;
	size_t key; /* which of the keys */
};

/* From the X25519 secret of either side and the public key of the other one. 0 or -ERR_CRYPTO. */
int mark_key_agent(const uint8_t agent_secret[static MARK_KEY_BYTES],
	const uint8_t org_public[static MARK_KEY_BYTES], uint8_t ret_key[static MARK_KEY_BYTES]);
int mark_key_org(const uint8_t org_secret[static MARK_KEY_BYTES],
	const uint8_t agent_public[static MARK_KEY_BYTES], uint8_t ret_key[static MARK_KEY_BYTES]);

/* 0, -EINVAL (not a session's code, a time that does not fit), -ERR_CRYPTO. */
int mark_encode(const uint8_t key[static MARK_KEY_BYTES], const struct mark *mark,
	uint8_t ret_code[static WATERMARK_CODE_BYTES]);

/* The mark that one of the keys has made. tables: up to MARK_TABLES_MAX, one photograph understood
 * in different ways. 0, -ERR_MARK_UNREADABLE, -ENOMEM, -ERR_CRYPTO. */
int mark_decode(const struct mark_table *tables, size_t table_count,
	const uint8_t (*keys)[MARK_KEY_BYTES], size_t key_count, struct mark_reading *ret_reading);
