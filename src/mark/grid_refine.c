#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "mark/grid.h"
#include "mark/solve.h"

/* A part of the picture, and how far its cells lie from whole numbers. */
struct offset {
	double x, y;   /* its middle */
	double by[2];  /* cells */
	double weight; /* signal to noise, 0 = none */
};

enum {
	OFFSETS_MAX = 400,
	PART_PX = 256,
	PART_STEP_PX = 160,
	SAMPLE_STEP_PX = 2,
	ROUNDS = 22,
	SETTLING = 4,         /* rounds before more of the picture is looked at */
	FIRST_REACH_PX = 240, /* around the clearest part: there the first guess is good enough */
};

static const double WEIGHT_MAX = 60;
static const double TOLERANCE = 0.27; /* cells */
/* of the first guess */
static const double SURE_OF_SLOPE = 0.05, SURE_OF_PERSPECTIVE = 0.1;
static const double GROWTH = 1.2;

static int
is_near(const struct offset *a, const struct offset *b, double reach)
{
	return hypot(a->x - b->x, a->y - b->y) < reach;
}

static double
wrapped(double v)
{
	return v - floor(v + 0.5);
}

/*
 * How far the cells of one part lie from whole numbers. A dash is darker or lighter than its
 * ground, which shifts both coordinates by half a cell: their sum and their difference do not mind.
 */
static void
measure(const struct plane *flat, const struct grid *grid, const float *window, struct offset *o)
{
	double sum[2][2] = {{0}}, noise = 0;
	int left = (int)o->x - PART_PX / 2, top = (int)o->y - PART_PX / 2;
	for (int y = 0; y < PART_PX; y += SAMPLE_STEP_PX)
		for (int x = 0; x < PART_PX; x += SAMPLE_STEP_PX) {
			int px = left + x, py = top + y;
			if (px < 0 || py < 0 || px >= flat->width || py >= flat->height)
				continue;
			double cell[2],
				w = window[x] * window[y],
				v = w * flat->at[(size_t)py * (size_t)flat->width + (size_t)px];
			grid_cell(grid, px, py, cell);
			for (int i = 0; i < 2; i++) {
				float turn = (float)(2 * M_PI * (cell[i] - floor(cell[i])));
				sum[i][0] += v * cosf(turn);
				sum[i][1] += v * sinf(turn);
			}
			noise += v * v;
		}
	double power[2], turn[2];
	for (int i = 0; i < 2; i++) {
		power[i] = (sum[i][0] * sum[i][0] + sum[i][1] * sum[i][1]) / (noise / 2 + 1e-9);
		turn[i] = atan2(sum[i][1], sum[i][0]) / (2 * M_PI);
	}
	o->by[0] = turn[0];
	o->by[1] = turn[1];
	o->weight = fmin(WEIGHT_MAX, fmax(0, fmin(power[0], power[1]) - 4));
}

static void
place_parts(const struct plane *flat, struct offset *parts, size_t *ret_count)
{
	int across = flat->width <= PART_PX ? 1 : (flat->width - PART_PX) / PART_STEP_PX + 2,
	    down = flat->height <= PART_PX ? 1 : (flat->height - PART_PX) / PART_STEP_PX + 2;
	size_t count = 0;
	for (int i = 0; i < across * down && count < OFFSETS_MAX; i++)
		parts[count++] = (struct offset){.x = (i % across + 0.5) * flat->width / across,
			.y = (i / across + 0.5) * flat->height / down};
	*ret_count = count;
}

/* The part around which most is to be seen. */
static const struct offset *
clearest(const struct offset *parts, size_t count)
{
	const struct offset *best = parts;
	double most = -1;
	for (size_t i = 0; i < count; i++) {
		double sum = 0;
		for (size_t k = 0; k < count; k++)
			if (is_near(&parts[i], &parts[k], FIRST_REACH_PX))
				sum += parts[k].weight;
		if (sum > most) {
			most = sum;
			best = &parts[i];
		}
	}
	return best;
}

/* Sum and difference of the two offsets: these are sure but for whole numbers. */
static void
both(const struct offset *o, double ret[static 2])
{
	ret[0] = wrapped(o->by[0] + o->by[1]);
	ret[1] = wrapped(o->by[0] - o->by[1]);
}

