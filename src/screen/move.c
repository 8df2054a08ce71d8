/*
 * 1. Anchors: stretches of a row that begin at an edge and whose first pixels have a hash of a
 *    certain kind, so that the same stretches are taken wherever they lie. Those of the old picture
 *    go into a table.
 * 2. Votes: an anchor of the new picture that the old one has exactly once votes for the distance
 *    between the two.
 * 3. For each of the distances with most votes: the new picture is cut into cells; a cell is a
 *    gain when more of its rows become right by the move than wrong. The best rectangles of cells
 *    are fitted to the pixel.
 */
#include "screen/move.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	HEAD_PX = 8,     /* decide whether a stretch is an anchor */
	STRETCH_PX = 32, /* two glyphs: one is on the screen many times */
	ANCHORS_LOG = 16,
	ANCHORS_MIN_LOG = 8,
	PROBES_MAX = 8,
	VOTES_LOG = 12,
	VOTES_MIN = 4,
	VOTES_PART = 8,    /* of the winner's, for the others: each costs a look at every pixel */
	DISTANCES_MAX = 3, /* in one picture: a page and what stands beside it */
	CHANGED_MIN_PX = 2048,       /* less is not searched */
	GAIN_MIN_PX = 1024,          /* less is no cheaper as a copy */
	SPARSE_FROM_PX = 256 * 1024, /* of larger areas every fourth new row votes */
	SPARSE_STEP = 4,
	CELL_PX = 16,
	PIXEL_BYTES = 3,       /* that count */
	CELLS_MAX = 16 * 1024, /* of an area; larger cells when it has more */
};

struct anchor {
	uint32_t hash; /* 0: free */
	uint16_t x, y; /* x AMBIGUOUS: more than one place */
};
static const uint16_t AMBIGUOUS = UINT16_MAX;

struct vote {
	int16_t dx, dy; /* new minus old */
	uint32_t count; /* 0: free */
};

struct moves {
	struct anchor anchors[1 << ANCHORS_LOG];
	unsigned log; /* of the part of anchors that is in use */
	struct vote votes[1 << VOTES_LOG];
	int8_t cells[CELLS_MAX];         /* gains; negative: not to be moved */
	int32_t sums[2 * CELLS_MAX + 2]; /* of the cells above and left of each corner */
	uint16_t heights[CELLS_MAX];     /* of cells that can move, upwards from a row */
	uint16_t starts[CELLS_MAX];      /* columns, each with a higher one than the one before */
	struct rect changed[MOVE_VIEWS_MAX];
	struct rect avoid;
	struct image *shown;
	struct copy *copies;
	size_t count;
	uint64_t area_left;
};

int
moves_new(struct moves **ret_moves)
{
	*ret_moves = calloc(1, sizeof **ret_moves);
	return *ret_moves ? 0 : -ENOMEM;
}

void
moves_free(struct moves *moves)
{
	free(moves);
}

struct rect
move_along(const struct copy *copy, const struct rect *rect)
{
	struct rect from = {copy->from_x, copy->from_y, copy->to.w, copy->to.h};
	struct rect part = rect_common(&from, rect);
	if (part.w) {
		part.x = (uint16_t)(part.x - from.x + copy->to.x);
		part.y = (uint16_t)(part.y - from.y + copy->to.y);
	}
	return part;
}

void
move_copy(struct image *image, const struct copy *copy)
{
	size_t bytes = (size_t)copy->to.w * IMAGE_PIXEL_BYTES;
	for (size_t i = 0; i < copy->to.h; i++) {
		size_t row = copy->to.y > copy->from_y ? copy->to.h - 1 - i : i;
		memmove(image_at(image, copy->to.x, copy->to.y + row),
			image_at(image, copy->from_x, copy->from_y + row), bytes);
	}
}

/* ---- anchors ---- */

static uint64_t
two_pixels(const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return v & 0x00ffffff00ffffff;
}

