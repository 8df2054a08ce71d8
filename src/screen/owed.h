/*
 * What the client does not have exactly: what a film or a photograph has drawn, or what it does not
 * have yet. Paid in slices, when the line has nothing else to do. A box on each tile of the screen;
 * boxes may have more than is owed, never less.
 */
#pragma once
#include "base/clock.h"
#include "screen/damage.h"
#include "screen/move.h"

struct owed {
	struct rect *tiles; /* on damage's grid; w 0: nothing */
	struct rect *moved; /* of owed_copy */
	size_t tile_count;
	size_t count;     /* tiles with something */
	struct mono from; /* paid not before */
};

/* For damage's size. 0, -ENOMEM. */
int owed_init(struct owed *owed, const struct damage *damage);
void owed_fini(struct owed *owed);

/* Paid not before from. */
void owed_add(
	struct owed *owed, const struct damage *damage, const struct rect *rect, struct mono from);
/* The copy takes along what is owed at its source. */
void owed_copy(struct owed *owed, const struct damage *damage, const struct copy *copy);
/* Is sent exactly. */
void owed_paid(struct owed *owed, const struct rect *rect);
void owed_clear(struct owed *owed);

/* Milliseconds until something can be paid outside the film (w 0: none); -1 = nothing is owed. */
int owed_wait_ms(const struct owed *owed, const struct rect *film, struct mono now);

/* The next about so many pixels (at least a row of a tile), outside the film. Disjoint, inside the
 * screen. Returns how many rectangles. */
size_t owed_take(struct owed *owed, const struct rect *film, uint32_t pixels,
	struct rect *ret_rects, size_t max);
