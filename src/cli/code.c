/* engawa code new | list | revoke: enrolment codes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "cli/admin.h"
#include "cli/args.h"
#include "cli/command.h"
#include "cli/table.h"

struct settings {
	char *socket, *org;
	int64_t count, hours, approve, json;
	struct conf_list networks;
};

#define AT(field) offsetof(struct settings, field)
static const struct conf_option options[] = {
	{"SOCKET", CONF_STR, AT(socket), NULL, 0, 0, "the controller's admin.sock"},
	{"ORG", CONF_STR, AT(org), NULL, 0, 0, "organisation"},
	{"COUNT", CONF_INT, AT(count), "1", 1, 100000, "how many office PCs it enrols (new)"},
	{"HOURS", CONF_INT, AT(hours), "24", 1, 8784, "how long it can be used (new)"},
	{"NETWORK", CONF_LIST, AT(networks), NULL, 0, 0,
		"from where it can be used: 10.0.0.0/8 (new)"},
	{"APPROVE", CONF_BOOL, AT(approve), "no", 0, 0,
		"the office PC needs no further approval (new)"},
	{"JSON", CONF_BOOL, AT(json), "no", 0, 0, "for machines"},
	CONF_OPTIONS_END,
};

static int
new_code(const struct settings *s, const struct args *args)
{
	char networks[512] = "";
	json_t *reply;
	if (!s->org || args->count > 0)
		return 2;
	for (size_t i = 0, used = 0; i < s->networks.count; i++, used = strlen(networks))
		if (str_print(networks + used, sizeof networks - used, "%s%s", i ? " " : "",
			    s->networks.items[i]) < 0)
			return 2;
	int status = admin_call(s->socket, "POST", "/codes",
		json_pack("{s:s, s:I, s:I, s:b, s:s}", "org", s->org, "count", (json_int_t)s->count,
			"hours", (json_int_t)s->hours, "approve", (int)s->approve, "networks",
			networks),
		&reply);
	if (status != 0)
		return status;
	if (s->json)
		json_dumpf(reply, stdout, JSON_INDENT(1));
	else
		printf("%s", json_string_value(json_object_get(reply, "code")));
	printf("\n");
	json_decref(reply);
	return 0;
}

static int
list(const struct settings *s, const struct args *args)
{
	static const struct table_column columns[] = {
		{"id", TABLE_NUMBER, {"番号", "NUMBER"}},
		{"org", TABLE_TEXT, {"団体", "ORGANISATION"}},
		{"used", TABLE_NUMBER, {"使用", "USED"}},
		{"count", TABLE_NUMBER, {"上限", "OF"}},
		{"expires_s", TABLE_TIME, {"期限", "UNTIL"}},
		{"networks", TABLE_TEXT, {"接続元", "FROM"}},
		{"approve", TABLE_BOOL, {"承認不要", "APPROVED"}},
		{"revoked", TABLE_BOOL, {"失効", "REVOKED"}},
		{NULL, TABLE_TEXT, {NULL, NULL}},
	};
	char path[128];
	if (args->count > 0 || str_print(path, sizeof path, "/codes%s%s", s->org ? "?org=" : "",
				       s->org ? s->org : "") < 0)
		return 2;
	return table_ask(s->socket, path, columns, (int)s->json);
}

static int
revoke(const struct settings *s, const struct args *args)
{
	return args->count ? admin_each(s->socket, "codes", args->words, args->count, "revoke") : 2;
}

int
command_code(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const struct settings *s, const struct args *args);
	} actions[] = {{"new", new_code}, {"list", list}, {"revoke", revoke}};
	struct settings settings = {0};
	struct args args;
	int status = 2;
	for (size_t i = 0; argc > 1 && i < sizeof actions / sizeof actions[0]; i++) {
		if (strcmp(argv[1], actions[i].name) != 0)
			continue;
		int r = args_take(options, &settings, "engawa code", argc - 1, argv + 1, &args);
		status = r < 0 ? 2 : r > 0 ? 0 : actions[i].run(&settings, &args);
		conf_free(options, &settings);
		if (status != 2)
			return status;
	}
	fprintf(stderr,
		"engawa code new --org ID [--count N] [--hours N] [--network CIDR]... [--approve]\n"
		"engawa code list [--org ID] [--json]\n"
		"engawa code revoke NUMBER...\n");
	return status;
}