static uint64_t
mix(uint64_t h, const uint8_t *p, size_t pixels)
{
	for (size_t i = 0; i < pixels; i += 2)
		h = (h ^ two_pixels(p + i * IMAGE_PIXEL_BYTES)) * 0x9e3779b97f4a7c15;
	return h ^ h >> 32;
}

static int
edge(const uint8_t *p)
{
	uint32_t here, before;
	memcpy(&here, p, sizeof here);
	memcpy(&before, p - IMAGE_PIXEL_BYTES, sizeof before);
	return ((here ^ before) & 0xffffff) != 0;
}

typedef void anchor_fn(struct moves *m, uint32_t hash, uint16_t x, uint16_t y);

/* Tells the anchors of every step-th row of the rectangle, which is part of a larger image whose
 * pixel x, y is pixels. */
static void
scan(struct moves *m, const struct image *image, struct rect at, uint16_t x, uint16_t y,
	size_t step, anchor_fn *tell)
{
	for (size_t row = 0; row < at.h; row += step) {
		const uint8_t *p = image_at(image, at.x, at.y + row);
		for (size_t i = 1; i + STRETCH_PX <= at.w; i++) {
			const uint8_t *q = p + i * IMAGE_PIXEL_BYTES;
			if (!edge(q))
				continue;
			uint64_t head = mix(1, q, HEAD_PX);
			if (head & 7)
				continue;
			uint64_t hash =
				mix(head, q + HEAD_PX * IMAGE_PIXEL_BYTES, STRETCH_PX - HEAD_PX);
			tell(m, (uint32_t)hash | 1, (uint16_t)(x + i), (uint16_t)(y + row));
		}
	}
}

/* The place of a hash, or a free one, or NULL: full around there. */
static struct anchor *
anchor(struct moves *m, uint32_t hash)
{
	uint32_t mask = (1u << m->log) - 1, at = hash >> 1;
	for (int i = 0; i < PROBES_MAX; i++, at++) {
		struct anchor *a = &m->anchors[at & mask];
		if (a->hash == 0 || a->hash == hash)
			return a;
	}
	return NULL;
}

static void
remember(struct moves *m, uint32_t hash, uint16_t x, uint16_t y)
{
	struct anchor *a = anchor(m, hash);
	if (a && a->hash == 0)
		*a = (struct anchor){hash, x, y};
	else if (a)
		a->x = AMBIGUOUS;
}

static void
vote(struct moves *m, uint32_t hash, uint16_t x, uint16_t y)
{
	const struct anchor *a = anchor(m, hash);
	if (!a || a->hash == 0 || a->x == AMBIGUOUS || (a->x == x && a->y == y))
		return;
	int16_t dx = (int16_t)(x - a->x), dy = (int16_t)(y - a->y);
	uint32_t at = ((uint32_t)(uint16_t)dx << 16 | (uint16_t)dy) * 0x9e3779b1u >> 8;
	for (int i = 0; i < PROBES_MAX; i++, at++) {
		struct vote *v = &m->votes[at & ((1 << VOTES_LOG) - 1)];
		if (v->count == 0)
			*v = (struct vote){dx, dy, 0};
		if (v->dx == dx && v->dy == dy) {
			v->count++;
			return;
		}
	}
}

/* ---- cells ---- */

/* One distance in one area. */
struct shift {
	const struct move_view *view;
	struct rect at; /* where the move can lead to: inside the area, from inside the screen */
	int dx, dy;
	size_t cell, columns, rows; /* cell: pixels of a side */
};

static const uint8_t *
fresh(const struct shift *s, size_t x, size_t y)
{
	return image_at(&s->view->image, x - s->view->area.x, y - s->view->area.y);
}

static const uint8_t *
source(const struct moves *m, const struct shift *s, size_t x, size_t y)
{
	return image_at(m->shown, (size_t)((int)x - s->dx), (size_t)((int)y - s->dy));
}

