#include "screen/owed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int
owed_init(struct owed *owed, const struct damage *damage)
{
	struct owed o = {.tile_count = (size_t)damage->columns * damage->rows};
	o.tiles = calloc(o.tile_count, sizeof *o.tiles);
	o.moved = calloc(o.tile_count, sizeof *o.moved);
	if (!o.tiles || !o.moved) {
		owed_fini(&o);
		return -ENOMEM;
	}
	*owed = o;
	return 0;
}

void
owed_fini(struct owed *owed)
{
	free(owed->tiles);
	free(owed->moved);
	*owed = (struct owed){0};
}

static void
set(struct owed *o, size_t tile, struct rect box)
{
	o->count += (box.w > 0) - (size_t)(o->tiles[tile].w > 0);
	o->tiles[tile] = box;
}

static void
add(struct owed *o, const struct damage *d, const struct rect *rect)
{
	for (size_t i = 0; i < o->tile_count; i++) {
		struct rect tile = damage_tile(d, i), part = rect_common(&tile, rect);
		if (part.w)
			set(o, i, rect_union(o->tiles[i], part));
	}
}

void
owed_add(struct owed *o, const struct damage *d, const struct rect *rect, struct mono from)
{
	add(o, d, rect);
	if (mono_before(o->from, from))
		o->from = from;
}

void
owed_copy(struct owed *o, const struct damage *d, const struct copy *copy)
{
	size_t count = 0;
	for (size_t i = 0; o->count && i < o->tile_count; i++) {
		struct rect part = move_along(copy, &o->tiles[i]);
		if (part.w)
			o->moved[count++] = part;
	}
	owed_paid(o, &copy->to);
	for (size_t i = 0; i < count; i++)
		add(o, d, &o->moved[i]);
}

void
owed_paid(struct owed *o, const struct rect *rect)
{
	for (size_t i = 0; o->count && i < o->tile_count; i++)
		if (o->tiles[i].w && rect_within(&o->tiles[i], rect))
			set(o, i, (struct rect){0});
}

void
owed_clear(struct owed *o)
{
	memset(o->tiles, 0, o->tile_count * sizeof *o->tiles);
	o->count = 0;
}

static int
payable(const struct owed *o, size_t tile, const struct rect *film)
{
	return o->tiles[tile].w && !rect_overlap(&o->tiles[tile], film);
}

int
owed_wait_ms(const struct owed *o, const struct rect *film, struct mono now)
{
	for (size_t i = 0; o->count && i < o->tile_count; i++)
		if (payable(o, i, film))
			return mono_before(now, o->from)
				       ? (int)((o->from.ns - now.ns + 999999) / 1000000)
				       : 0;
	return -1;
}

size_t
owed_take(struct owed *o, const struct rect *film, uint32_t pixels, struct rect *ret_rects,
	size_t max)
{
	size_t count = 0;
	for (size_t i = 0; i < o->tile_count && count < max; i++) {
		struct rect box = o->tiles[i], slice = box;
		if (!payable(o, i, film))
			continue;
		uint32_t rows = pixels / box.w;
		if (rows == 0 && count > 0)
			break;
		if (rows < box.h)
			slice.h = (uint16_t)(rows ? rows : 1);
		box.y = (uint16_t)(box.y + slice.h);
		box.h = (uint16_t)(box.h - slice.h);
		set(o, i, box.h ? box : (struct rect){0});
		ret_rects[count++] = slice;
		if (rect_area(&slice) >= pixels)
			break;
		pixels -= rect_area(&slice);
	}
	return count;
}
