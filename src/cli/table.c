#include "cli/table.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/str.h"
#include "cli/admin.h"
#include "cli/command.h"

enum {
	CELL_SIZE = 512,
	COLUMNS_MAX = 16,
	GAP = 2
};

/* Columns on a terminal; independent of the locale, which may be C. East Asian wide characters take
 * two. */
static size_t
width(const char *s)
{
	size_t n = 0;
	for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
		if ((*p & 0xc0) == 0x80)
			continue;
		int wide = *p >= 0xe3 || (*p == 0xe1 && p[1] >= 0x84 && p[1] <= 0x85);
		int half = *p == 0xef && ((p[1] == 0xbd && p[2] >= 0xa1) || p[1] == 0xbe);
		n += wide && !half ? 2 : 1;
	}
	return n;
}

static void
join(const json_t *list, char *out, size_t size)
{
	size_t i, used = 0;
	json_t *item;
	out[0] = '\0';
	json_array_foreach(list, i, item)
	{
		const char *s = json_string_value(item);
		if (s && str_print(out + used, size - used, "%s%s", i ? " " : "", s) < 0)
			return;
		used = strlen(out);
	}
}

/* What comes from others may hold escapes for the terminal; the controller lets none in, and this
 * lets none out. */
static void
defuse(char *s)
{
	for (unsigned char *p = (unsigned char *)s; *p; p++) {
		if (*p < ' ' || *p == 0x7f)
			*p = '?';
		if (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
			p[0] = p[1] = '?';
	}
}

static void
cell(const json_t *row, const struct table_column *column, char out[static CELL_SIZE])
{
	static const char *const bools[2][2] = {{"-", "はい"}, {"-", "yes"}};
	const json_t *value = json_object_get(row, column->key);
	time_t seconds = (time_t)json_integer_value(value);
	struct tm tm;
	switch (column->kind) {
	case TABLE_TEXT:
		if (str_copy(out, CELL_SIZE,
			    json_is_string(value) ? json_string_value(value) : "-") < 0)
			(void)str_copy(out, CELL_SIZE, "…");
		break;
	case TABLE_NUMBER:
		str_print(out, CELL_SIZE, "%lld", (long long)json_integer_value(value));
		break;
	case TABLE_TIME:
		if (!localtime_r(&seconds, &tm) || !strftime(out, CELL_SIZE, "%Y-%m-%d %H:%M", &tm))
			(void)str_copy(out, CELL_SIZE, "-");
		break;
	case TABLE_BOOL:
		(void)str_copy(out, CELL_SIZE, bools[command_language()][json_is_true(value)]);
		break;
	case TABLE_LIST:
		join(value, out, CELL_SIZE);
		break;
	}
	defuse(out);
	if (!*out)
		(void)str_copy(out, CELL_SIZE, "-");
}

static void
put(const char *text, size_t columns, int right, int last)
{
	int pad = (int)(columns - width(text));
	printf("%*s%s%*s", right ? pad : 0, "", text, last ? 0 : GAP + (right ? 0 : pad), "");
}

static void
print_rows(const json_t *rows, const struct table_column *columns)
{
	size_t widths[COLUMNS_MAX] = {0}, count = 0, i;
	char text[CELL_SIZE];
	json_t *row;
	for (; columns[count].key && count < COLUMNS_MAX; count++) {
		widths[count] = width(columns[count].header[command_language()]);
		json_array_foreach(rows, i, row)
		{
			cell(row, &columns[count], text);
			if (width(text) > widths[count])
				widths[count] = width(text);
		}
	}
	for (size_t c = 0; c < count; c++)
		put(columns[c].header[command_language()], widths[c],
			columns[c].kind == TABLE_NUMBER, c + 1 == count);
	printf("\n");
	json_array_foreach(rows, i, row)
	{
		for (size_t c = 0; c < count; c++) {
			cell(row, &columns[c], text);
			put(text, widths[c], columns[c].kind == TABLE_NUMBER, c + 1 == count);
		}
		printf("\n");
	}
}

static void
print_one(const json_t *row, const struct table_column *columns)
{
	size_t widest = 0;
	char text[CELL_SIZE];
	for (const struct table_column *c = columns; c->key; c++)
		if (width(c->header[command_language()]) > widest)
			widest = width(c->header[command_language()]);
	for (const struct table_column *c = columns; c->key; c++) {
		cell(row, c, text);
		put(c->header[command_language()], widest, 0, 0);
		printf("%s\n", text);
	}
}

int
table_ask(const char *socket, const char *path, const struct table_column *columns, int as_json)
{
	json_t *reply;
	int status = admin_call(socket, "GET", path, NULL, &reply);
	if (status != 0)
		return status;
	if (as_json) {
		json_dumpf(reply, stdout, JSON_INDENT(1) | JSON_ENCODE_ANY);
		printf("\n");
	} else if (json_is_array(reply)) {
		print_rows(reply, columns);
	} else {
		print_one(reply, columns);
	}
	json_decref(reply);
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