static struct rect
cell_rect(const struct shift *s, size_t column, size_t row)
{
	size_t x = column * s->cell, y = row * s->cell, w = s->at.w - x, h = s->at.h - y;
	return (struct rect){(uint16_t)(s->at.x + x), (uint16_t)(s->at.y + y),
		(uint16_t)(w < s->cell ? w : s->cell), (uint16_t)(h < s->cell ? h : s->cell)};
}

/* Rows that the move makes right less those it makes wrong; negative also when it makes most of
 * them neither: then the cell lies across an edge of what moved, or was painted. */
static int
cell_gain(const struct moves *m, const struct shift *s, struct rect r)
{
	int gain = 0, right = 0;
	size_t bytes = (size_t)r.w * IMAGE_PIXEL_BYTES;
	for (size_t y = r.y; y < (size_t)r.y + r.h; y++) {
		const uint8_t *want = fresh(s, r.x, y);
		int moved = memcmp(want, source(m, s, r.x, y), bytes) == 0,
		    stays = memcmp(want, image_at(m->shown, r.x, y), bytes) == 0;
		gain += moved - stays;
		right += moved;
	}
	if (right * 2 < r.h)
		return -1;
	return gain > INT8_MAX ? INT8_MAX : gain < INT8_MIN ? INT8_MIN : gain;
}

static void
sum_up(struct moves *m, const struct shift *s)
{
	size_t stride = s->columns + 1;
	memset(m->sums, 0, stride * sizeof m->sums[0]);
	for (size_t row = 0; row < s->rows; row++) {
		int32_t *here = m->sums + (row + 1) * stride, *above = here - stride;
		here[0] = 0;
		for (size_t column = 0; column < s->columns; column++) {
			int8_t cell = m->cells[row * s->columns + column];
			here[column + 1] = here[column] + above[column + 1] - above[column] +
					   (cell > 0 ? cell : 0);
		}
	}
}

static int32_t
sum(const struct moves *m, const struct shift *s, struct rect cells)
{
	size_t stride = s->columns + 1;
	const int32_t *top = m->sums + cells.y * stride + cells.x, *bottom = top + cells.h * stride;
	return bottom[cells.w] - bottom[0] - top[cells.w] + top[0];
}

/* The rectangle of cells with the most to gain, none of which the move would harm. The candidates
 * stand on a row and cannot be higher or wider: each ends where the heights above that row fall. */
static struct rect
best(struct moves *m, const struct shift *s, int32_t *ret_gain)
{
	struct rect found = {0};
	*ret_gain = 0;
	sum_up(m, s);
	memset(m->heights, 0, s->columns * sizeof m->heights[0]);
	for (size_t row = 0; row < s->rows; row++) {
		size_t open = 0;
		for (size_t column = 0; column <= s->columns; column++) {
			uint16_t height = 0;
			if (column < s->columns && m->cells[row * s->columns + column] >= 0)
				height = (uint16_t)(m->heights[column] + 1);
			while (open > 0 && m->heights[m->starts[open - 1]] >= height) {
				uint16_t high = m->heights[m->starts[--open]];
				size_t left = open > 0 ? m->starts[open - 1] + 1u : 0;
				struct rect cells = {(uint16_t)left, (uint16_t)(row + 1 - high),
					(uint16_t)(column - left), high};
				int32_t gain = sum(m, s, cells);
				if (gain > *ret_gain) {
					found = cells;
					*ret_gain = gain;
				}
			}
			if (column < s->columns) {
				m->heights[column] = height;
				m->starts[open++] = (uint16_t)column;
			}
		}
	}
	return found;
}

/* Cells that the rectangle of pixels touches are out of the search. */
static void
spend(struct moves *m, const struct shift *s, const struct rect *r)
{
	size_t x = (size_t)r->x - s->at.x, y = (size_t)r->y - s->at.y, x0 = x / s->cell,
	       y0 = y / s->cell;
	size_t x1 = (x + r->w - 1) / s->cell, y1 = (y + r->h - 1) / s->cell;
	for (size_t row = y0; row <= y1; row++)
		memset(&m->cells[row * s->columns + x0], -1, x1 - x0 + 1);
}

