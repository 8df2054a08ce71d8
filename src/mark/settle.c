#include "mark/settle.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "mark/solve.h"

enum {
	REACH = 5, /* steps to each side */
	STEP_PX = 2,
	ROW = 2 * REACH + 1,
	TRIES = ROW * ROW,
	AROUND = 3, /* cells of a group, to each side */
	TERMS = 6,
	ROUNDS = 3,
	STEPS = 5,
	CELLS_MAX = 4096, /* more is no screen */
};

static const double FAR_PX = 4; /* what is farther from the others is not believed */

/* What one cell, or a group, has at each of the shifts that are tried. */
struct tries {
	float at[TRIES];
};

struct opinion {
	double right, down, weight; /* pixels of the screen */
};

void
settle_read(const struct plane *smooth, const struct cell_place *at, double right, double down,
	float ret[static 4])
{
	for (int k = 0; k < 4; k++) {
		double r = right + (k & 1 ? WATERMARK_OFFSET_PX : -WATERMARK_OFFSET_PX),
		       d = down + (k & 2 ? WATERMARK_OFFSET_PX : -WATERMARK_OFFSET_PX);
		ret[k] = plane_sample(smooth, at->x + r * at->across[0] + d * at->down[0],
			at->y + r * at->across[1] + d * at->down[1]);
	}
}

static void
try_cell(const struct plane *smooth, const struct cell_place *at, struct tries *tries)
{
	float places[4];
	memset(tries, 0, sizeof *tries);
	for (int i = 0; at->seen && i < TRIES; i++) {
		settle_read(smooth, at, (i % ROW - REACH) * STEP_PX, (i / ROW - REACH) * STEP_PX,
			places);
		for (int k = 0; k < 4; k++)
			tries->at[i] = fmaxf(tries->at[i], fabsf(places[k]));
	}
}

/* Where a group sees most, and how much more than elsewhere. */
static struct opinion
opinion_of(const struct tries *tries, int width, int height, int x, int y)
{
	float sum[TRIES] = {0}, mean = 0, square = 0;
	int best = 0;
	for (int row = y - AROUND; row <= y + AROUND; row++)
		for (int col = x - AROUND; col <= x + AROUND; col++)
			if (row >= 0 && row < height && col >= 0 && col < width)
				for (int i = 0; i < TRIES; i++)
					sum[i] += tries[row * width + col].at[i];
	for (int i = 0; i < TRIES; i++) {
		best = sum[i] > sum[best] ? i : best;
		mean += sum[i] / TRIES;
	}
	for (int i = 0; i < TRIES; i++)
		square += (sum[i] - mean) * (sum[i] - mean) / TRIES;
	float over = (sum[best] - mean) / sqrtf(square + 1e-6F);
	/* the best of so many tries is 2.5 above their mean by chance */
	return (struct opinion){(best % ROW - REACH) * STEP_PX, (best / ROW - REACH) * STEP_PX,
		over > 2.5F ? (over - 2.5F) * sqrtf(square) : 0};
}

static void
terms(int width, int height, int x, int y, double ret[static TERMS])
{
	double u = 2.0 * x / width - 1, v = 2.0 * y / height - 1;
	const double all[TERMS] = {1, u, v, u * u, u * v, v * v};
	memcpy(ret, all, sizeof all);
}

static double
value(const double *factors, const double *term)
{
	double sum = 0;
	for (int i = 0; i < TERMS; i++)
		sum += factors[i] * term[i];
	return sum;
}

/* What all opinions but those far off have in common. */
static void
agree(const struct opinion *opinions, int width, int height, double right[static SOLVE_MAX],
	double down[static SOLVE_MAX])
{
	double term[TERMS];
	for (int round = 0; round < ROUNDS; round++) {
		struct solve r = {.count = TERMS}, d = {.count = TERMS};
		double total = 0;
		for (int i = 0; i < width * height; i++) {
			const struct opinion *o = &opinions[i];
			terms(width, height, i % width, i / width, term);
			if (o->weight <= 0 ||
				(round > 0 && hypot(o->right - value(right, term),
						      o->down - value(down, term)) > FAR_PX))
				continue;
			solve_add(&r, term, o->right, o->weight);
			solve_add(&d, term, o->down, o->weight);
			total += o->weight;
		}
		for (int i = 0; i < TERMS; i++) { /* small without a reason */
			double row[SOLVE_MAX] = {0};
			row[i] = 1;
			solve_add(&r, row, 0, total * 0.002 + 1e-6);
			solve_add(&d, row, 0, total * 0.002 + 1e-6);
		}
		solve_end(&r, right);
		solve_end(&d, down);
	}
}

/* Once: what is right in one part of the picture brings its neighbours near. */
static void
step(const struct plane *smooth, struct cell_place *cells, int width, int height,
	struct tries *tries, struct opinion *opinions)
{
	double right[SOLVE_MAX] = {0}, down[SOLVE_MAX] = {0}, term[TERMS];
	int count = width * height;
	for (int i = 0; i < count; i++)
		try_cell(smooth, &cells[i], &tries[i]);
	for (int i = 0; i < count; i++)
		opinions[i] = opinion_of(tries, width, height, i % width, i / width);
	agree(opinions, width, height, right, down);
	for (int i = 0; i < count; i++) {
		terms(width, height, i % width, i / width, term);
		double by_right = value(right, term), by_down = value(down, term);
		struct cell_place *at = &cells[i];
		at->x += by_right * at->across[0] + by_down * at->down[0];
		at->y += by_right * at->across[1] + by_down * at->down[1];
	}
}

int
settle(const struct plane *smooth, struct cell_place *cells, int width, int height)
{
	size_t count = (size_t)width * (size_t)height;
	if (count > CELLS_MAX)
		return 0;
	struct tries *tries = mem_array(count, sizeof *tries);
	struct opinion *opinions = mem_array(count, sizeof *opinions);
	int r = tries && opinions ? 0 : -ENOMEM;
	for (int i = 0; r == 0 && i < STEPS; i++)
		step(smooth, cells, width, height, tries, opinions);
	free(tries);
	free(opinions);
	return r;
}
