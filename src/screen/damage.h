/*
 * What may have changed (as the display server says) and what did (against the picture that was
 * sent last), on a grid of 64 px tiles.
 *
 *   damage_add     the server reports an area
 *   damage_take    the areas to capture now, tile by tile merged into few rectangles
 *   damage_compare one captured area against the picture the client has, which becomes the new
 * picture damage_changed the areas that really differ, merged and trimmed, for the encoder
 */
#pragma once
#include "screen/image.h"

enum {
	DAMAGE_TILE_PX = 64,
};

struct damage {
	uint16_t width, height; /* pixels */
	uint16_t columns, rows; /* tiles */
	uint8_t *dirty;         /* per tile: reported */
	struct rect *changed;   /* per tile: box around the pixels that differ, empty when none */
	size_t dirty_count;
};

/* Nothing dirty. 0, -EINVAL, -ENOMEM; on failure *damage is as it was. */
int damage_init(struct damage *damage, uint32_t width, uint32_t height);
void damage_fini(struct damage *damage);

/* Any area, also partly or wholly outside: it is clipped. */
void damage_add(struct damage *damage, int32_t x, int32_t y, uint32_t w, uint32_t h);
void damage_add_all(struct damage *damage);

/* Merged dirty areas, disjoint and inside the screen, with at most as much clean area in all as is
 * dirty; one box around all when there are more than max (>= 1). Nothing is dirty afterwards.
 * Returns how many. */
size_t damage_take(struct damage *damage, struct rect *ret_rects, size_t max);

/* captured is the area of the screen whose upper left corner is x, y; shown is the whole picture.
 * Pixels that differ are copied into shown. Only pixels' B, G and R count. x and y are multiples of
 * the tile size (as damage_take gives them). */
void damage_compare(struct damage *damage, const struct image *captured, uint16_t x, uint16_t y,
	struct image *shown);

/* As if damage_compare had found that all of this differs. */
void damage_put(struct damage *damage, const struct rect *rect);

/* 1 when it has found something in there that was not taken yet. */
int damage_touches(const struct damage *damage, const struct rect *rect);

/* The tile's area, numbered row by row; at the edges of the screen it is smaller. */
struct rect damage_tile(const struct damage *damage, size_t tile);

/* As damage_take, for what damage_compare found: trimmed to the pixels that differ. */
size_t damage_changed(struct damage *damage, struct rect *ret_rects, size_t max);
