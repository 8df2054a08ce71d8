/* The last pixels: a grid says where cells are, dashes say it better. */
#pragma once
#include "mark/plane.h"
#include "screen/watermark.h"

/* A cell on the picture. */
struct cell_place {
	int seen;         /* 0: not on the picture */
	double x, y;      /* pixel of its middle */
	double across[2]; /* pixels on the picture for a pixel of the screen to the right */
	double down[2];   /* and down */
};

/* What is seen at its four places, by symbol, when the middle is moved by so many pixels of the
 * screen. */
void settle_read(const struct plane *smooth, const struct cell_place *at, double right, double down,
	float ret[static 4]);

/* Moves the middles of width * height cells, row by row, to where the most dashes are seen: a
 * quadratic function of the cell, from what groups of neighbours say. 0 or -ENOMEM. */
int settle(const struct plane *smooth, struct cell_place *cells, int width, int height);
