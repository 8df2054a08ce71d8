/*
 * A new worker's part of an upgrade: connections come from workers of the old program (leave.h),
 * whole units at a time, and lie here frozen. A unit is put to use when the old side has closed its
 * own copies (COMMIT), or is known to be dead and the parent says that this is the gate now (GO).
 * Whoever may ask for somebody else waits for GO too: until then that somebody may not be here yet.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "gate/outbox.h"
#include "gate/wheel.h"

struct worker;

enum {
	ARRIVE_CHANNELS_MAX = 64,
	ARRIVE_EVENT = 32, /* of the first channel in the set of events; the others follow */
};

struct channel {
	struct outbox box;
	struct arrival *partial;
	uint32_t whole;     /* the last unit that has come whole */
	uint32_t committed; /* up to this one they are ours */
	uint8_t is_over;    /* the old worker is dead, or has nothing more */
	uint8_t told;       /* the parent knows that what was there has come */
};

struct arrive {
	struct channel *channels[ARRIVE_CHANNELS_MAX];
	size_t count;
	struct arrival *first, *last;
	uint8_t waiting; /* for GO */
	uint32_t agents, sessions, others;
};

/* Messages of the parent. 0 or negative. */
int arrive_channel(struct worker *w, int fd);
void arrive_go(struct worker *w);
/* Something came through this channel. */
void arrive_hear(struct worker *w, size_t channel);
void arrive_run(struct worker *w);
