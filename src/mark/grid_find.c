#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "mark/grid.h"
#include "mark/solve.h"

enum {
	STEP_PX = SPECTRUM_PX / 2,
	PEAKS_MAX = 18,
	PAIRS_MAX = 8, /* kept of a block */
	BLOCKS_MAX = 400,
	SHAPE_PARAMETERS = 6, /* of a grid, without t */
	FIT_ROUNDS = 10,
};

static const double MIN_FREQUENCY = 4, MAX_FREQUENCY = 31;
static const double NEAR = 0.2; /* of a frequency: what perspective may change it */
/* log(1 + power) of the strongest of nine neighbours where there is only noise */
static const double NOISE = 1.35;

/* Two frequencies that could be the grid's: first across, second down. */
struct pair {
	double f[4];
	double score;
};

struct block {
	double x, y;
	struct pair pairs[PAIRS_MAX];
	size_t count;
};

static double
gain(const struct spectrum *s, double fx, double fy)
{
	return log1p(spectrum_near(s, fx, fy)) - NOISE;
}

/* Cells are square, and screens are not looked at from far aside. */
static double
shape(const struct pair *p)
{
	double a = hypot(p->f[0], p->f[1]), b = hypot(p->f[2], p->f[3]);
	double skew = (p->f[0] * p->f[2] + p->f[1] * p->f[3]) / (a * b), ratio = log(a / b);
	return exp(-ratio * ratio / 0.08 - skew * skew / 0.08);
}

static double
pair_score(const struct spectrum *s, const struct pair *p)
{
	const double *u = p->f, *v = p->f + 2;
	return shape(p) *
	       (gain(s, u[0], u[1]) + gain(s, v[0], v[1]) + gain(s, u[0] + v[0], u[1] + v[1]) +
		       gain(s, u[0] - v[0], u[1] - v[1]) +
		       0.5 * (gain(s, 2 * u[0], 2 * u[1]) + gain(s, 2 * v[0], 2 * v[1])));
}

/* a and b as a pair whose first goes right and whose second goes down. */
static struct pair
pair_of(const struct peak *a, const struct peak *b)
{
	const struct peak *u = fabs(a->x) * hypot(b->x, b->y) > fabs(b->x) * hypot(a->x, a->y) ? a
											       : b,
			  *v = u == a ? b : a;
	double su = u->x < 0 ? -1 : 1, sv = v->y < 0 ? -1 : 1;
	return (struct pair){.f = {su * u->x, su * u->y, sv * v->x, sv * v->y}};
}

static void
keep(struct block *b, const struct pair *pair)
{
	size_t at = b->count < PAIRS_MAX ? b->count++ : PAIRS_MAX;
	for (; at > 0 && b->pairs[at - 1].score < pair->score; at--)
		if (at < PAIRS_MAX)
			b->pairs[at] = b->pairs[at - 1];
	if (at < PAIRS_MAX)
		b->pairs[at] = *pair;
}

static int
fits_size(const struct peak *p)
{
	double f = hypot(p->x, p->y);
	return f >= MIN_FREQUENCY && f <= MAX_FREQUENCY;
}

static void
offer(const struct spectrum *s, struct block *b, const struct peak *one, const struct peak *other)
{
	if (!fits_size(one) || !fits_size(other))
		return;
	struct pair pair = pair_of(one, other);
	pair.score = shape(&pair) > 0.2 ? pair_score(s, &pair) : 0;
	if (pair.score > 1)
		keep(b, &pair);
}

static void
block_pairs(const struct spectrum *s, struct block *b)
{
	struct peak peaks[PEAKS_MAX];
	size_t count = spectrum_peaks(s, peaks, PEAKS_MAX);
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++) {
			offer(s, b, &peaks[i], &peaks[j]);
			/* or these are its diagonals, which text and rulers disturb less */
			offer(s, b,
				&(struct peak){(peaks[i].x + peaks[j].x) / 2,
					(peaks[i].y + peaks[j].y) / 2, 0},
				&(struct peak){(peaks[i].x - peaks[j].x) / 2,
					(peaks[i].y - peaks[j].y) / 2, 0});
		}
}

static int
blocks_make(const struct plane *flat, struct block *blocks, size_t *ret_count)
{
	struct spectrum *s = mem_array(1, sizeof *s);
	int across = flat->width <= SPECTRUM_PX ? 1 : (flat->width - 1) / STEP_PX,
	    down = flat->height <= SPECTRUM_PX ? 1 : (flat->height - 1) / STEP_PX;
	size_t count = 0;
	int r = s ? 0 : -ENOMEM;
	for (int i = 0; r == 0 && i < across * down && count < BLOCKS_MAX; i++) {
		struct block *b = &blocks[count++];
		b->x = (i % across + 0.5) * flat->width / across;
		b->y = (i / across + 0.5) * flat->height / down;
		b->count = 0;
		r = spectrum_make(flat, (int)b->x, (int)b->y, s);
		if (r == 0)
			block_pairs(s, b);
	}
	free(s);
	*ret_count = count;
	return r;
}

/* Relative. */
static double
difference(const double *a, const double *b)
{
	double sum = 0, size = 0;
	for (int i = 0; i < 4; i++) {
		sum += (a[i] - b[i]) * (a[i] - b[i]);
		size += a[i] * a[i];
	}
	return sqrt(sum / size);
}

