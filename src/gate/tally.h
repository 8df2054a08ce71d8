/* Counters of one worker, in its row of the common segment: it alone writes, everybody may read.
 * Nothing in them names a person, an address or a terminal. */
#pragma once
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
	TALLY_LIMITS = 32,
	TALLY_CODES = 64, /* reasons that ever occurred; later ones count as 0 */
};

struct tally_reason {
	_Atomic uint64_t code, count;
};

struct tally {
	_Atomic uint64_t agents, sessions; /* now */
	_Atomic uint64_t accepted, handshakes, handshakes_failed;
	_Atomic uint64_t sessions_started, sessions_resumed, to_client, to_agent;
	_Atomic uint64_t bites[TALLY_LIMITS];                       /* by enum limit */
	struct tally_reason closes[TALLY_CODES], ends[TALLY_CODES]; /* connections, sessions */
};

static inline uint64_t
tally_get(const _Atomic uint64_t *v)
{
	return atomic_load_explicit(v, memory_order_relaxed);
}

static inline void
tally_set(_Atomic uint64_t *v, uint64_t n)
{
	atomic_store_explicit(v, n, memory_order_relaxed);
}

static inline void
tally_add(_Atomic uint64_t *v, uint64_t n)
{
	atomic_fetch_add_explicit(v, n, memory_order_relaxed);
}

/* So many more of this reason: 0 or negative, as leg_close has it. Errors of the system count as
 * CLOSED. */
void tally_codes(struct tally_reason reasons[static TALLY_CODES], int code, uint64_t count);
static inline void
tally_code(struct tally_reason reasons[static TALLY_CODES], int code)
{
	tally_codes(reasons, code, 1);
}

/* Adds all counters of from (not what is now) to to. */
void tally_fold(struct tally *to, const struct tally *from);
