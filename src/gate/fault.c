#include "gate/fault.h"

#include <string.h>

enum {
	UNIT_MS = 8,
	TAG_BITS = 28,
	TIME_BITS = 64 - TAG_BITS, /* in units: longer than any machine is up */
	MINUTE = FAULT_MINUTE_MS / UNIT_MS,
	MOST = 2 * MINUTE,
};

#define TIME_MASK ((UINT64_C(1) << TIME_BITS) - 1)

struct place {
	size_t at[2];
	uint64_t tag; /* in the upper bits */
};

static uint64_t
fold(uint64_t a, uint64_t b)
{
	unsigned __int128 m = (unsigned __int128)a * b;
	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* With secret seeds: nobody outside can choose keys that meet. */
static struct place
place_of(const struct faults *f, enum fault_kind kind, const uint8_t *key)
{
	uint64_t part[2];
	memcpy(part, key, sizeof part);
	uint64_t h = fold(part[0] ^ f->seed[0], f->seed[1] | 1);
	h = fold(h ^ part[1] ^ f->seed[1], (f->seed[0] | 1) + 2 * (uint64_t)kind);
	uint64_t g = fold(h ^ f->seed[0], UINT64_C(0x9e3779b97f4a7c15));
	return (struct place){
		.at = {h % FAULT_CELLS, (h >> 32) % FAULT_CELLS}, .tag = g & ~TIME_MASK};
}

/* A moment beyond what fault_note writes is a mad worker's, and blames nobody for ever. */
static uint64_t
load(const struct faults *f, size_t at, uint64_t now)
{
	uint64_t cell = atomic_load_explicit(&f->table->cells[at], memory_order_relaxed);
	return (cell & TIME_MASK) > now + MOST + MINUTE ? 0 : cell;
}

void
fault_note(struct faults *f, enum fault_kind kind, const uint8_t key[static FAULT_KEY_BYTES],
	uint64_t now_ms)
{
	if (!f->table || f->per_minute[kind] == 0)
		return;
	struct place p = place_of(f, kind, key);
	uint64_t cost = MINUTE / f->per_minute[kind], now = now_ms / UNIT_MS, most = now + MOST;
	uint64_t old = load(f, p.at[0], now), other = load(f, p.at[1], now);
	size_t at = p.at[0];
	int first = (old & ~TIME_MASK) == p.tag, second = (other & ~TIME_MASK) == p.tag;
	if (!first && (second || (other & TIME_MASK) < (old & TIME_MASK))) {
		at = p.at[1];
		old = other;
	}
	/* two workers at the same moment: one of the faults is forgotten when it is not seen */
	for (int tries = 0; tries < 4; tries++) {
		uint64_t until = (old & ~TIME_MASK) == p.tag ? old & TIME_MASK : 0;
		until = (until > now ? until : now) + (cost ? cost : 1);
		uint64_t next = p.tag | (until < most ? until : most);
		if (atomic_compare_exchange_weak(&f->table->cells[at], &old, next))
			return;
	}
}

uint64_t
fault_over(const struct faults *f, enum fault_kind kind, const uint8_t key[static FAULT_KEY_BYTES],
	uint64_t now_ms)
{
	if (!f->table || f->per_minute[kind] == 0)
		return 0;
	struct place p = place_of(f, kind, key);
	for (size_t i = 0; i < 2; i++) {
		uint64_t cell = load(f, p.at[i], now_ms / UNIT_MS), until = cell & TIME_MASK;
		if ((cell & ~TIME_MASK) == p.tag && until > now_ms / UNIT_MS + MINUTE)
			return (until - now_ms / UNIT_MS - MINUTE) * UNIT_MS;
	}
	return 0;
}
