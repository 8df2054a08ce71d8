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

/* Asks the controller (GET path, as admin_call) and prints: an array as rows, one object as a line
 * for each column. columns end with a NULL key. as_json: the answer as it is. Returns the exit
 * status. */
int table_ask(
	const char *socket, const char *path, const struct table_column *columns, int as_json);