/* What all blocks have that looks like this. */
static double
support(const struct block *blocks, size_t count, const struct pair *pair)
{
	double sum = 0;
	for (size_t i = 0; i < count; i++) {
		double best = 0;
		for (size_t k = 0; k < blocks[i].count; k++) {
			double d = difference(pair->f, blocks[i].pairs[k].f) / NEAR;
			best = fmax(best, blocks[i].pairs[k].score * exp(-d * d));
		}
		sum += best;
	}
	return sum;
}

/* ---- a grid through the blocks' pairs ---- */

/* Cells per part of the picture at x, y: the derivative of grid_cell, as frequencies. */
static void
slope(const struct grid *grid, const double *p, double x, double y, double ret_f[static 4])
{
	x = (x - grid->middle_x) / grid->scale;
	y = (y - grid->middle_y) / grid->scale;
	double d = 1 + p[4] * x + p[5] * y;
	for (int i = 0; i < 4; i++) {
		const double *a = p + i / 2 * 2;
		double cell = (a[0] * x + a[1] * y) / d;
		ret_f[i] = (a[i % 2] - cell * p[4 + i % 2]) / d * SPECTRUM_PX / grid->scale;
	}
}

static void
add_block(struct solve *s, const struct grid *grid, const struct block *b, double tolerance)
{
	double f[4], moved[4], rows[4][SHAPE_PARAMETERS];
	size_t nearest = 0;
	if (b->count == 0)
		return;
	slope(grid, grid->p, b->x, b->y, f);
	for (size_t k = 1; k < b->count; k++)
		if (difference(f, b->pairs[k].f) < difference(f, b->pairs[nearest].f))
			nearest = k;
	double d = difference(f, b->pairs[nearest].f) / tolerance;
	double weight = b->pairs[nearest].score * exp(-d * d);
	for (int i = 0; i < SHAPE_PARAMETERS; i++) {
		double p[GRID_PARAMETERS], step = i < 4 ? 0.01 : 1e-4;
		for (int k = 0; k < GRID_PARAMETERS; k++)
			p[k] = grid->p[k] + (k == i ? step : 0);
		slope(grid, p, b->x, b->y, moved);
		for (int k = 0; k < 4; k++)
			rows[k][i] = (moved[k] - f[k]) / step;
	}
	for (int k = 0; k < 4; k++)
		solve_add(s, rows[k], b->pairs[nearest].f[k] - f[k], weight);
}

static void
fit(const struct plane *flat, const struct block *blocks, size_t count, const struct pair *pair,
	struct grid *grid)
{
	*grid = (struct grid){.middle_x = flat->width / 2.0,
		.middle_y = flat->height / 2.0,
		.scale = hypot(flat->width, flat->height) / 2};
	for (int i = 0; i < 4; i++)
		grid->p[i] = pair->f[i] * grid->scale / SPECTRUM_PX;
	double tolerance = NEAR;
	for (int round = 0; round < FIT_ROUNDS; round++) {
		struct solve s = {.count = SHAPE_PARAMETERS};
		double change[SOLVE_MAX];
		for (size_t i = 0; i < count; i++)
			add_block(&s, grid, &blocks[i], tolerance);
		for (int i = 4; i < SHAPE_PARAMETERS; i++) { /* g stays small without a reason */
			double row[SHAPE_PARAMETERS] = {0};
			row[i] = 1;
			solve_add(&s, row, -grid->p[i], 100);
		}
		solve_end(&s, change);
		for (int i = 0; i < SHAPE_PARAMETERS; i++)
			grid->p[i] += change[i];
		for (int i = 4; i < SHAPE_PARAMETERS; i++)
			grid->p[i] = fmin(0.45, fmax(-0.45, grid->p[i]));
		tolerance = fmax(0.04, tolerance * 0.8);
	}
}

/* What looks like this grid, or like where its fit began, is no other grid. */
static void
drop(struct block *blocks, size_t count, const struct grid *grid, const struct pair *start)
{
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < blocks[i].count; k++) {
			struct pair *pair = &blocks[i].pairs[k];
			double f[4];
			slope(grid, grid->p, blocks[i].x, blocks[i].y, f);
			if (difference(f, pair->f) < NEAR || difference(start->f, pair->f) < NEAR)
				pair->score = 0;
		}
}

int
grid_find(const struct plane *flat, struct grid ret_grids[static GRIDS_MAX])
{
	struct block *blocks = mem_array(BLOCKS_MAX, sizeof *blocks);
	struct pair start;
	size_t count = 0;
	int found = 0, r = blocks ? blocks_make(flat, blocks, &count) : -ENOMEM;
	while (r == 0 && found < GRIDS_MAX) {
		double best = 0;
		for (size_t i = 0; i < count * PAIRS_MAX; i++) {
			const struct block *b = &blocks[i / PAIRS_MAX];
			const struct pair *pair = &b->pairs[i % PAIRS_MAX];
			if (i % PAIRS_MAX >= b->count)
				continue;
			double amount = pair->score > 0 ? support(blocks, count, pair) : 0;
			if (amount > best) {
				best = amount;
				start = *pair;
			}
		}
		if (best <= 0)
			break;
		fit(flat, blocks, count, &start, &ret_grids[found]);
		drop(blocks, count, &ret_grids[found], &start);
		found++;
	}
	free(blocks);
	return r < 0 ? r : found;
}
