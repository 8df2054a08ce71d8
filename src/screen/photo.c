#include "screen/photo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	BLOCK_PX = 16,
	PAIRS = 2 * BLOCK_PX * (BLOCK_PX - 1), /* of neighbours in a block */
	SIDE_MIN = PHOTO_SIDE_MIN_PX / BLOCK_PX,
	EQUAL_PHOTO_PERCENT = 40, /* of the pairs; less: a photograph */
	EQUAL_FLAT_PERCENT = 90,  /* more, one way: flat */
	EQUAL_EDGE_PERCENT = 40,  /* along an edge; less: still photograph */
	COLOURS = 256,            /* told apart by a hash */
	COLOURS_PHOTO = 56,       /* in a block */
	GROUND_MAX = 48,          /* pixels of one colour; more: something on a ground */
	COLOURS_SMOOTH = 16,
	STEP = 16,          /* between neighbours, of one colour: seen as an edge */
	CLOSED_MIN = 6,     /* of 8 blocks around */
	PHOTO_PART = 4,     /* one of so many blocks must be */
	WORK_MAX = 1 << 26, /* blocks summed up in search of them, on screens of any size */
};

enum kind {
	NOTHING, /* has not changed, or is taken */
	OTHER,
	FLAT,
	SMOOTH,
	PHOTO,
};

/* What a block adds to a rectangle. */
static const int32_t worth[] = {
	[NOTHING] = -1000000, [OTHER] = -1000000, [FLAT] = -1, [SMOOTH] = 1, [PHOTO] = 2};

int
photo_init(struct photo *photo, uint32_t width, uint32_t height)
{
	struct photo p = {.columns = width / BLOCK_PX, .rows = height / BLOCK_PX};
	size_t count = p.columns * p.rows + 1;
	p.kinds = calloc(count, 1);
	p.closed = calloc(count, 1);
	p.sums = calloc(p.columns + 1, sizeof *p.sums);
	if (!p.kinds || !p.closed || !p.sums) {
		photo_fini(&p);
		return -ENOMEM;
	}
	*photo = p;
	return 0;
}

void
photo_fini(struct photo *photo)
{
	free(photo->kinds);
	free(photo->closed);
	free(photo->sums);
	*photo = (struct photo){0};
}

/* ---- one block ---- */

struct look {
	unsigned across, down;     /* pairs that are equal */
	unsigned edges;            /* pairs with a step */
	uint16_t colours[COLOURS]; /* pixels, by a hash */
};

static int
step(const uint8_t *a, const uint8_t *b)
{
	return abs(a[0] - b[0]) > STEP || abs(a[1] - b[1]) > STEP || abs(a[2] - b[2]) > STEP;
}

static uint32_t
colour(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
}

static size_t
hash(uint32_t c)
{
	return c * UINT32_C(2654435761) >> 24;
}

static void
look_at(struct look *l, const struct image *image, size_t x0, size_t y0)
{
	for (size_t y = 0; y < BLOCK_PX; y++) {
		const uint8_t *p = image_at(image, x0, y0 + y), *above = p - image->stride;
		for (size_t x = 0; x < BLOCK_PX; x++, p += 4, above += 4) {
			uint32_t c = colour(p);
			l->colours[hash(c)]++;
			if (x > 0) {
				l->across += c == colour(p - 4);
				l->edges += (unsigned)step(p, p - 4);
			}
			if (y > 0) {
				l->down += c == colour(above);
				l->edges += (unsigned)step(p, above);
			}
		}
	}
}

static enum kind
kind(const struct image *image, size_t x, size_t y)
{
	struct look l = {0};
	unsigned colours = 0, ground = 0;
	look_at(&l, image, x, y);
	for (int i = 0; i < COLOURS; i++) {
		colours += l.colours[i] > 0;
		ground = l.colours[i] > ground ? l.colours[i] : ground;
	}
	if (colours >= COLOURS_PHOTO && ground <= GROUND_MAX &&
		(l.across + l.down) * 100 < PAIRS * EQUAL_PHOTO_PERCENT)
		return PHOTO;
	if (l.edges > 0)
		return OTHER;
	unsigned more = l.across > l.down ? l.across : l.down;
	return colours >= COLOURS_SMOOTH && more * 200 < PAIRS * EQUAL_FLAT_PERCENT ? SMOOTH : FLAT;
}

