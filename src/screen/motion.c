#include "screen/motion.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	TENTH_MS = 100,
	PAST_BITS = 8,
	MOVING_MIN = 3, /* tenths of the last PAST_BITS with a change */
	TILES_MIN = 4,  /* smaller films are cheap enough without */
	LARGE_MIN = 32, /* so many tiles are worth it */
	DOUBT_CHANGES = 2,
	SAMPLE_ROWS = 4,    /* every so many rows of a tile are looked at */
	EQUAL_PERCENT = 40, /* neighbours of the same colour: text has more, photographs less */
	SIDE_MIN_PX = 64,
};

int
motion_init(struct motion *motion, const struct damage *damage)
{
	struct motion m = {.tiles = (size_t)damage->columns * damage->rows};
	m.past = calloc(m.tiles, 1);
	m.area = calloc(m.tiles, sizeof *m.area);
	if (!m.past || !m.area) {
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
		if (!m->past[i])
			m->area[i] = (struct rect){0};
	}
}

static void
note_changes(struct motion *m, const struct damage *d)
{
	for (size_t i = 0; i < m->tiles; i++)
		if (d->changed[i].w) {
			m->past[i] |= 1;
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

/* The box around all tiles that look like photographs and have changed in so many tenths (0: just
 * now); empty when there are too few, or too far from each other. */
static struct rect
find_moving(const struct motion *m, const struct damage *d, const struct image *shown,
	int moving_min, size_t tiles_min)
{
	struct rect box = {0};
	size_t count = 0, left = SIZE_MAX, right = 0, top = SIZE_MAX, bottom = 0;
	for (size_t i = 0; i < m->tiles; i++) {
		if (__builtin_popcount(m->past[i]) < moving_min ||
			(moving_min == 0 && !d->changed[i].w) || !photograph(shown, &m->area[i]))
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

struct rect
motion_drop(struct motion *m)
{
	struct rect before = m->film;
	m->film = (struct rect){0};
	m->doubt = m->shown = m->anew = m->pending = 0;
	memset(m->past, 0, m->tiles);
	return before;
}

int
motion_playing(const struct motion *m)
{
	return m->film.w && !m->doubt;
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
	int changed = 0;
	for (size_t i = 0; i < m->tiles; i++) {
		struct rect *c = &d->changed[i];
		if (!c->w || !rect_overlap(c, &m->film))
			continue;
		changed = 1;
		if (rect_within(c, &m->film))
			*c = (struct rect){0};
	}
	if (!changed)
		return;
	m->pending = 1;
	m->changed = now;
	m->doubt -= m->doubt > 0;
}

/* The film is none any more. Returns it when the client has seen it; else damage has it back. */
static struct rect
end(struct motion *m, struct damage *d)
{
	struct rect before = m->film;
	int seen = m->shown;
	m->film = (struct rect){0};
	m->doubt = m->shown = m->anew = m->pending = 0;
	if (before.w && !seen)
		damage_put(d, &before);
	return seen ? before : m->film;
}

/* Another film than before, or the first, or perhaps one. */
static struct rect
change_film(
	struct motion *m, struct damage *d, const struct rect *found, int doubt, struct mono now)
{
	struct rect before = end(m, d);
	m->film = *found;
	m->doubt = doubt;
	m->pending = 1;
	m->changed = m->next = now;
	return before;
}

/* Which film there is now. */
static struct rect
find(struct motion *m, struct damage *d, const struct image *shown, struct mono now)
{
	struct rect found = find_moving(m, d, shown, MOVING_MIN, TILES_MIN);
	int doubt = 0;
	if (found.w) {
		m->doubt = 0;
	} else {
		found = find_moving(m, d, shown, 0, LARGE_MIN);
		doubt = 1 + DOUBT_CHANGES; /* with those that it is found by */
	}
	/* a film stays what it is while what moves lies inside it */
	if (found.w && !(m->film.w && rect_within(&found, &m->film)))
		return change_film(m, d, &found, doubt, now);
	return (struct rect){0};
}

struct rect
motion_look(struct motion *m, struct damage *d, const struct image *shown, struct mono now)
{
	struct rect before = {0};
	note_changes(m, d);
	if (!m->film.w || mono_diff_ms(m->tenth, now) >= TENTH_MS)
		before = find(m, d, shown, now);
	pass_time(m, now);
	if (!m->film.w)
		return before;
	take_changes(m, d, now);
	uint64_t still_ms = mono_diff_ms(m->changed, now);
	if (m->doubt && still_ms >= MOTION_DOUBT_MS)
		return end(m, d);
	if (still_ms < MOTION_STILL_MS)
		return before;
	before = end(m, d);
	motion_drop(m);
	return before;
}

int
motion_due(struct motion *m, struct mono now, struct rect *ret_film, int *ret_new)
{
	if (!motion_playing(m) || !m->pending || mono_before(now, m->next))
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
	struct mono at = m->doubt     ? mono_add_ms(m->changed, MOTION_DOUBT_MS)
			 : m->pending ? m->next
				      : mono_add_ms(m->changed, MOTION_STILL_MS);
	return mono_before(now, at) ? (int)((at.ns - now.ns + 999999) / 1000000) : 0;
}