/* The same as cell_gain for a line, in pixels. *ret_all: the move makes all of them right. */
static int
line_gain(const struct moves *m, const struct shift *s, struct rect r, int *ret_all)
{
	int moved = 0, stays = 0;
	for (size_t y = r.y; y < (size_t)r.y + r.h; y++) {
		const uint8_t *want = fresh(s, r.x, y), *from = source(m, s, r.x, y),
			      *old = image_at(m->shown, r.x, y);
		for (size_t i = 0; i < (size_t)r.w * IMAGE_PIXEL_BYTES; i += IMAGE_PIXEL_BYTES) {
			moved += memcmp(want + i, from + i, PIXEL_BYTES) == 0;
			stays += memcmp(want + i, old + i, PIXEL_BYTES) == 0;
		}
	}
	*ret_all = moved == r.w * r.h;
	return moved - stays;
}

enum side {
	TOP,
	BOTTOM,
	LEFT,
	RIGHT
};

/* The outermost line of a rectangle on one side. */
static struct rect
border(struct rect r, enum side side)
{
	if (side == BOTTOM)
		r.y = (uint16_t)(r.y + r.h - 1);
	if (side == RIGHT)
		r.x = (uint16_t)(r.x + r.w - 1);
	if (side == TOP || side == BOTTOM)
		r.h = 1;
	else
		r.w = 1;
	return r;
}

/* One side moved by one line, outwards (by 1) or inwards (by -1). */
static struct rect
moved_side(struct rect r, enum side side, int by)
{
	if (side == TOP)
		r.y = (uint16_t)(r.y - by);
	if (side == LEFT)
		r.x = (uint16_t)(r.x - by);
	if (side == TOP || side == BOTTOM)
		r.h = (uint16_t)(r.h + by);
	else
		r.w = (uint16_t)(r.w + by);
	return r;
}

static int
room(const struct shift *s, struct rect r, enum side side)
{
	return side == TOP      ? r.y > s->at.y
	       : side == LEFT   ? r.x > s->at.x
	       : side == BOTTOM ? r.y + r.h < s->at.y + s->at.h
				: r.x + r.w < s->at.x + s->at.w;
}

static int
clear(const struct rect *r, const struct rect *others, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (rect_overlap(r, &others[i]))
			return 0;
	return 1;
}

/* From whole cells to the pixel: each side gives up lines for which the move does nothing, or takes
 * those that it makes right and that none of the others has. */
static struct rect
fit(const struct moves *m, const struct shift *s, struct rect r, const struct rect *others,
	size_t count)
{
	for (enum side side = TOP; side <= RIGHT; side++) {
		int all, shrunk = 0;
		while ((side <= BOTTOM ? r.h : r.w) > 1 && shrunk < (int)s->cell &&
			(line_gain(m, s, border(r, side), &all) <= 0 && !all)) {
			r = moved_side(r, side, -1);
			shrunk++;
		}
		for (size_t i = 0; shrunk == 0 && i < s->cell && room(s, r, side); i++) {
			struct rect larger = moved_side(r, side, 1);
			if (!clear(&larger, others, count) ||
				(line_gain(m, s, border(larger, side), &all) <= 0 && !all))
				break;
			r = larger;
		}
	}
	return r;
}

