/* Tickets: one session, sixty seconds, checked offline (docs/protocol.md 4). */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "crypto/sign.h"
#include "signed.pb.h"

enum { TICKET_LIFE_S = 60, TICKET_AHEAD_S = 5, TICKET_MAX_BYTES = 2048 };

int ticket_issue(struct evp_pkey_st *key, const engawa_TicketBody *body, uint8_t *out, size_t cap, size_t *ret_len);

/* Signature, shape and time. 0, -ERR_PROTOCOL, -ERR_SIGNATURE, -ERR_TICKET_EXPIRED, -ERR_CLOCK (from the future). */
int ticket_verify(const uint8_t (*points)[SIGN_POINT_BYTES], size_t point_count, const void *ticket, size_t len,
	uint64_t now_s, engawa_TicketBody *ret_body);

/* SHA-256 of the ticket as carried. */
void ticket_hash(const void *ticket, size_t len, uint8_t ret_hash[static 32]);

/* Session ids seen, for single use: fixed size, open addressing, forgets after two to four times a ticket's life. capacity is
 * what it holds of that time. now_s: a clock that is never set (mono_now). What is forgotten leaves the times at which it
 * ended: whatever ends then is refused, so a wall clock that is set back makes no old ticket a new one. */
struct ticket_memory;
struct ticket_memory *ticket_memory_new(size_t capacity);
void ticket_memory_free(struct ticket_memory *memory);
/* until_s: the ticket's not_after_s, on whatever clock that is; 0 = it has no end of its own. 0 the first time,
 * -ERR_TICKET_BAD the second, -ERR_TICKET_EXPIRED when it may have been forgotten, -ERR_LIMIT when full. */
int ticket_memory_use(struct ticket_memory *memory, const uint8_t session_id[static 16], uint64_t until_s, uint64_t now_s);
