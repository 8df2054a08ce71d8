/* A list of the agent's that comes in pages ("list N"), as a table with one row to choose. */
#pragma once
#include "settings/form.h"

enum {
	ROWS_COLUMNS_MAX = 5,
	ROWS_CELL_SIZE = 256
};

/* One line of the agent's: its cells, and in id what names the row in later questions. 0: no row.
 */
typedef int row_fn(const char *line, char cells[ROWS_COLUMNS_MAX][ROWS_CELL_SIZE],
	char id[static ROWS_CELL_SIZE], int *ret_state);

struct rows;

/* Hangs on form. */
struct rows *rows_new(struct app *app, GtkWidget *form, enum word name, uint16_t type,
	const enum word *titles, int columns, row_fn *fn);
/* A button that can be used while a row is chosen. */
void rows_button(struct rows *rows, GtkWidget *button);
/* Asks the agent anew; the chosen row stays chosen. */
void rows_show(struct rows *rows);
/* id and state of the chosen row; NULL when there is none; g_free. */
char *rows_chosen(struct rows *rows, int *ret_state);
