#include "cli/gate_list.h"

#include <stdio.h>
#include <string.h>

#include "cli/args.h"
#include "cli/table.h"

struct settings {
	char *socket;
	int64_t json;
};

#define AT(field) offsetof(struct settings, field)
static const struct conf_option options[] = {
	{"SOCKET", CONF_STR, AT(socket), NULL, 0, 0, "the controller's admin.sock"},
	{"JSON", CONF_BOOL, AT(json), "no", 0, 0, "for machines"},
	CONF_OPTIONS_END,
};

int
gate_list(int argc, char **argv)
{
	static const struct table_column columns[] = {
		{"gate", TABLE_TEXT, {"ゲート", "GATE"}},
		{"worker", TABLE_NUMBER, {"ワーカー", "WORKER"}},
		{"agents", TABLE_NUMBER, {"庁内PC", "OFFICE PCS"}},
		{"since_s", TABLE_TIME, {"接続", "SINCE"}},
		{"build", TABLE_NUMBER, {"版", "BUILD"}},
		{NULL, TABLE_TEXT, {NULL, NULL}},
	};
	struct settings settings = {0};
	struct args args;
	int r = args_take(options, &settings, "engawa gate list", argc, argv, &args);
	int status = r < 0 || (r == 0 && args.count > 0) ? 2 : 0;
	if (r == 0 && status == 0)
		status = table_ask(settings.socket, "/gates", columns, (int)settings.json);
	conf_free(options, &settings);
	if (status == 2)
		fprintf(stderr, "engawa gate list [--json]\n");
	return status;
}
