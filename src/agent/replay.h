/*
 * The picture stream as it went to the client, as long as the client has not said that it has it:
 * what was under way when a path broke goes over the next one, each record exactly once
 * (docs/protocol.md 8.6). Bounded: who confirms nothing gets a new stream instead.
 *
 *     0 ······· confirmed ≤ first ───── next ───── end ≤ number of records that there have been
 *               the client has it   sent    to be sent again
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum {
	REPLAY_MAX_BYTES = 4 * 1024 * 1024,
};

struct replay {
	struct buf kept; /* records first … end, each type:u8 len:u24 payload */
	size_t next_at;  /* where next begins */
	/* counted from the beginning of the stream */
	uint64_t confirmed, first, next, end;
	uint32_t stream; /* of this session, from 1 */
};

/* Before the first stream. */
void replay_init(struct replay *replay);
void replay_fini(struct replay *replay);
/* Another stream begins, with its first record. */
void replay_begin(struct replay *replay);

/* One more record, the next to be sent; all others have been. 0 or -ENOMEM; what finds no room lets
 * go of everything before it. */
int replay_add(struct replay *replay, uint8_t type, const uint8_t *payload, size_t len);
/* The next record to be sent, which counts as sent. 1 with the payload valid until the next call of
 * any of these, 0 when there is none. */
int replay_next(
	struct replay *replay, uint8_t *ret_type, const uint8_t **ret_payload, size_t *ret_len);
/* The client has so many records of this stream. 0, or -ERR_PROTOCOL when there have never been so
 * many. */
int replay_confirm(struct replay *replay, uint64_t received);
/* A client comes back and claims that. 1: it can go on, from record next, which is at most
 * received. 0: it needs a new stream. */
int replay_resume(struct replay *replay, uint32_t stream, uint64_t received);
