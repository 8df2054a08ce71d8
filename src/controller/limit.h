/*
 * Token buckets by 16-byte key (a source address, an agent). The table has a fixed size: under a
 * flood of keys the fullest buckets of a set are forgotten first, so a key that is being limited
 * stays limited.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

enum {
	LIMIT_KEY_BYTES = 16
};

struct limit;

/* burst tokens at once, and tokens per window_ms after that. */
struct limit *limit_new(size_t buckets, unsigned burst, unsigned tokens, uint64_t window_ms);
void limit_free(struct limit *limit);
/* 1 when a token was there. */
int limit_take(struct limit *limit, const uint8_t key[static LIMIT_KEY_BYTES], struct mono now);
