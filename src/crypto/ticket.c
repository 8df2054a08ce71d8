#include "crypto/ticket.h"

#include <openssl/rand.h>
#include <openssl/sha.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#define PURPOSE "engawa ticket v1"

enum {
	ID_BYTES = 16,
	REMEMBER_S = 2 * TICKET_LIFE_S,
	SPANS_MAX = 8
};

static int
is_shaped(const engawa_TicketBody *body)
{
	if (body->session_id.size != ID_BYTES || body->agent_id.size != ID_BYTES ||
		body->agent_key.size != 32 || body->device_hash.size != 32 ||
		body->gates_count == 0 || !body->organisation[0])
		return 0;
	for (size_t i = 0; i < body->gates_count; i++)
		if (!body->gates[i][0] || !str_printable(body->gates[i]))
			return 0;
	return str_printable(body->organisation) && str_printable(body->client_address) &&
	       body->not_after_s >= body->issued_s &&
	       body->not_after_s - body->issued_s <= TICKET_LIFE_S;
}

int
ticket_issue(struct evp_pkey_st *key, const engawa_TicketBody *body, uint8_t *out, size_t cap,
	size_t *ret_len)
{
	uint8_t bytes[engawa_TicketBody_size];
	pb_ostream_t stream = pb_ostream_from_buffer(bytes, sizeof bytes);
	if (!is_shaped(body) || !pb_encode(&stream, engawa_TicketBody_fields, body))
		return -ERR_PROTOCOL;
	return sign_envelope(key, PURPOSE, bytes, stream.bytes_written, out, cap, ret_len);
}

int
ticket_verify(const uint8_t (*points)[SIGN_POINT_BYTES], size_t point_count, const void *ticket,
	size_t len, uint64_t now_s, engawa_TicketBody *ret_body)
{
	uint8_t bytes[sizeof((engawa_Signed *)0)->body.bytes];
	size_t bytes_len;
	engawa_TicketBody body = engawa_TicketBody_init_zero;
	if (len > TICKET_MAX_BYTES)
		return -ERR_PROTOCOL;
	int r = sign_open(
		points, point_count, PURPOSE, ticket, len, bytes, sizeof bytes, &bytes_len);
	if (r < 0)
		return r;
	pb_istream_t stream = pb_istream_from_buffer(bytes, bytes_len);
	if (!pb_decode(&stream, engawa_TicketBody_fields, &body) || !is_shaped(&body))
		return -ERR_PROTOCOL;
	if (body.issued_s > now_s && body.issued_s - now_s > TICKET_AHEAD_S)
		return -ERR_CLOCK;
	if (now_s > body.not_after_s)
		return -ERR_TICKET_EXPIRED;
	*ret_body = body;
	return 0;
}

void
ticket_hash(const void *ticket, size_t len, uint8_t ret_hash[static 32])
{
	SHA256(ticket, len, ret_hash);
}

/*
 * Two generations of REMEMBER_S each: an id is looked for in both and put into the current one, so
 * it is remembered for one to two times REMEMBER_S, nothing is ever deleted one by one, and a probe
 * always ends at an empty slot.
 */
struct slot {
	uint8_t id[ID_BYTES];
	uint8_t used;
};

/* Ends of tickets, from first to last; last 0 = empty. */
struct span {
	uint64_t first_s, last_s;
};

struct ticket_memory {
	size_t capacity, mask; /* entries of one generation; slots - 1 */
	size_t count;          /* in the current generation */
	uint64_t since_s;      /* start of the current generation, 0 = never used */
	uint64_t seed[2];
	struct slot *current, *previous;
	struct span current_span, previous_span, forgotten[SPANS_MAX];
};

struct ticket_memory *
ticket_memory_new(size_t capacity)
{
	struct ticket_memory *memory;
	size_t slots = 16;
	while (slots / 2 < capacity && slots <= SIZE_MAX / 4)
		slots *= 2;
	if (slots / 2 < capacity || !(memory = mem_array(1, sizeof *memory)))
		return NULL;
	memory->capacity = capacity;
	memory->mask = slots - 1;
	memory->current = mem_array(slots, sizeof *memory->current);
	memory->previous = mem_array(slots, sizeof *memory->previous);
	if (!memory->current || !memory->previous ||
		RAND_bytes((uint8_t *)memory->seed, sizeof memory->seed) != 1) {
		ticket_memory_free(memory);
		return NULL;
	}
	return memory;
}