/* Where the move can lead to inside the rectangle; 0 when nowhere. */
static int
reach(struct shift *s, struct rect r, const struct image *shown)
{
	int x0 = r.x > s->dx ? r.x : s->dx, y0 = r.y > s->dy ? r.y : s->dy;
	int x1 = r.x + r.w, y1 = r.y + r.h;
	x1 = x1 < shown->width + s->dx ? x1 : shown->width + s->dx;
	y1 = y1 < shown->height + s->dy ? y1 : shown->height + s->dy;
	if (x0 >= x1 || y0 >= y1)
		return 0;
	s->at = (struct rect){(uint16_t)x0, (uint16_t)y0, (uint16_t)(x1 - x0), (uint16_t)(y1 - y0)};
	for (s->cell = CELL_PX;; s->cell *= 2) {
		s->columns = (s->at.w + s->cell - 1) / s->cell;
		s->rows = (s->at.h + s->cell - 1) / s->cell;
		if (s->columns * s->rows <= CELLS_MAX)
			return 1;
	}
}

/* Of rectangles that all get what is dx, dy before them: one that none of the others reads, which
 * can be written first. There is always one, when they are disjoint. */
static size_t
unread(const struct rect *rects, size_t count, int dx, int dy)
{
	for (size_t i = 0; i < count; i++) {
		const struct rect *w = &rects[i];
		size_t k = 0;
		for (; k < count; k++) {
			const struct rect *r = &rects[k];
			if (k != i && r->x - dx < w->x + w->w && w->x < r->x - dx + r->w &&
				r->y - dy < w->y + w->h && w->y < r->y - dy + r->h)
				break;
		}
		if (k == count)
			return i;
	}
	return 0;
}

/* Disjoint rectangles, at most max, best first. */
static size_t
choose(struct moves *m, const struct shift *s, struct rect *ret_to, size_t max)
{
	size_t count = 0;
	for (size_t row = 0; row < s->rows; row++)
		for (size_t column = 0; column < s->columns; column++)
			m->cells[row * s->columns + column] =
				(int8_t)cell_gain(m, s, cell_rect(s, column, row));
	while (count < max) {
		int32_t gain;
		struct rect cells = best(m, s, &gain);
		if (gain * (int64_t)s->cell < GAIN_MIN_PX)
			break;
		struct rect to = rect_union(cell_rect(s, cells.x, cells.y),
			cell_rect(s, cells.x + cells.w - 1u, cells.y + cells.h - 1u));
		spend(m, s, &to);
		to = fit(m, s, to, ret_to, count);
		spend(m, s, &to);
		ret_to[count++] = to;
	}
	return count;
}

static int
allowed(const struct moves *m, const struct copy *copy)
{
	const struct rect *to = &copy->to,
			  from = {copy->from_x, copy->from_y, copy->to.w, copy->to.h};
	return (uint64_t)to->w * to->h <= m->area_left && !rect_overlap(to, &m->avoid) &&
	       !rect_overlap(&from, &m->avoid);
}

static void
try_shift(struct moves *m, const struct shift *s)
{
	struct rect to[MOVE_COPIES_MAX];
	size_t left = choose(m, s, to, MOVE_COPIES_MAX - m->count);
	while (left > 0) {
		size_t i = unread(to, left, s->dx, s->dy);
		struct copy copy = {
			to[i], (uint16_t)(to[i].x - s->dx), (uint16_t)(to[i].y - s->dy)};
		to[i] = to[--left];
		if (!allowed(m, &copy))
			continue;
		m->area_left -= (uint64_t)copy.to.w * copy.to.h;
		m->copies[m->count++] = copy;
		move_copy(m->shown, &copy);
	}
}

/* ---- the search ---- */

