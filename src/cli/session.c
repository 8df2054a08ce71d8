/* engawa session list | end: what runs through the relay now. */
#include <stdio.h>
#include <string.h>

#include "cli/admin.h"
#include "cli/args.h"
#include "cli/command.h"
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

static int
list(const struct settings *s)
{
	static const struct table_column columns[] = {
		{"id", TABLE_TEXT, {"セッション", "SESSION"}},
		{"org", TABLE_TEXT, {"団体", "ORGANISATION"}},
		{"agent", TABLE_TEXT, {"庁内PC", "OFFICE PC"}},
		{"client_address", TABLE_TEXT, {"接続元", "FROM"}},
		{"browser", TABLE_BOOL, {"ブラウザー", "BROWSER"}},
		{"started_s", TABLE_TIME, {"開始", "SINCE"}},
		{"gate", TABLE_TEXT, {"ゲート", "GATE"}},
		{"state", TABLE_TEXT, {"状態", "STATE"}},
		{NULL, TABLE_TEXT, {NULL, NULL}},
	};
	return table_ask(s->socket, "/sessions", columns, (int)s->json);
}

int
command_session(int argc, char **argv)
{
	struct settings settings = {0};
	struct args args;
	int status = 2;
	int r = argc < 2 ? -1
			 : args_take(
				   options, &settings, "engawa session", argc - 1, argv + 1, &args);
	if (r > 0)
		status = 0;
	else if (r == 0 && strcmp(argv[1], "list") == 0 && args.count == 0)
		status = list(&settings);
	else if (r == 0 && strcmp(argv[1], "end") == 0 && args.count > 0)
		status = admin_each(settings.socket, "sessions", args.words, args.count, "end");
	conf_free(options, &settings);
	if (status == 2)
		fprintf(stderr, "engawa session list [--json]\nengawa session end SESSION...\n");
	return status;
}
