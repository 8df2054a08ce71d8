#include "screen/damage.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int
damage_init(struct damage *damage, uint32_t width, uint32_t height)
{
	if (!image_fits(width, height))
		return -EINVAL;
	struct damage d = {.width = (uint16_t)width, .height = (uint16_t)height};
	d.columns = (uint16_t)((width + DAMAGE_TILE_PX - 1) / DAMAGE_TILE_PX);
	d.rows = (uint16_t)((height + DAMAGE_TILE_PX - 1) / DAMAGE_TILE_PX);
	size_t tiles = (size_t)d.columns * d.rows;
	d.dirty = calloc(tiles, 1);
	d.changed = calloc(tiles, sizeof *d.changed);
	if (!d.dirty || !d.changed) {
		damage_fini(&d);
		return -ENOMEM;
	}
	*damage = d;
	return 0;
}

void
damage_fini(struct damage *damage)
{
	if (!damage)
		return;
	free(damage->dirty);
	free(damage->changed);
	*damage = (struct damage){0};
}

static uint32_t
clip(int64_t v, uint32_t max)
{
	return v < 0 ? 0 : v > max ? max : (uint32_t)v;
}

void
damage_add(struct damage *damage, int32_t x, int32_t y, uint32_t w, uint32_t h)
{
	uint32_t x0 = clip(x, damage->width), x1 = clip((int64_t)x + w, damage->width);
	uint32_t y0 = clip(y, damage->height), y1 = clip((int64_t)y + h, damage->height);
	if (x0 >= x1 || y0 >= y1)
		return;
	for (uint32_t row = y0 / DAMAGE_TILE_PX; row <= (y1 - 1) / DAMAGE_TILE_PX; row++)
		for (uint32_t column = x0 / DAMAGE_TILE_PX; column <= (x1 - 1) / DAMAGE_TILE_PX;
			column++) {
			uint8_t *tile = &damage->dirty[(size_t)row * damage->columns + column];
			damage->dirty_count += !*tile;
			*tile = 1;
		}
}

void
damage_add_all(struct damage *damage)
{
	damage_add(damage, 0, 0, damage->width, damage->height);
}

static struct rect
tile_rect(const struct damage *d, size_t column, size_t row)
{
	size_t x = column * DAMAGE_TILE_PX, y = row * DAMAGE_TILE_PX;
	size_t w = d->width - x, h = d->height - y;
	return (struct rect){(uint16_t)x, (uint16_t)y,
		(uint16_t)(w < DAMAGE_TILE_PX ? w : DAMAGE_TILE_PX),
		(uint16_t)(h < DAMAGE_TILE_PX ? h : DAMAGE_TILE_PX)};
}

struct rect
damage_tile(const struct damage *d, size_t tile)
{
	return tile_rect(d, tile % d->columns, tile / d->columns);
}

void
damage_put(struct damage *d, const struct rect *rect)
{
	size_t tiles = (size_t)d->columns * d->rows;
	for (size_t i = 0; i < tiles; i++) {
		struct rect tile = damage_tile(d, i);
		d->changed[i] = rect_union(d->changed[i], rect_common(&tile, rect));
	}
}

int
damage_touches(const struct damage *d, const struct rect *rect)
{
	size_t tiles = (size_t)d->columns * d->rows;
	for (size_t i = 0; i < tiles; i++)
		if (d->changed[i].w && rect_overlap(&d->changed[i], rect))
			return 1;
	return 0;
}

/* The grid's tile as an area, empty when it does not count; taking it clears it. */
typedef struct rect take_fn(struct damage *d, size_t column, size_t row);

static struct rect
take_dirty(struct damage *d, size_t column, size_t row)
{
	uint8_t *tile = &d->dirty[row * d->columns + column];
	struct rect box = *tile ? tile_rect(d, column, row) : (struct rect){0};
	*tile = 0;
	return box;
}

static struct rect
take_changed(struct damage *d, size_t column, size_t row)
{
	struct rect *tile = &d->changed[row * d->columns + column], box = *tile;
	*tile = (struct rect){0};
	return box;
}

