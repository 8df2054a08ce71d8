#include "screen/motion.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	TENTH_MS = 100,
	PAST_BITS = 8,
	MOVING_MIN = 3,      /* tenths of the last PAST_BITS with a change */
	TILES_MIN = 4,       /* smaller films are cheap enough without */
	LARGE_MIN = 32,      /* so many tiles are worth it */
	LARGE_TIMES_MIN = 3, /* as soon as they have changed so often */
	SAMPLE_ROWS = 4,     /* every so many rows of a tile are looked at */
	EQUAL_PERCENT = 40,  /* neighbours of the same colour: text has more, photographs less */
	SIDE_MIN_PX = 64,
};

int
motion_init(struct motion *motion, const struct damage *damage)
{
	struct motion m = {.tiles = (size_t)damage->columns * damage->rows};
	m.past = calloc(m.tiles, 1);
	m.times = calloc(m.tiles, 1);
	m.area = calloc(m.tiles, sizeof *m.area);
	if (!m.past || !m.times || !m.area) {
		motion_fini(&m);
		return -ENOMEM;
	}
	*motion = m;
	return 0;
}

void
motion_fini(struct motion *motion)
{
	free(motion->past);
	free(motion->times);
	free(motion->area);
	*motion = (struct motion){0};
}

/* Few neighbours have the same colour. */
static int
photograph(const struct image *image, const struct rect *r)
{
	size_t equal = 0, count = 0;
	for (size_t y = 0; y < r->h; y += SAMPLE_ROWS) {
		const uint8_t *p = image_at(image, r->x, r->y + y);
		for (size_t x = 1; x < r->w; x++, count++, p += IMAGE_PIXEL_BYTES)
			equal += memcmp(p, p + IMAGE_PIXEL_BYTES, 3) == 0;
	}
	return count > 0 && equal * 100 < count * EQUAL_PERCENT;
}

static void
pass_time(struct motion *m, struct mono now)
{
	uint64_t tenths = mono_diff_ms(m->tenth, now) / TENTH_MS;
	if (tenths == 0)
		return;
	m->tenth = mono_add_ms(m->tenth, tenths * TENTH_MS);
	for (size_t i = 0; i < m->tiles; i++) {
		m->past[i] = (uint8_t)(tenths < PAST_BITS ? m->past[i] << tenths : 0);
		if (!m->past[i]) {
			m->area[i] = (struct rect){0};
			m->times[i] = 0;
		}
	}
}

static void
note_changes(struct motion *m, const struct damage *d)
{
	for (size_t i = 0; i < m->tiles; i++)
		if (d->changed[i].w) {
			m->past[i] |= 1;
			if (m->times[i] < UINT8_MAX)
				m->times[i]++;
			m->area[i] = rect_union(m->area[i], d->changed[i]);
		}
}

/* The colours of a film have half the resolution: one more pixel where there is one. */
static void
make_even(uint16_t *at, uint16_t *side, uint16_t limit)
{
	if (*side % 2 == 0)
		return;
	if (*at + *side == limit && *at == 0) {
		--*side;
		return;
	}
	if (*at + *side == limit)
		--*at;
	++*side;
}

/* The box around all tiles that move like a film; empty when there are too few, or too far from
 * each other. */
static struct rect
find_moving(const struct motion *m, const struct damage *d, const struct image *shown,
	int moving_min, int times_min, size_t tiles_min)
{
	struct rect box = {0};
	size_t count = 0, left = SIZE_MAX, right = 0, top = SIZE_MAX, bottom = 0;
	for (size_t i = 0; i < m->tiles; i++) {
		if (__builtin_popcount(m->past[i]) < moving_min || m->times[i] < times_min ||
			!photograph(shown, &m->area[i]))
			continue;
		size_t column = i % d->columns, row = i / d->columns;
		left = column < left ? column : left;
		right = column > right ? column : right;
		top = row < top ? row : top;
		bottom = row > bottom ? row : bottom;
		box = rect_union(box, m->area[i]);
		count++;
	}
	if (count < tiles_min || count * 2 < (right - left + 1) * (bottom - top + 1))
		return (struct rect){0};
	make_even(&box.x, &box.w, d->width);
	make_even(&box.y, &box.h, d->height);
	return box.w < SIDE_MIN_PX || box.h < SIDE_MIN_PX ? (struct rect){0} : box;
}

static struct rect
find(const struct motion *m, const struct damage *d, const struct image *shown)
{
	struct rect moving = find_moving(m, d, shown, MOVING_MIN, 1, TILES_MIN);
	return moving.w ? moving : find_moving(m, d, shown, 1, LARGE_TIMES_MIN, LARGE_MIN);
}

struct rect
motion_drop(struct motion *m)
{
	struct rect before = m->film;
	m->film = (struct rect){0};
	m->shown = m->anew = m->pending = 0;
	memset(m->past, 0, m->tiles);
	memset(m->times, 0, m->tiles);
	return before;
}

void
motion_anew(struct motion *m)
{
	m->anew = 1;
}

/* What changed inside goes by the film. What changed across its border goes exactly, and the film's
 * next picture covers it again. */
static void
take_changes(struct motion *m, struct damage *d, struct mono now)
{
	for (size_t i = 0; i < m->tiles; i++) {
		struct rect *c = &d->changed[i];
		if (!c->w || !rect_overlap(c, &m->film))
			continue;
		m->pending = 1;
		m->changed = now;
		if (rect_within(c, &m->film))
			*c = (struct rect){0};
	}
}

/* Another film than before, or the first. */
static struct rect
change_film(struct motion *m, const struct rect *found, struct mono now)
{
	struct rect before = m->film;
	m->film = *found;
	m->shown = 0;
	m->changed = m->next = now;
	m->pending = 1;
	return before;
}

struct rect
motion_look(struct motion *m, struct damage *d, const struct image *shown, struct mono now)
{
	note_changes(m, d);
	struct rect before = {0};
	int tenth_over = mono_diff_ms(m->tenth, now) >= TENTH_MS;
	struct rect found = !m->film.w || tenth_over ? find(m, d, shown) : m->film;
	pass_time(m, now);
	/* a film stays what it is while what moves lies inside it */
	if (found.w && !(m->film.w && rect_within(&found, &m->film)))
		before = change_film(m, &found, now);
	if (!m->film.w)
		return before;
	take_changes(m, d, now);
	return mono_diff_ms(m->changed, now) >= MOTION_STILL_MS ? motion_drop(m) : before;
}

int
motion_due(struct motion *m, struct mono now, struct rect *ret_film, int *ret_new)
{
	if (!m->film.w || !m->pending || mono_before(now, m->next))
		return 0;
	*ret_film = m->film;
	*ret_new = !m->shown || m->anew;
	m->shown = 1;
	m->anew = m->pending = 0;
	m->next = mono_add_ms(now, MOTION_INTERVAL_MS);
	return 1;
}

int
motion_wait_ms(const struct motion *m, struct mono now)
{
	if (!m->film.w)
		return -1;
	struct mono at = m->pending ? m->next : mono_add_ms(m->changed, MOTION_STILL_MS);
	return mono_before(now, at) ? (int)((at.ns - now.ns + 999999) / 1000000) : 0;
}
