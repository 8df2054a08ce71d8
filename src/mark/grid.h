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

/* Grids that a flattened picture may have, likeliest first; directions and distances only: t is 0.
 * Returns how many, or -ENOMEM. */
int grid_find(const struct plane *flat, struct grid ret_grids[static GRIDS_MAX]);

/* A part of the picture, and how far its cells lie from whole numbers. */
struct offset {
	double x, y;   /* its middle */
	double by[2];  /* cells */
	double weight; /* signal to noise, 0 = none */
};

enum {
	OFFSETS_MAX = 400
};

/* Sets t and makes everything else exact. What is left is in ret_offsets, for what a projective map
 * cannot say (lenses). Whether dashes are darker or lighter than their ground is unknown: all
 * offsets may be by half a cell in both directions. Returns the sum of weights of what fits, or
 * -ENOMEM. */
double grid_refine(const struct plane *flat, struct grid *grid,
	struct offset ret_offsets[static OFFSETS_MAX], size_t *ret_count);
