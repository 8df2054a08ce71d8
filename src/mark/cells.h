/* What stands in the cells of a grid, added up over all repetitions of the pattern. */
#pragma once
#include "mark/code.h"
#include "mark/grid.h"

enum {
	CELLS_TABLES = 2 /* dashes may be darker or lighter than their ground */
};

/* One table for each of the two ways a grid can lie. Returns how clearly dashes are seen (0 = not
 * at all, then there are no tables), or -ENOMEM. */
double cells_read(const struct plane *flat, const struct grid *grid,
	struct mark_table ret_tables[static CELLS_TABLES]);