void
ticket_memory_free(struct ticket_memory *memory)
{
	if (!memory)
		return;
	free(memory->current);
	free(memory->previous);
	free(memory);
}

/* Seeded, so that nobody can choose ids that land in one place. */
static size_t
slot_of(const struct ticket_memory *memory, const uint8_t *id)
{
	uint64_t half[2];
	memcpy(half, id, sizeof half);
	unsigned __int128 product =
		(unsigned __int128)(half[0] ^ memory->seed[0]) * (half[1] ^ memory->seed[1]);
	return (size_t)(product ^ product >> 64) & memory->mask;
}

/* The slot with this id, or the empty one where it belongs. */
static struct slot *
find(const struct ticket_memory *memory, struct slot *slots, const uint8_t *id)
{
	size_t i = slot_of(memory, id);
	while (slots[i].used && memcmp(slots[i].id, id, ID_BYTES) != 0)
		i = (i + 1) & memory->mask;
	return &slots[i];
}

static void
widen(struct span *span, uint64_t first_s, uint64_t last_s)
{
	if (!span->last_s || first_s < span->first_s)
		span->first_s = first_s;
	if (last_s > span->last_s)
		span->last_s = last_s;
}

static uint64_t
gap_s(const struct span *a, const struct span *b)
{
	return a->first_s > b->last_s   ? a->first_s - b->last_s
	       : b->first_s > a->last_s ? b->first_s - a->last_s
					: 0;
}

/* Into the nearest span that there is; a far one has its own while there is room. */
static void
forget(struct ticket_memory *memory, struct span *span)
{
	struct span *empty = NULL, *nearest = NULL;
	for (size_t i = 0; span->last_s && i < SPANS_MAX; i++) {
		struct span *s = &memory->forgotten[i];
		if (!s->last_s)
			empty = s;
		else if (!nearest || gap_s(s, span) < gap_s(nearest, span))
			nearest = s;
	}
	if (nearest && empty && gap_s(nearest, span) > REMEMBER_S)
		nearest = NULL;
	nearest = nearest ? nearest : empty;
	if (span->last_s)
		widen(nearest, span->first_s, span->last_s);
	*span = (struct span){0, 0};
}

static int
is_forgotten(const struct ticket_memory *memory, uint64_t until_s)
{
	for (size_t i = 0; i < SPANS_MAX; i++)
		if (until_s && memory->forgotten[i].first_s <= until_s &&
			until_s <= memory->forgotten[i].last_s)
			return 1;
	return 0;
}

static void
rotate(struct ticket_memory *memory, uint64_t now_s)
{
	size_t bytes = (memory->mask + 1) * sizeof *memory->current;
	uint64_t age_s = now_s > memory->since_s ? now_s - memory->since_s : 0;
	if (age_s < REMEMBER_S)
		return;
	forget(memory, &memory->previous_span);
	memory->previous_span = memory->current_span;
	memory->current_span = (struct span){0, 0};
	struct slot *oldest = memory->previous;
	memory->previous = memory->current;
	memory->current = oldest;
	memset(memory->current, 0, bytes);
	if (age_s >= 2 * REMEMBER_S) {
		memset(memory->previous, 0, bytes);
		forget(memory, &memory->previous_span);
	}
	memory->count = 0;
	memory->since_s = now_s;
}

int
ticket_memory_use(struct ticket_memory *memory, const uint8_t session_id[static 16],
	uint64_t until_s, uint64_t now_s)
{
	rotate(memory, now_s);
	struct slot *slot = find(memory, memory->current, session_id);
	if (slot->used || find(memory, memory->previous, session_id)->used)
		return -ERR_TICKET_BAD;
	if (is_forgotten(memory, until_s))
		return -ERR_TICKET_EXPIRED;
	if (memory->count >= memory->capacity)
		return -ERR_LIMIT;
	if (until_s)
		widen(&memory->current_span, until_s, until_s);
	memcpy(slot->id, session_id, ID_BYTES);
	slot->used = 1;
	memory->count++;
	return 0;
}