/* Box around the pixels of a view that differ from shown, in steps of rows and of 16 px. */
static struct rect
changed(const struct move_view *view, const struct image *shown)
{
	enum {
		STEP_PX = 16
	};
	size_t x0 = view->area.w, x1 = 0, y0 = view->area.h, y1 = 0;
	for (size_t y = 0; y < view->area.h; y++) {
		const uint8_t *a = image_at(&view->image, 0, y),
			      *b = image_at(shown, view->area.x, view->area.y + y);
		if (memcmp(a, b, (size_t)view->area.w * IMAGE_PIXEL_BYTES) == 0)
			continue;
		y0 = y < y0 ? y : y0;
		y1 = y + 1;
		for (size_t x = 0; x < view->area.w; x += STEP_PX) {
			size_t end = x + STEP_PX < view->area.w ? x + STEP_PX : view->area.w;
			if (x >= x0 && end <= x1)
				continue;
			if (memcmp(a + x * IMAGE_PIXEL_BYTES, b + x * IMAGE_PIXEL_BYTES,
				    (end - x) * IMAGE_PIXEL_BYTES) == 0)
				continue;
			x0 = x < x0 ? x : x0;
			x1 = end > x1 ? end : x1;
		}
	}
	if (y1 == 0)
		return (struct rect){0};
	return (struct rect){(uint16_t)(view->area.x + x0), (uint16_t)(view->area.y + y0),
		(uint16_t)(x1 - x0), (uint16_t)(y1 - y0)};
}

static void
count_votes(struct moves *m, const struct move_view *views, size_t n, uint64_t area)
{
	m->log = ANCHORS_MIN_LOG;
	while (m->log < ANCHORS_LOG && (uint64_t)1 << m->log < area / 16)
		m->log++;
	memset(m->anchors, 0, sizeof m->anchors[0] << m->log);
	memset(m->votes, 0, sizeof m->votes);
	for (size_t i = 0; i < n; i++)
		scan(m, m->shown, m->changed[i], m->changed[i].x, m->changed[i].y, 1, remember);
	for (size_t i = 0; i < n; i++) {
		struct rect r = m->changed[i], at = r;
		at.x = (uint16_t)(r.x - views[i].area.x);
		at.y = (uint16_t)(r.y - views[i].area.y);
		scan(m, &views[i].image, r.w ? at : r, r.x, r.y,
			area > SPARSE_FROM_PX ? SPARSE_STEP : 1, vote);
	}
}

static struct vote
take_winner(struct moves *m)
{
	struct vote *best = &m->votes[0];
	for (size_t i = 1; i < 1 << VOTES_LOG; i++)
		if (m->votes[i].count > best->count)
			best = &m->votes[i];
	struct vote winner = *best;
	best->count = 0;
	return winner;
}

/* One distance in all views: parts of one thing that moved may lie in several. */
static void
try_distance(struct moves *m, const struct move_view *views, size_t count, struct vote v)
{
	struct rect at[MOVE_VIEWS_MAX];
	size_t left[MOVE_VIEWS_MAX];
	for (size_t i = 0; i < count; i++) {
		at[i] = views[i].area;
		left[i] = i;
	}
	while (count > 0) {
		size_t i = unread(at, count, v.dx, v.dy), k = left[i];
		struct shift s = {.view = &views[k], .dx = v.dx, .dy = v.dy};
		at[i] = at[--count];
		left[i] = left[count];
		if (m->changed[k].w && reach(&s, m->changed[k], m->shown))
			try_shift(m, &s);
	}
}

size_t
moves_find(struct moves *m, const struct move_view *views, size_t view_count,
	const struct rect *avoid, struct image *shown,
	struct copy ret_copies[static MOVE_COPIES_MAX])
{
	uint64_t area = 0;
	assert(view_count <= MOVE_VIEWS_MAX);
	for (size_t i = 0; i < view_count; i++) {
		m->changed[i] = changed(&views[i], shown);
		area += (uint64_t)m->changed[i].w * m->changed[i].h;
	}
	if (area < CHANGED_MIN_PX)
		return 0;
	m->avoid = *avoid;
	m->shown = shown;
	m->copies = ret_copies;
	m->count = 0;
	m->area_left = (uint64_t)shown->width * shown->height;
	count_votes(m, views, view_count, area);
	uint32_t most = 0;
	for (int i = 0; i < DISTANCES_MAX; i++) {
		struct vote v = take_winner(m);
		most = v.count > most ? v.count : most;
		if (v.count < VOTES_MIN || v.count < most / VOTES_PART)
			break;
		try_distance(m, views, view_count, v);
	}
	return m->count;
}
