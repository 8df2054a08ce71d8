#include "mark/solve.h"

#include <math.h>

/* Gauss and Jordan, with the largest pivot first. */
void
solve_end(struct solve *s, double *ret_x)
{
	int n = s->count, row_of[SOLVE_MAX], used[SOLVE_MAX] = {0};
	for (int c = 0; c < n; c++) {
		int best = -1;
		for (int r = 0; r < n; r++)
			if (!used[r] &&
				(best < 0 || fabs(s->matrix[r][c]) > fabs(s->matrix[best][c])))
				best = r;
		row_of[c] = best;
		if (fabs(s->matrix[best][c]) < 1e-12) {
			row_of[c] = -1;
			continue;
		}
		used[best] = 1;
		for (int r = 0; r < n; r++) {
			double factor = r == best ? 0 : s->matrix[r][c] / s->matrix[best][c];
			for (int k = 0; k < n; k++)
				s->matrix[r][k] -= factor * s->matrix[best][k];
			s->right[r] -= factor * s->right[best];
		}
	}
	for (int c = 0; c < n; c++)
		ret_x[c] = row_of[c] < 0 ? 0 : s->right[row_of[c]] / s->matrix[row_of[c]][c];
}