/* A run of tiles, growing downwards while the next row has one in the same columns. */
struct run {
	uint16_t first, last; /* columns */
	size_t index;         /* into the result; the maximum when there was no room */
};

struct merge {
	struct rect *rects;
	size_t count, max;
	struct rect all; /* box around everything, for when there are too many */
	int overflow;
	struct run *above; /* runs of the row above, left to right */
	size_t above_count;
};

/* Joins the run to the one above it in the same columns, or starts a new rectangle. Returns its
 * index. */
static size_t
place(struct merge *m, const struct run *run, struct rect box)
{
	m->all = rect_union(m->all, box);
	for (size_t i = 0; i < m->above_count; i++) {
		const struct run *above = &m->above[i];
		if (above->first == run->first && above->last == run->last &&
			above->index < m->max) {
			m->rects[above->index] = rect_union(m->rects[above->index], box);
			return above->index;
		}
	}
	if (m->count == m->max) {
		m->overflow = 1;
		return m->max;
	}
	m->rects[m->count] = box;
	return m->count++;
}

static size_t
merge_tiles(struct damage *d, take_fn *take, struct rect *rects, size_t max)
{
	/* at most every second tile of a row starts a run */
	struct run runs[2][IMAGE_SIDE_MAX_PX / DAMAGE_TILE_PX / 2 + 1];
	struct merge m = {.rects = rects, .max = max, .above = runs[1]};
	for (size_t row = 0; row < d->rows; row++) {
		struct run *here = runs[row & 1];
		size_t count = 0;
		for (size_t column = 0; column < d->columns; column++) {
			struct rect box = take(d, column, row);
			if (box.w == 0)
				continue;
			struct run run = {.first = (uint16_t)column};
			struct rect next;
			while (column + 1 < d->columns && (next = take(d, column + 1, row)).w > 0) {
				box = rect_union(box, next);
				column++;
			}
			run.last = (uint16_t)column;
			run.index = place(&m, &run, box);
			here[count++] = run;
			column++; /* the tile after a run is clean: it was looked at */
		}
		m.above = here;
		m.above_count = count;
	}
	if (m.overflow) {
		rects[0] = m.all;
		return 1;
	}
	return m.count;
}

/* The box around what it touches, and around what that touches. */
static struct rect
box_around(const struct rect *rects, size_t count, struct rect box)
{
	uint64_t before;
	do {
		before = rect_area(&box);
		for (size_t i = 0; i < count; i++)
			if (rect_overlap(&rects[i], &box))
				box = rect_union(box, rects[i]);
	} while (rect_area(&box) > before);
	return box;
}

/* Box around two of the rectangles and all that it touches: they become one when that does not
 * double them, and there is so much to spare. */
static int
join_two(struct rect *rects, size_t *count, size_t a, size_t b, uint64_t *spare)
{
	struct rect box = box_around(rects, *count, rect_union(rects[a], rects[b]));
	uint64_t own = 0;
	size_t kept = 0;
	for (size_t i = 0; i < *count; i++)
		own += rect_overlap(&rects[i], &box) ? rect_area(&rects[i]) : 0;
	uint64_t waste = rect_area(&box) - own;
	if (waste > own || waste > *spare)
		return 0;
	*spare -= waste;
	for (size_t i = 0; i < *count; i++)
		if (!rect_overlap(&rects[i], &box))
			rects[kept++] = rects[i];
	rects[kept++] = box;
	*count = kept;
	return 1;
}

/* What moved across several areas is found as one thing in one of them. */
static size_t
join(struct rect *rects, size_t count)
{
	uint64_t spare = 0;
	size_t a = 0, b = 1;
	for (size_t i = 0; i < count; i++)
		spare += rect_area(&rects[i]);
	while (b < count) {
		if (join_two(rects, &count, a, b, &spare)) {
			a = 0;
			b = 1;
		} else if (++a == b) {
			a = 0;
			b++;
		}
	}
	return count;
}

