/* Least squares with few unknowns. */
#pragma once

enum {
	SOLVE_MAX = 8
};

struct solve {
	int count;
	double matrix[SOLVE_MAX][SOLVE_MAX], right[SOLVE_MAX];
};

/* row * x = value, with this weight. */
static inline void
solve_add(struct solve *s, const double *row, double value, double weight)
{
	for (int i = 0; i < s->count; i++) {
		for (int j = 0; j < s->count; j++)
			s->matrix[i][j] += weight * row[i] * row[j];
		s->right[i] += weight * row[i] * value;
	}
}

/* x, where there is one; what nothing was said of stays 0. */
void solve_end(struct solve *s, double *ret_x);
