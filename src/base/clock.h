/* Time: one type for the monotonic clock, one function for the wall clock. */
#pragma once
#include <stdint.h>

/* Monotonic, since an unknown start. Differences are what it is for. */
struct mono {
	uint64_t ns;
};

struct mono mono_now(void);
struct mono mono_add_ms(struct mono t, uint64_t ms);
/* b - a in milliseconds, 0 when b is earlier. */
uint64_t mono_diff_ms(struct mono a, struct mono b);
int mono_before(struct mono a, struct mono b);

/* Seconds since 1970, UTC. */
uint64_t wall_s(void);

enum { WALL_TEXT_SIZE = sizeof "2026-11-22T12:34:56.789Z" };
/* RFC 3339, UTC, milliseconds. */
void wall_text(char out[static WALL_TEXT_SIZE]);

/* "YYYY-MM-DD" to the last second of that day, UTC. 0 or -EINVAL. */
int wall_date_end(const char *date, uint64_t *ret_s);
