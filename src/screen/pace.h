/*
 * When the next picture may go. After a quiet moment the first change goes at once: that is a key's
 * echo. Under continuous change pictures keep a distance, and changes gather while they wait:
 * nothing old is ever queued. How many may be under way is learnt from the acknowledgements: always
 * PACE_OPEN_FEW, and as many more as the path has carried before without making any of them wait.
 * They also tell how fast the path is.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

enum {
	PACE_OPEN_FEW = 2,  /* pictures without an acknowledgement, on any path */
	PACE_OPEN_MAX = 16, /* on a long one */
	PACE_NEVER = -1,
};

struct pace_picture {
	struct mono begun;
	size_t bytes, under_way; /* its own; and all that had no acknowledgement when it had gone */
};

struct pace {
	uint32_t sent, acked; /* numbers of pictures, from 1 */
	uint32_t interval_ms;
	struct mono next;                            /* not before */
	struct pace_picture pictures[PACE_OPEN_MAX]; /* by their numbers */
	uint64_t quickest_ms;    /* from a picture's beginning to its acknowledgement */
	struct mono quickest_at; /* when that was seen last; 0 = never */
	size_t carried;          /* bytes that were under way without waiting for each other */
	/* Of the last pictures that were large enough to tell a rate, older ones for less: bytes,
	 * milliseconds from beginning to acknowledgement, how many (256ths). */
	uint64_t rate_bytes, rate_ms, rate_count;
	int length_known; /* quickest_ms is that of a picture that took no time on the path */
};

void pace_init(struct pace *pace, uint32_t interval_ms);

/* Milliseconds until the next picture may be taken: 0 = now, PACE_NEVER = first an acknowledgement.
 */
int pace_wait_ms(const struct pace *pace, struct mono now);

/* Milliseconds until the path has nothing to carry, as far as its rate is known; at most one
 * picture is without an acknowledgement then. PACE_NEVER = first an acknowledgement. */
int pace_idle_ms(const struct pace *pace, struct mono now);

/* Bytes that the path takes in so many milliseconds, roughly; 0 = not known yet. */
uint64_t pace_bytes(const struct pace *pace, uint32_t ms);

/* The screen is looked at: the distance counts from here, also when nothing turns out to have
 * changed. */
void pace_capture(struct pace *pace, struct mono now);

/* A picture is begun. Returns its number. */
uint32_t pace_begin(struct pace *pace, struct mono now);
/* Bytes of it have gone. */
void pace_sent(struct pace *pace, size_t bytes);

/* 0, or -ERR_PROTOCOL for a picture that was not sent or was acknowledged before. */
int pace_ack(struct pace *pace, uint32_t seq, struct mono now);
