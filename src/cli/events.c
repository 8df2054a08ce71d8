/* engawa events: what the controller has recorded, newest first. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "cli/args.h"
#include "cli/command.h"
#include "cli/table.h"

struct settings {
	char *socket, *since;
	int64_t limit, json;
};

#define AT(field) offsetof(struct settings, field)
static const struct conf_option options[] = {
	{"SOCKET", CONF_STR, AT(socket), NULL, 0, 0, "the controller's admin.sock"},
	{"SINCE", CONF_STR, AT(since), NULL, 0, 0,
		"not older than this: 30m, 12h, 7d, or a day (YYYY-MM-DD)"},
	{"LIMIT", CONF_INT, AT(limit), "100", 1, 10000, "at most so many, the newest"},
	{"JSON", CONF_BOOL, AT(json), "no", 0, 0, "for machines"},
	CONF_OPTIONS_END,
};

/* The beginning of a day here. 0 or negative. */
static int
day_begins(const char *text, uint64_t *ret_s)
{
	uint64_t end_s;
	struct tm tm;
	int r = wall_date_end(text, &end_s);
	time_t end = (time_t)end_s;
	if (r < 0 || !gmtime_r(&end, &tm))
		return -ERR_SETTING;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_isdst = -1;
	time_t begin = mktime(&tm);
	*ret_s = begin > 0 ? (uint64_t)begin : 0;
	return 0;
}

static int
take_since(const char *text, uint64_t now_s, uint64_t *ret_s)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = {{'m', 60}, {'h', 3600}, {'d', 86400}};
	char number[16];
	int64_t n;
	size_t len = strlen(text);
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (!len || len > sizeof number || text[len - 1] != units[i].unit)
			continue;
		memcpy(number, text, len - 1);
		number[len - 1] = '\0';
		if (str_int(number, 1, (int64_t)now_s / units[i].seconds, &n) < 0)
			return -ERR_SETTING;
		*ret_s = now_s - (uint64_t)(n * units[i].seconds);
		return 0;
	}
	return day_begins(text, ret_s);
}

static int
list(const struct settings *s)
{
	static const struct table_column columns[] = {
		{"time_s", TABLE_TIME, {"日時", "TIME"}},
		{"event", TABLE_TEXT, {"出来事", "EVENT"}},
		{"subject", TABLE_TEXT, {"対象", "SUBJECT"}},
		{"detail", TABLE_TEXT, {"内容", "DETAIL"}},
		{"actor", TABLE_TEXT, {"操作", "BY"}},
		{NULL, TABLE_TEXT, {NULL, NULL}},
	};
	char path[128];
	uint64_t since_s = 0;
	if (s->since && take_since(s->since, wall_s(), &since_s) < 0)
		return command_fail(ERR_SETTING, s->since);
	str_print(path, sizeof path, "/events?limit=%lld&since=%llu", (long long)s->limit,
		(unsigned long long)since_s);
	return table_ask(s->socket, path, columns, (int)s->json);
}

int
command_events(int argc, char **argv)
{
	struct settings settings = {0};
	struct args args;
	int r = args_take(options, &settings, "engawa events", argc, argv, &args);
	int status = r > 0 ? 0 : r == 0 && args.count == 0 ? list(&settings) : 2;
	conf_free(options, &settings);
	if (status == 2)
		fprintf(stderr,
			"engawa events [--since 30m|12h|7d|YYYY-MM-DD] [--limit N] [--json]\n");
	return status;
}
