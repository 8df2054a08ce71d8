/*
 * Deadlines of all connections of a worker: a wheel of slots, a node embedded in each connection.
 * Setting, clearing and turning cost the same with ten nodes and with a hundred thousand, and
 * nothing is allocated.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
	WHEEL_TICK_MS = 250, /* nothing here needs to be sharper; an idle worker wakes four times a
				second */
	WHEEL_SLOTS = 512,   /* 128 s: a keepalive goes round at most once */
};

/* Ticks since the worker's start. Wraps after 34 years. */
typedef uint32_t wheel_tick;

struct wheel_node {
	struct wheel_node *prev, *next; /* NULL = not set */
	wheel_tick due;
};

struct wheel {
	struct wheel_node slots[WHEEL_SLOTS];
	struct wheel_node turning; /* taken from slots that have come, not looked at yet */
	wheel_tick now;            /* the slots before it have been taken */
};

static inline wheel_tick
wheel_ticks(int64_t seconds)
{
	return (wheel_tick)(seconds * (1000 / WHEEL_TICK_MS));
}

void wheel_init(struct wheel *wheel, wheel_tick now);
/* Moves the node when it is set already. A due tick in the past comes with the next turn. */
void wheel_set(struct wheel *wheel, struct wheel_node *node, wheel_tick due);
void wheel_clear(struct wheel_node *node);
/* Takes out one node that is due at now, NULL when there is none. Nodes may be set and cleared
 * between the calls. */
struct wheel_node *wheel_pop(struct wheel *wheel, wheel_tick now);
