/*
 * When the next picture may go: at most PACE_OPEN_MAX pictures are unacknowledged, and under
 * continuous change they keep a distance. After a quiet moment the first change goes at once: that
 * is a key's echo. While pictures wait, changes gather.
 */
#pragma once
#include <stdint.h>

#include "base/clock.h"

enum {
	PACE_OPEN_MAX = 2,
	PACE_NEVER = -1,
};

struct pace {
	uint32_t sent, acked; /* numbers of pictures, from 1 */
	uint32_t interval_ms;
	struct mono next; /* not before */
};

void pace_init(struct pace *pace, uint32_t interval_ms);

/* Milliseconds until the next picture may be taken: 0 = now, PACE_NEVER = first an acknowledgement.
 */
int pace_wait_ms(const struct pace *pace, struct mono now);

/* The screen is looked at: the distance counts from here, also when nothing turns out to have
 * changed. */
void pace_capture(struct pace *pace, struct mono now);

/* A picture is begun. Returns its number. */
uint32_t pace_begin(struct pace *pace);

/* 0, or -ERR_PROTOCOL for a picture that was not sent or was acknowledged before. */
int pace_ack(struct pace *pace, uint32_t seq);
