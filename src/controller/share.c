#include "controller/share.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

static uint32_t
wish(const struct share_claim *c, size_t count)
{
	uint32_t least = SHARE_WHOLE / (SHARE_LEAST_OF * (uint32_t)count);
	uint32_t used = c->hungry || c->used > SHARE_WHOLE ? SHARE_WHOLE : c->used;
	uint32_t grown = used + used / 2;
	return grown < least ? least : grown < SHARE_WHOLE ? grown : SHARE_WHOLE;
}

void
share_divide(struct share_claim *const *claims, size_t count)
{
	uint32_t left = SHARE_WHOLE, open = (uint32_t)count, before;
	assert(count <= SHARE_GATES_MAX);
	for (size_t i = 0; i < count; i++)
		claims[i]->part = 0;
	/* whoever wants no more than an equal part of what is left has it, and leaves more to the
	 * others */
	do {
		before = open;
		for (size_t i = 0; i < count; i++) {
			uint32_t want = wish(claims[i], count);
			if (claims[i]->part || want > left / open)
				continue;
			claims[i]->part = want;
			left -= want;
			if (--open == 0)
				break;
		}
	} while (open > 0 && open < before);
	for (size_t i = 0; i < count; i++) {
		if (open == 0)
			claims[i]->part += left / (uint32_t)count;
		else if (claims[i]->part == 0)
			claims[i]->part = left / open;
	}
}

static struct share_gate *
gate_of(struct shares *s, uint64_t gate)
{
	for (size_t i = 0; i < s->gate_count; i++)
		if (s->gates[i].gate == gate)
			return &s->gates[i];
	if (s->gate_count == SHARE_GATES_MAX)
		return NULL;
	s->gates[s->gate_count] = (struct share_gate){.gate = gate};
	return &s->gates[s->gate_count++];
}

/* What a claim is of: the prefecture counts where no organisation is named. */
static int
compare_rates(const struct share_claim *a, const struct share_claim *b)
{
	int r = strncmp(a->organisation, b->organisation, SHARE_NAME_SIZE);
	if (r == 0 && !a->organisation[0])
		r = (a->prefecture > b->prefecture) - (a->prefecture < b->prefecture);
	return r;
}

/* Where it is or would be: those of one rate lie together. */
static size_t
place_of(const struct shares *s, const struct share_claim *claim, int *ret_found)
{
	size_t low = 0, high = s->count;
	*ret_found = 0;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct share_claim *c = s->claims[middle];
		int r = compare_rates(c, claim);
		r = r ? r : (c->gate > claim->gate) - (c->gate < claim->gate);
		if (r == 0) {
			*ret_found = 1;
			return middle;
		}
		if (r < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int
insert(struct shares *s, size_t at, const struct share_claim *claim)
{
	if (s->count == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 64;
		struct share_claim **claims = mem_resize(s->claims, cap, sizeof(void *));
		if (!claims)
			return -ERR_LIMIT;
		s->claims = claims;
		s->cap = cap;
	}
	struct share_claim *c = mem_array(1, sizeof *c);
	if (!c)
		return -ERR_LIMIT;
	*c = *claim;
	c->part = c->tell = 0;
	memmove(&s->claims[at + 1], &s->claims[at], (s->count - at) * sizeof(void *));
	s->claims[at] = c;
	s->count++;
	return 0;
}

int
share_claim(struct shares *s, const struct share_claim *claim)
{
	int found;
	size_t at = place_of(s, claim, &found);
	if (found) {
		struct share_claim *c = s->claims[at];
		uint32_t part = c->part;
		*c = *claim;
		c->part = part;
		return 0;
	}
	struct share_gate *gate = gate_of(s, claim->gate);
	int r = !gate || gate->claims == SHARE_CLAIMS_MAX ? -ERR_LIMIT : insert(s, at, claim);
	if (r == 0)
		gate->claims++;
	return r;
}

/* Lets go of a gate's claims, or with gate 0 of what is old and told. */
static void
drop(struct shares *s, uint64_t gate, uint64_t now_ms)
{
	size_t kept = 0;
	for (size_t i = 0; i < s->count; i++) {
		struct share_claim *c = s->claims[i];
		int is_over = now_ms - c->at_ms >= SHARE_CLAIM_MS &&
			      (c->part == 0 || c->part == SHARE_WHOLE);
		if (gate ? c->gate != gate : !is_over) {
			s->claims[kept++] = c;
			continue;
		}
		gate_of(s, c->gate)->claims--;
		free(c);
	}
	s->count = kept;
	for (size_t i = s->gate_count; i-- > 0;)
		if (s->gates[i].claims == 0)
			s->gates[i] = s->gates[--s->gate_count];
}

void
share_forget(struct shares *s, uint64_t gate)
{
	drop(s, gate, 0);
}

/* The claims of one rate. One that is old has the whole, and is told so once. */
static void
divide(struct share_claim *const *claims, size_t count, uint64_t now_ms)
{
	struct share_claim *live[SHARE_GATES_MAX];
	uint32_t before[SHARE_GATES_MAX];
	size_t n = 0;
	for (size_t i = 0; i < count; i++) {
		struct share_claim *c = claims[i];
		c->tell = now_ms - c->at_ms >= SHARE_CLAIM_MS;
		if (c->tell) {
			c->part = SHARE_WHOLE;
		} else {
			before[n] = c->part;
			live[n++] = c;
		}
	}
	share_divide(live, n);
	for (size_t i = 0; i < n; i++)
		live[i]->tell =
			n > 1 || live[i]->wants || (before[i] && before[i] != live[i]->part);
}

void
share_round(struct shares *s, uint64_t now_ms)
{
	drop(s, 0, now_ms);
	for (size_t i = 0, end; i < s->count; i = end) {
		end = i + 1;
		while (end < s->count && compare_rates(s->claims[i], s->claims[end]) == 0)
			end++;
		divide(&s->claims[i], end - i, now_ms);
	}
}

void
share_fini(struct shares *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->claims[i]);
	free(s->claims);
	*s = (struct shares){0};
}