size_t
damage_take(struct damage *damage, struct rect *ret_rects, size_t max)
{
	assert(max >= 1);
	damage->dirty_count = 0;
	return join(ret_rects, merge_tiles(damage, take_dirty, ret_rects, max));
}

size_t
damage_changed(struct damage *damage, struct rect *ret_rects, size_t max)
{
	assert(max >= 1);
	return merge_tiles(damage, take_changed, ret_rects, max);
}

static int
pixel_differs(const uint8_t *a, const uint8_t *b)
{
	return a[0] != b[0] || a[1] != b[1] || a[2] != b[2];
}

/* Box around the pixels that differ, relative to the area; empty when all are equal. memcmp finds
 * equal rows at memory speed; only rows that differ are looked at pixel by pixel, and only outside
 * the box found so far. */
static struct rect
difference(const uint8_t *a, size_t a_stride, const uint8_t *b, size_t b_stride, size_t w, size_t h)
{
	size_t left = w, right = 0, top = h, bottom = 0;
	for (size_t y = 0; y < h; y++, a += a_stride, b += b_stride) {
		if (memcmp(a, b, w * IMAGE_PIXEL_BYTES) == 0)
			continue;
		size_t x0 = 0, x1 = w;
		while (x0 < w &&
			!pixel_differs(a + x0 * IMAGE_PIXEL_BYTES, b + x0 * IMAGE_PIXEL_BYTES))
			x0++;
		if (x0 == w)
			continue; /* only fourth bytes */
		while (!pixel_differs(
			a + (x1 - 1) * IMAGE_PIXEL_BYTES, b + (x1 - 1) * IMAGE_PIXEL_BYTES))
			x1--;
		left = x0 < left ? x0 : left;
		right = x1 > right ? x1 : right;
		top = top == h ? y : top;
		bottom = y + 1;
	}
	if (top == h)
		return (struct rect){0};
	return (struct rect){
		(uint16_t)left, (uint16_t)top, (uint16_t)(right - left), (uint16_t)(bottom - top)};
}

static void
compare_tile(struct damage *d, const struct image *captured, size_t cx, size_t cy, size_t column,
	size_t row, struct image *shown)
{
	struct rect tile = tile_rect(d, column, row);
	size_t w = captured->width - cx < tile.w ? captured->width - cx : tile.w;
	size_t h = captured->height - cy < tile.h ? captured->height - cy : tile.h;
	const uint8_t *from = image_at(captured, cx, cy);
	uint8_t *to = image_at(shown, tile.x, tile.y);
	struct rect box = difference(from, captured->stride, to, shown->stride, w, h);
	if (box.w == 0)
		return;
	for (size_t y = box.y; y < (size_t)box.y + box.h; y++)
		memcpy(to + y * shown->stride + box.x * (size_t)IMAGE_PIXEL_BYTES,
			from + y * captured->stride + box.x * (size_t)IMAGE_PIXEL_BYTES,
			box.w * (size_t)IMAGE_PIXEL_BYTES);
	struct rect *changed = &d->changed[row * d->columns + column];
	*changed = rect_union(*changed, (struct rect){(uint16_t)(tile.x + box.x),
						(uint16_t)(tile.y + box.y), box.w, box.h});
}

void
damage_compare(struct damage *damage, const struct image *captured, uint16_t x, uint16_t y,
	struct image *shown)
{
	struct rect area = {x, y, captured->width, captured->height};
	assert(x % DAMAGE_TILE_PX == 0 && y % DAMAGE_TILE_PX == 0);
	assert(shown->width == damage->width && shown->height == damage->height);
	assert(rect_inside(&area, damage->width, damage->height));
	for (size_t cy = 0; cy < captured->height; cy += DAMAGE_TILE_PX)
		for (size_t cx = 0; cx < captured->width; cx += DAMAGE_TILE_PX)
			compare_tile(damage, captured, cx, cy, (x + cx) / DAMAGE_TILE_PX,
				(y + cy) / DAMAGE_TILE_PX, shown);
}
