#include "mark/grid.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static double
dot(const double *a, double x, double y)
{
	return a[0] * x + a[1] * y;
}

void
grid_cell(const struct grid *grid, double x, double y, double ret_cell[static 2])
{
	const double *p = grid->p;
	x = (x - grid->middle_x) / grid->scale;
	y = (y - grid->middle_y) / grid->scale;
	double d = 1 + dot(p + 4, x, y);
	ret_cell[0] = dot(p, x, y) / d + p[6];
	ret_cell[1] = dot(p + 2, x, y) / d + p[7];
}

int
grid_pixel(const struct grid *grid, double cell_x, double cell_y, double ret_pixel[static 2])
{
	const double *p = grid->p, u = cell_x - p[6], v = cell_y - p[7];
	/* (a - u g) X = u in both coordinates */
	double m00 = p[0] - u * p[4], m01 = p[1] - u * p[5], m10 = p[2] - v * p[4],
	       m11 = p[3] - v * p[5], det = m00 * m11 - m01 * m10;
	if (!(fabs(det) > 1e-9))
		return -EINVAL;
	double x = (u * m11 - v * m01) / det, y = (m00 * v - m10 * u) / det;
	if (!(1 + dot(p + 4, x, y) > 0.05))
		return -EINVAL;
	ret_pixel[0] = x * grid->scale + grid->middle_x;
	ret_pixel[1] = y * grid->scale + grid->middle_y;
	return 0;
}

void
grid_enlarge(struct grid *grid, int factor)
{
	/* pixels are squares with their middles at whole numbers */
	grid->middle_x = (grid->middle_x + 0.5) * factor - 0.5;
	grid->middle_y = (grid->middle_y + 0.5) * factor - 0.5;
	grid->scale *= factor;
}
