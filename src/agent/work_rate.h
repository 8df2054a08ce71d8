/*
 * What one person can produce with keyboard and mouse, as a bucket for each kind of message. The
 * desktop slows typing down to a human pace (desktop/input.h); what exceeds even these limits is
 * not a person, and ends the session: the likeliest attack is a program that types on the home PC.
 */
#pragma once
#include <stdint.h>

#include "base/clock.h"

enum rate_kind {
	RATE_FREE, /* not limited here */
	RATE_KEY,  /* presses and releases */
	RATE_POINTER,
	RATE_TEXT, /* characters */
	RATE_LAYOUT,
	RATE_CONTINUE,
	RATE_POSTURE,
	RATE_LIFE, /* Ack, Ping */
	RATE_KINDS
};

struct rates {
	struct mono filled[RATE_KINDS];
	uint64_t milli[RATE_KINDS]; /* thousandths of an event that may pass */
};

void rates_init(struct rates *rates, struct mono now);
/* 1 when so many more are within the limit, 0 when not (nothing is taken then). */
int rates_take(struct rates *rates, enum rate_kind kind, uint32_t count, struct mono now);
const char *rate_name(enum rate_kind kind);