static void
first_shift(struct grid *grid, const struct offset *parts, size_t count, const struct offset *from)
{
	double sum[2][2] = {{0}}, mean[2], value[2];
	for (size_t i = 0; i < count; i++) {
		if (!is_near(&parts[i], from, FIRST_REACH_PX))
			continue;
		both(&parts[i], value);
		for (int k = 0; k < 2; k++) {
			sum[k][0] += parts[i].weight * cos(2 * M_PI * value[k]);
			sum[k][1] += parts[i].weight * sin(2 * M_PI * value[k]);
		}
	}
	for (int k = 0; k < 2; k++)
		mean[k] = atan2(sum[k][1], sum[k][0]) / (2 * M_PI);
	grid->p[6] -= (mean[0] + mean[1]) / 2;
	grid->p[7] -= (mean[0] - mean[1]) / 2;
}

/* What each parameter does to the cell at x, y: of the sum and of the difference. */
static void
derivatives(const struct grid *grid, double x, double y, double rows[static 2][GRID_PARAMETERS])
{
	const double *p = grid->p;
	x = (x - grid->middle_x) / grid->scale;
	y = (y - grid->middle_y) / grid->scale;
	double d = 1 + p[4] * x + p[5] * y, first = (p[0] * x + p[1] * y) / d,
	       second = (p[2] * x + p[3] * y) / d;
	for (int k = 0; k < 2; k++) {
		double sign = k == 0 ? 1 : -1, moves = -(first + sign * second) / d;
		const double row[GRID_PARAMETERS] = {
			x / d, y / d, sign * x / d, sign * y / d, moves * x, moves * y, 1, sign};
		for (int i = 0; i < GRID_PARAMETERS; i++)
			rows[k][i] = row[i];
	}
}

/* One step. Returns the weight of the parts that fit. */
static double
improve(struct grid *grid, const struct grid *guess, const struct offset *parts, size_t count,
	const struct offset *from, double reach)
{
	struct solve s = {.count = GRID_PARAMETERS};
	double rows[2][GRID_PARAMETERS], value[2], change[SOLVE_MAX], fitting = 0;
	for (size_t i = 0; i < count; i++) {
		both(&parts[i], value);
		if (!is_near(&parts[i], from, reach) ||
			fmax(fabs(value[0]), fabs(value[1])) > TOLERANCE)
			continue;
		derivatives(grid, parts[i].x, parts[i].y, rows);
		for (int k = 0; k < 2; k++)
			solve_add(&s, rows[k], -value[k], parts[i].weight * 20);
		fitting += parts[i].weight;
	}
	double size = hypot(hypot(guess->p[0], guess->p[1]), hypot(guess->p[2], guess->p[3]));
	for (int i = 0; i < GRID_PARAMETERS - 2; i++) {
		double row[GRID_PARAMETERS] = {0},
		       sure = i < 4 ? SURE_OF_SLOPE * size : SURE_OF_PERSPECTIVE;
		row[i] = 1;
		solve_add(&s, row, guess->p[i] - grid->p[i], 1 / (sure * sure));
	}
	solve_end(&s, change);
	for (int i = 0; i < GRID_PARAMETERS; i++)
		grid->p[i] += change[i];
	return fitting;
}

/* From one guess: the clearest part first, and then, round by round, more of the picture. */
static double
refine_from(const struct plane *smooth, const float *window, const struct grid *guess,
	struct offset *parts, struct grid *ret_grid)
{
	double fitting = 0, reach = FIRST_REACH_PX;
	const struct offset *from = NULL;
	*ret_grid = *guess;
	size_t count;
	place_parts(smooth, parts, &count);
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < count; i++)
			if (!from || is_near(&parts[i], from, reach))
				measure(smooth, ret_grid, window, &parts[i]);
		if (round == 0) {
			from = clearest(parts, count);
			first_shift(ret_grid, parts, count, from);
			continue;
		}
		fitting = improve(ret_grid, guess, parts, count, from, reach);
		reach *= round > SETTLING ? GROWTH : 1;
	}
	return fitting;
}

double
grid_refine(const struct plane *flat, struct grid *grid)
{
	const struct grid guess = *grid;
	struct offset *parts = mem_array(OFFSETS_MAX, sizeof *parts);
	struct plane smooth = {0};
	float window[PART_PX];
	double best = 0;
	int r = parts ? plane_init(&smooth, flat->width, flat->height) : -ENOMEM;
	for (size_t i = 0; r == 0 && i < (size_t)flat->width * (size_t)flat->height; i++)
		smooth.at[i] = flat->at[i];
	if (r == 0)
		r = plane_blur(&smooth, SAMPLE_STEP_PX / 2);
	for (int i = 0; i < PART_PX; i++)
		window[i] = 0.5F - 0.5F * cosf(2 * (float)M_PI * ((float)i + 0.5F) / PART_PX);
	if (r == 0)
		best = refine_from(&smooth, window, &guess, parts, grid);
	plane_fini(&smooth);
	free(parts);
	return r < 0 ? r : best;
}