/* ---- all of them ---- */

static void
look_all(struct photo *p, const struct image *image, const struct rect *r)
{
	size_t x0 = (r->x + BLOCK_PX - 1u) / BLOCK_PX, x1 = (size_t)(r->x + r->w) / BLOCK_PX;
	size_t y0 = (r->y + BLOCK_PX - 1u) / BLOCK_PX, y1 = (size_t)(r->y + r->h) / BLOCK_PX;
	for (size_t y = y0; y < y1; y++)
		for (size_t x = x0; x < x1; x++)
			p->kinds[y * p->columns + x] =
				(uint8_t)kind(image, x * BLOCK_PX, y * BLOCK_PX);
}

/* A single block with an edge in the middle of a photograph is part of it. */
static void
close_holes(struct photo *p)
{
	memcpy(p->closed, p->kinds, p->columns * p->rows);
	for (size_t y = 1; y + 1 < p->rows; y++)
		for (size_t x = 1; x + 1 < p->columns; x++) {
			size_t i = y * p->columns + x;
			unsigned around = 0;
			for (size_t k = 0; p->kinds[i] == OTHER && k < 9; k++)
				around += p->kinds[i + (k / 3) * p->columns + k % 3 - p->columns -
						   1] >= SMOOTH;
			if (around >= CLOSED_MIN)
				p->closed[i] = SMOOTH;
		}
	memcpy(p->kinds, p->closed, p->columns * p->rows);
}

/* In blocks; the last ones not included. */
struct box {
	size_t x0, y0, x1, y1;
};

/* Around all photographs: nothing is looked for elsewhere. */
static struct box
bounds(const struct photo *p)
{
	struct box b = {p->columns, p->rows, 0, 0};
	for (size_t y = 0; y < p->rows; y++)
		for (size_t x = 0; x < p->columns; x++)
			if (p->kinds[y * p->columns + x] >= SMOOTH) {
				b.x0 = x < b.x0 ? x : b.x0;
				b.x1 = x >= b.x1 ? x + 1 : b.x1;
				b.y0 = y < b.y0 ? y : b.y0;
				b.y1 = y + 1;
			}
	return b;
}

/* The rectangle that is worth most (Kadane's algorithm, over all pairs of rows). Its worth. */
static int32_t
best(struct photo *p, const struct box *in, struct box *ret)
{
	int32_t most = 0;
	for (size_t top = in->y0; top < in->y1; top++) {
		memset(p->sums, 0, p->columns * sizeof *p->sums);
		for (size_t y = top; y < in->y1; y++) {
			int32_t sum = 0;
			size_t from = in->x0;
			for (size_t x = in->x0; x < in->x1; x++) {
				int32_t *column = &p->sums[x];
				/* far below anything that could make up for it */
				if (*column > worth[OTHER])
					*column += worth[p->kinds[y * p->columns + x]];
				if (sum <= 0) {
					sum = 0;
					from = x;
				}
				sum += *column;
				if (sum > most) {
					most = sum;
					*ret = (struct box){from, top, x + 1, y + 1};
				}
			}
		}
	}
	return most;
}

/* Takes the blocks; 1 when it is large enough. */
static int
take(struct photo *p, const struct box *b)
{
	size_t w = b->x1 - b->x0, h = b->y1 - b->y0;
	for (size_t y = b->y0; y < b->y1; y++)
		memset(p->kinds + y * p->columns + b->x0, NOTHING, w);
	return w >= SIDE_MIN && h >= SIDE_MIN;
}

/* ---- the edges ---- */

/* A row or column of pixels. */
struct line {
	size_t count, equal, edges; /* neighbours */
	size_t ground;              /* of the commonest colour */
};

