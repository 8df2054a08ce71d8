#include "mark/cells.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "mark/settle.h"

enum {
	SIDE_MAX = 400,    /* cells across: more than any screen has */
	AROUND = 2,        /* cells that tell whether dashes are dark or light here */
	PIXEL_MAX_PX = 20, /* of the screen, on the picture */
};

struct cells {
	float (*at)[4];
	struct cell_place *places;
	int left, top, width, height;
	double half; /* cells that the grid is moved by, in both directions */
};

/* The whole numbers that the picture's corners enclose. */
static int
extent(const struct plane *flat, const struct grid *grid, struct cells *cells)
{
	double low[2] = {1e9, 1e9}, high[2] = {-1e9, -1e9}, cell[2];
	for (int i = 0; i < 4; i++) {
		grid_cell(grid, i & 1 ? flat->width : 0, i & 2 ? flat->height : 0, cell);
		for (int k = 0; k < 2; k++) {
			low[k] = fmin(low[k], cell[k]);
			high[k] = fmax(high[k], cell[k]);
		}
	}
	for (int k = 0; k < 2; k++)
		if (!(fabs(low[k]) < 1e6 && fabs(high[k]) < 1e6 && high[k] - low[k] < SIDE_MAX))
			return -EINVAL;
	cells->left = (int)floor(low[0]);
	cells->top = (int)floor(low[1]);
	cells->width = (int)ceil(high[0]) - cells->left + 1;
	cells->height = (int)ceil(high[1]) - cells->top + 1;
	return 0;
}

/* Where the cell is, and a pixel of the screen to its right and one below it. */
static void
place(const struct plane *smooth, const struct grid *grid, double x, double y,
	struct cell_place *at)
{
	double middle[2], right[2], below[2];
	at->seen = grid_pixel(grid, x, y, middle) == 0 &&
		   grid_pixel(grid, x + 1.0 / WATERMARK_PITCH_PX, y, right) == 0 &&
		   grid_pixel(grid, x, y + 1.0 / WATERMARK_PITCH_PX, below) == 0 &&
		   middle[0] >= 0 && middle[1] >= 0 && middle[0] < smooth->width &&
		   middle[1] < smooth->height;
	if (!at->seen)
		return;
	at->x = middle[0];
	at->y = middle[1];
	/* near the horizon a pixel of the screen is everywhere */
	if (hypot(right[0] - at->x, right[1] - at->y) > PIXEL_MAX_PX ||
		hypot(below[0] - at->x, below[1] - at->y) > PIXEL_MAX_PX)
		at->seen = 0;
	for (int k = 0; k < 2; k++) {
		at->across[k] = right[k] - middle[k];
		at->down[k] = below[k] - middle[k];
	}
}

static int
read_all(const struct plane *smooth, const struct grid *grid, struct cells *cells)
{
	int count = cells->width * cells->height;
	for (int i = 0; i < count; i++) {
		cells->places[i] = (struct cell_place){0};
		place(smooth, grid, cells->left + i % cells->width + cells->half,
			cells->top + i / cells->width + cells->half, &cells->places[i]);
	}
	int r = settle(smooth, cells->places, cells->width, cells->height);
	for (int i = 0; i < count; i++) {
		memset(cells->at[i], 0, sizeof cells->at[i]);
		if (cells->places[i].seen)
			settle_read(smooth, &cells->places[i], 0, 0, cells->at[i]);
	}
	return r;
}

static float
whole(const float cell[static 4])
{
	return cell[0] + cell[1] + cell[2] + cell[3];
}

/* Whether dashes are lighter (1) or darker (-1) than their ground around a cell; between these when
 * little is seen. usual: root of the mean square of one cell. */
static float
lightness(const struct cells *cells, int x, int y, float usual)
{
	float sum = 0;
	for (int row = y - AROUND; row <= y + AROUND; row++)
		for (int col = x - AROUND; col <= x + AROUND; col++)
			if (row >= 0 && row < cells->height && col >= 0 && col < cells->width)
				sum += whole(cells->at[row * cells->width + col]);
	float noise = usual * (2 * AROUND + 1);
	return sum / sqrtf(sum * sum + noise * noise + 1e-12F);
}

static int
around(int v)
{
	return ((v % WATERMARK_CELLS) + WATERMARK_CELLS) % WATERMARK_CELLS;
}

static double
add_up(const struct cells *cells, struct mark_table *table)
{
	double square = 0, seen = 0;
	int count = cells->width * cells->height;
	for (int i = 0; i < count; i++)
		square += whole(cells->at[i]) * whole(cells->at[i]);
	float usual = (float)sqrt(square / count);
	memset(table, 0, sizeof *table);
	for (int i = 0; i < count; i++) {
		int x = i % cells->width, y = i / cells->width;
		float light = lightness(cells, x, y, usual);
		float *to = table->cell[around(cells->top + y) * WATERMARK_CELLS +
					around(cells->left + x)];
		for (int k = 0; k < 4; k++)
			to[k] += light * cells->at[i][k];
		seen += light * whole(cells->at[i]);
	}
	return square > 0 ? seen / sqrt(square * count) : 0;
}

double
cells_read(const struct plane *flat, const struct grid *grid,
	struct mark_table ret_tables[static CELLS_TABLES])
{
	struct plane smooth = {0};
	struct cells cells = {0};
	double best = 0, at[2], right[2];
	if (extent(flat, grid, &cells) < 0 || grid_pixel(grid, grid->p[6], grid->p[7], at) < 0 ||
		grid_pixel(grid, grid->p[6] + 1, grid->p[7], right) < 0)
		return 0;
	double scale = hypot(right[0] - at[0], right[1] - at[1]) / WATERMARK_PITCH_PX;
	cells.at = mem_array((size_t)cells.width * (size_t)cells.height, sizeof *cells.at);
	cells.places = mem_array((size_t)cells.width * (size_t)cells.height, sizeof *cells.places);
	int r = cells.at && cells.places ? plane_init(&smooth, flat->width, flat->height) : -ENOMEM;
	if (r == 0) {
		memcpy(smooth.at, flat->at,
			(size_t)flat->width * (size_t)flat->height * sizeof *flat->at);
		r = plane_blur(&smooth, scale > 1.5 ? (int)(scale * 0.8 + 0.5) : 1);
	}
	for (int half = 0; r == 0 && half < CELLS_TABLES; half++) {
		cells.half = half * 0.5;
		r = read_all(&smooth, grid, &cells);
		if (r == 0)
			best = fmax(best, add_up(&cells, &ret_tables[half]));
	}
	plane_fini(&smooth);
	free(cells.places);
	free(cells.at);
	return r < 0 ? r : best;
}
