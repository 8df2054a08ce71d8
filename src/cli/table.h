/* Answers for people and machines: rows of a JSON array as aligned columns, or the JSON itself. */
#pragma once
#include <jansson.h>

enum table_kind {
	TABLE_TEXT,
	TABLE_NUMBER,
	TABLE_TIME,
	TABLE_BOOL,
	TABLE_LIST
};

struct table_column {
	const char *key;
	enum table_kind kind;
	const char *header[2]; /* by enum err_lang */
};

/* columns end with a NULL key. as_json: the array as it is. Returns the exit status. */
int table_print(const json_t *rows, const struct table_column *columns, int as_json);
/* One object, a line for each column. */
int table_print_one(const json_t *row, const struct table_column *columns, int as_json);
