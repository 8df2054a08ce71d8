/*
 * The watermark's grid on a photograph: a projective map from pixels to cells, so that the middles
 * of cells have whole numbers.
 *
 *     cell(x) = (a X + t * (1 + g X)) / (1 + g X),   X = (x - middle) / scale
 */
#pragma once
#include "mark/spectrum.h"

enum {
	GRIDS_MAX = 3,
	GRID_PARAMETERS = 8,
};

struct grid {
	double p[GRID_PARAMETERS]; /* a of the first coordinate, of the second, g, t */
	double middle_x, middle_y, scale;
};

/* Where pixel x, y lies. */
void grid_cell(const struct grid *grid, double x, double y, double ret_cell[static 2]);
/* Which pixel lies there. 0, or -EINVAL beyond the horizon. */
int grid_pixel(const struct grid *grid, double cell_x, double cell_y, double ret_pixel[static 2]);

/* The same grid on a picture that is factor times as large. */
void grid_enlarge(struct grid *grid, int factor);

/* Grids that a flattened picture may have, likeliest first; directions and distances only: t is 0.
 * Returns how many, or -ENOMEM. */
int grid_find(const struct plane *flat, struct grid ret_grids[static GRIDS_MAX]);

/* Sets t and makes everything else exact to a fraction of a cell. Whether dashes are darker or
 * lighter than their ground is unknown: all of it may lie by half a cell in both directions.
 * Returns the sum of weights of what fits, or -ENOMEM. */
double grid_refine(const struct plane *flat, struct grid *grid);
