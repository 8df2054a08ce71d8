/* engawa agent list | show | approve | suspend | resume | retire: office PCs as the relay knows
 * them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "cli/admin.h"
#include "cli/agent_local.h"
#include "cli/args.h"
#include "cli/command.h"
#include "cli/table.h"

struct settings {
	char *socket, *org, *state;
	int64_t json;
};

#define AT(field) offsetof(struct settings, field)
static const struct conf_option options[] = {
	{"SOCKET", CONF_STR, AT(socket), NULL, 0, 0, "the controller's admin.sock"},
	{"ORG", CONF_STR, AT(org), NULL, 0, 0, "only of this organisation (list)"},
	{"STATE", CONF_STR, AT(state), NULL, 0, 0, "pending, active, suspended or retired (list)"},
	{"JSON", CONF_BOOL, AT(json), "no", 0, 0, "for machines"},
	CONF_OPTIONS_END,
};

static int
list(const struct settings *s, const struct args *args)
{
	static const struct table_column columns[] = {
		{"terminal_id", TABLE_TEXT, {"端末ID", "TERMINAL ID"}},
		{"computer", TABLE_TEXT, {"コンピューター名", "COMPUTER"}},
		{"org", TABLE_TEXT, {"団体", "ORGANISATION"}},
		{"state", TABLE_TEXT, {"状態", "STATE"}},
		{"gates", TABLE_LIST, {"接続中", "CONNECTED"}},
		{"cert_expires_s", TABLE_TIME, {"証明書の期限", "CERTIFICATE UNTIL"}},
		{"id", TABLE_TEXT, {"内部ID", "INTERNAL ID"}},
		{NULL, TABLE_TEXT, {NULL, NULL}},
	};
	char path[192];
	if (args->count > 0 || str_print(path, sizeof path, "/agents%s%s%s%s",
				       s->org || s->state ? "?" : "", s->org ? "org=" : "",
				       s->org ? s->org : "", s->org && s->state ? "&" : "") < 0)
		return 2;
	size_t used = strlen(path);
	if (s->state && str_print(path + used, sizeof path - used, "state=%s", s->state) < 0)
		return 2;
	return table_ask(s->socket, path, columns, (int)s->json);
}

static int
show(const struct settings *s, const struct args *args)
{
	static const struct table_column columns[] = {
		{"terminal_id", TABLE_TEXT, {"端末ID", "Terminal ID"}},
		{"id", TABLE_TEXT, {"内部ID", "Internal ID"}},
		{"org", TABLE_TEXT, {"団体", "Organisation"}},
		{"computer", TABLE_TEXT, {"コンピューター名", "Computer"}},
		{"state", TABLE_TEXT, {"状態", "State"}},
		{"gates", TABLE_LIST, {"接続中のゲート", "Connected to"}},
		{"created_s", TABLE_TIME, {"登録", "Enrolled"}},
		{"code", TABLE_NUMBER, {"登録コード", "With code"}},
		{"serial", TABLE_TEXT, {"証明書", "Certificate"}},
		{"cert_expires_s", TABLE_TIME, {"証明書の期限", "Certificate until"}},
		{NULL, TABLE_TEXT, {NULL, NULL}},
	};
	char path[128];
	if (args->count != 1 || admin_path(path, sizeof path, "agents", args->words[0], NULL) < 0)
		return 2;
	return table_ask(s->socket, path, columns, (int)s->json);
}

static int
usage(void)
{
	fprintf(stderr, "engawa agent list [--org ID] [--state STATE] [--json]\n"
			"engawa agent show ID [--json]\n"
			"engawa agent approve|suspend|resume|retire ID...\n");
	return 2;
}

static int
run(const char *action, const struct settings *s, const struct args *args)
{
	static const char *const moves[] = {"approve", "suspend", "resume", "retire"};
	if (strcmp(action, "list") == 0)
		return list(s, args);
	if (strcmp(action, "show") == 0)
		return show(s, args);
	for (size_t i = 0; i < sizeof moves / sizeof moves[0]; i++)
		if (strcmp(action, moves[i]) == 0 && args->count > 0)
			return admin_each(s->socket, "agents", args->words, args->count, action);
	return 2;
}

int
command_agent(int argc, char **argv)
{
	struct settings settings = {0};
	struct args args;
	if (argc < 2)
		return usage();
	if (agent_is_local(argv[1]))
		return agent_local(argc - 1, argv + 1);
	int r = args_take(options, &settings, "engawa agent", argc - 1, argv + 1, &args);
	int status = r < 0 ? 2 : r > 0 ? 0 : run(argv[1], &settings, &args);
	conf_free(options, &settings);
	return status == 2 ? usage() : status;
}
