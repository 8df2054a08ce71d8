/*
 * Which parts of the screen are photographs: what may be shown roughly first and exactly later.
 * Text, interface and charts are none. Blocks of 16 px are looked at:
 *
 *   photograph  neighbours differ nearly everywhere, and there are many colours
 *   smooth      no step between neighbours that an eye would call an edge, but many colours: sky
 *   flat        no edge and few colours; may lie inside a photograph
 *   other       an edge on a ground: text, lines, icons. Never part of a photograph, but for single
 *               blocks with photographs all around
 *
 * A photograph is a rectangle without other blocks, a quarter photograph at least, 64 px or more
 * on each side; its edges are then moved outwards to where the pixels end that have no like
 * neighbours.
 */
#pragma once
#include "screen/image.h"

enum {
	PHOTO_SIDE_MIN_PX = 64,
	PHOTO_MAX = 8,
};

struct photo {
	uint8_t *kinds; /* of blocks, row by row */
	uint8_t *closed;
	int32_t *sums; /* of a column's blocks */
	size_t columns, rows;
};

/* For a screen of this size. 0, -ENOMEM. */
int photo_init(struct photo *photo, uint32_t width, uint32_t height);
void photo_fini(struct photo *photo);

/* The photographs in what has changed, the largest first: disjoint, sides even, inside the screen;
 * at their edges some pixels may be taken that have not changed. Returns how many. */
size_t photo_find(struct photo *photo, const struct image *image, const struct rect *changed,
	size_t count, struct rect ret_photos[static PHOTO_MAX]);
