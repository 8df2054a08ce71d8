/*
 * What moved: scrolled text, a dragged window. Looks for parts of the picture that was sent last in
 * the one just captured, both without the watermark, any distance in any direction. What it finds
 * is a saving and never a duty: whatever differs afterwards is found by damage_compare.
 */
#pragma once
#include "screen/image.h"

enum {
	MOVE_COPIES_MAX = 64, /* of one picture */
	MOVE_VIEWS_MAX = 16,
};

/* The area `to` gets what is at from_x, from_y before; the two may overlap. */
struct copy {
	struct rect to;
	uint16_t from_x, from_y;
};

/* A captured area of the screen and its pixels (same width and height). */
struct move_view {
	struct image image;
	struct rect area;
};

struct moves;

/* Takes about three quarters of a MiB. 0, -ENOMEM. */
int moves_new(struct moves **ret_moves);
void moves_free(struct moves *moves);

/* view_count <= MOVE_VIEWS_MAX. avoid: pixels that the client does not have exactly; nothing is
 * copied from or to there (w 0: none). Makes the copies in shown, one after the other, and tells
 * them. All lie inside the views' areas (their sources anywhere on the screen); the areas are
 * disjoint. Together they have at most as many pixels as shown. Returns how many, at most
 * MOVE_COPIES_MAX. */
size_t moves_find(struct moves *moves, const struct move_view *views, size_t view_count,
	const struct rect *avoid, struct image *shown,
	struct copy ret_copies[static MOVE_COPIES_MAX]);

/* What the copy takes of the rectangle, where it comes to lie; w 0: nothing. */
struct rect move_along(const struct copy *copy, const struct rect *rect);

/* Makes one copy in an image; both places lie inside it. */
void move_copy(struct image *image, const struct copy *copy);
