#include "controller/limit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"

enum {
	WAYS = 8
};

struct bucket {
	uint8_t key[LIMIT_KEY_BYTES];
	double tokens;
	struct mono last;
	int used;
};

struct limit {
	size_t sets;
	double burst, per_ms;
	uint64_t seed[2];
	struct bucket *buckets;
};

struct limit *
limit_new(size_t buckets, unsigned burst, unsigned tokens, uint64_t window_ms)
{
	struct limit *limit = mem_new(sizeof *limit);
	limit->sets = (buckets + WAYS - 1) / WAYS;
	limit->burst = burst;
	limit->per_ms = (double)tokens / (double)window_ms;
	limit->buckets = mem_new(limit->sets * WAYS * sizeof *limit->buckets);
	/* a peer that chooses its keys must not choose where they fall */
	if (getrandom(limit->seed, sizeof limit->seed, 0) != (ssize_t)sizeof limit->seed)
		abort();
	return limit;
}

void
limit_free(struct limit *limit)
{
	if (!limit)
		return;
	free(limit->buckets);
	free(limit);
}

static size_t
set_of(const struct limit *limit, const uint8_t *key)
{
	uint64_t a, b;
	memcpy(&a, key, sizeof a);
	memcpy(&b, key + sizeof a, sizeof b);
	unsigned __int128 product =
		(unsigned __int128)(a ^ limit->seed[0]) * ((b ^ limit->seed[1]) | 1);
	uint64_t mixed = (uint64_t)(product >> 64) ^ (uint64_t)product;
	mixed ^= mixed >> 32;
	return (size_t)(mixed * 0x9e3779b97f4a7c15u >> 20) % limit->sets;
}

static double
tokens_now(const struct limit *limit, const struct bucket *b, struct mono now)
{
	double tokens = b->tokens + limit->per_ms * (double)mono_diff_ms(b->last, now);
	return tokens < limit->burst ? tokens : limit->burst;
}

static struct bucket *
find(struct limit *limit, const uint8_t *key, struct mono now)
{
	struct bucket *set = limit->buckets + set_of(limit, key) * WAYS;
	struct bucket *victim = NULL;
	double most = -1;
	for (struct bucket *b = set; b < set + WAYS; b++) {
		if (b->used && memcmp(b->key, key, LIMIT_KEY_BYTES) == 0)
			return b;
		double tokens = b->used ? tokens_now(limit, b, now) : limit->burst + 1;
		if (tokens > most) {
			most = tokens;
			victim = b;
		}
	}
	memcpy(victim->key, key, LIMIT_KEY_BYTES);
	victim->used = 1;
	victim->tokens = limit->burst;
	victim->last = now;
	return victim;
}

int
limit_take(struct limit *limit, const uint8_t key[static LIMIT_KEY_BYTES], struct mono now)
{
	struct bucket *b = find(limit, key, now);
	b->tokens = tokens_now(limit, b, now);
	b->last = now;
	if (b->tokens < 1)
		return 0;
	b->tokens -= 1;
	return 1;
}