static struct line
look_along(const struct image *image, size_t x, size_t y, size_t count, size_t pitch)
{
	const uint8_t *p = image_at(image, x, y);
	uint16_t colours[COLOURS] = {0};
	struct line l = {.count = count};
	for (size_t i = 0; i < count; i++, p += pitch) {
		uint16_t *c = &colours[hash(colour(p))];
		l.ground = ++*c > l.ground ? *c : l.ground;
		l.equal += i > 0 && colour(p) == colour(p - pitch);
		l.edges += i > 0 && step(p, p - pitch);
	}
	return l;
}

static int
has_ground(const struct line *l)
{
	return l->ground * BLOCK_PX * BLOCK_PX > l->count * GROUND_MAX;
}

/* Few like neighbours. */
static int
goes_on(struct line l)
{
	return l.equal * 100 < l.count * EQUAL_EDGE_PERCENT && !has_ground(&l);
}

/* Part of a block that is a photograph for the most. */
static int
is_other(struct line l)
{
	return l.edges > 0 && has_ground(&l);
}

/* Not into the others. */
static int
is_free(const struct rect *r, const struct rect *others, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (rect_overlap(r, &others[i]))
			return 0;
	return 1;
}

enum side {
	LEFT,
	RIGHT,
	TOP,
	BOTTOM,
	SIDES
};

/* One line of pixels more on that side, or one less. */
static struct rect
move_side(struct rect r, enum side side, int by)
{
	if (side == LEFT)
		r.x = (uint16_t)(r.x - by);
	if (side == TOP)
		r.y = (uint16_t)(r.y - by);
	if (side == LEFT || side == RIGHT)
		r.w = (uint16_t)(r.w + by);
	else
		r.h = (uint16_t)(r.h + by);
	return r;
}

/* The outermost on that side. */
static struct line
look_at_side(const struct image *image, const struct rect *r, enum side side)
{
	if (side == LEFT || side == RIGHT)
		return look_along(
			image, side == LEFT ? r->x : r->x + r->w - 1u, r->y, r->h, image->stride);
	return look_along(
		image, r->x, side == TOP ? r->y : r->y + r->h - 1u, r->w, IMAGE_PIXEL_BYTES);
}

/* To where the photograph ends. others: may not be touched. */
static struct rect
adjust(const struct image *image, struct rect r, const struct rect *others, size_t count)
{
	for (unsigned i = 1; i < SIDES * BLOCK_PX; i++)
		if (is_other(look_at_side(image, &r, i % SIDES)))
			r = move_side(r, i % SIDES, -1);
	for (unsigned i = 1; i < SIDES * BLOCK_PX; i++) {
		struct rect more = move_side(r, i % SIDES, 1);
		/* beyond the upper left it wraps around */
		if (more.x <= r.x && more.y <= r.y &&
			rect_inside(&more, image->width, image->height) &&
			is_free(&more, others, count) &&
			goes_on(look_at_side(image, &more, i % SIDES)))
			r = more;
	}
	r.w &= 0xfffe;
	r.h &= 0xfffe;
	return r;
}

size_t
photo_find(struct photo *p, const struct image *image, const struct rect *changed, size_t count,
	struct rect ret_photos[static PHOTO_MAX])
{
	size_t found = 0;
	struct box b;
	memset(p->kinds, NOTHING, p->columns * p->rows);
	for (size_t i = 0; i < count; i++)
		look_all(p, image, &changed[i]);
	close_holes(p);
	struct box in = bounds(p);
	uint64_t high = in.y1 > in.y0 ? in.y1 - in.y0 : 0, work = high * high * p->columns / 2 + 1;
	for (uint64_t done = 0; done < WORK_MAX && found < PHOTO_MAX; done += work) {
		if (best(p, &in, &b) < SIDE_MIN * SIDE_MIN / 2)
			break;
		if (!take(p, &b))
			continue;
		ret_photos[found++] = (struct rect){(uint16_t)(b.x0 * BLOCK_PX),
			(uint16_t)(b.y0 * BLOCK_PX), (uint16_t)((b.x1 - b.x0) * BLOCK_PX),
			(uint16_t)((b.y1 - b.y0) * BLOCK_PX)};
	}
	for (size_t i = 0; i < found; i++) {
		struct rect mine = ret_photos[i];
		ret_photos[i] = (struct rect){0};
		ret_photos[i] = adjust(image, mine, ret_photos, found);
	}
	return found;
}
