#include "cli/gate_status.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/args.h"
#include "cli/command.h"

enum {
	ANSWER_MAX_BYTES = 4 << 20,
	TIME_S = 5,
	WHOLE = 1000
};

struct settings {
	char *socket;
	int64_t json;
};

#define AT(field) offsetof(struct settings, field)
static const struct conf_option options[] = {
	{"SOCKET", CONF_STR, AT(socket), "/run/engawa/gate.sock", 0, 0,
		"the gate's METRICS_SOCKET"},
	{"JSON", CONF_BOOL, AT(json), "no", 0, 0, "for machines"},
	CONF_OPTIONS_END,
};

static const struct row {
	const char *key, *name[2];
} rows[] = {
	{"workers", {"ワーカー", "workers"}},
	{"agents", {"待機中の庁内PC", "office PCs waiting"}},
	{"sessions", {"利用中のセッション", "sessions"}},
	{"connections", {"接続", "connections"}},
	{"half_open", {"名乗る前の接続", "connections half open"}},
	{"memory_mib", {"送信待ちのバッファ (MiB)", "buffers (MiB)"}},
	{"sessions_started", {"開始したセッション (累計)", "sessions started"}},
	{"sessions_resumed", {"再接続したセッション (累計)", "sessions resumed"}},
	{"to_client_bytes", {"接続元へ送ったバイト (累計)", "bytes to clients"}},
	{"to_agent_bytes", {"庁内PCへ送ったバイト (累計)", "bytes to office PCs"}},
	{"handshakes_failed", {"失敗したTLSハンドシェイク (累計)", "TLS handshakes failed"}},
};

/* With a label: one line each, but for those that have nothing to say. */
static const struct family {
	const char *key, *label, *title[2];
	int is_part; /* permille of a rate; what is whole is not divided */
} families[] = {
	{"limit_reached", "limit", {"上限に達した回数", "limits that were reached"}, 0},
	{"sessions_ended", "name",
		{"セッションの終了の理由", "sessions by the reason of their end"}, 0},
	{"connections_closed", "name",
		{"接続の終了の理由", "connections by the reason of their end"}, 0},
	{"organisation_to_client_bytes", "organisation",
		{"団体ごとの送信バイト", "bytes to clients, by organisation"}, 0},
	{"organisation_agents", "organisation",
		{"団体ごとの待機中の庁内PC", "office PCs waiting, by organisation"}, 0},
	{"organisation_sessions_now", "organisation",
		{"団体ごとの利用中のセッション", "sessions, by organisation"}, 0},
	{"organisation_refused", "organisation",
		{"団体の上限のため断った回数", "refused for an organisation's limits"}, 0},
	{"organisation_share", "organisation",
		{"団体の帯域のうちこのゲートの分 (残りは他のゲート)",
			"this gate's part of an organisation's rate (other gates have the rest)"},
		1},
	{"prefecture_share", "prefecture",
		{"都道府県の帯域のうちこのゲートの分 (都道府県番号ごと、残りは他のゲート)",
			"this gate's part of a prefecture's rate, by its number (other gates have the rest)"},
		1},
};

static int
dial(const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	const struct timeval time = {.tv_sec = TIME_S};
	if (str_copy(un.sun_path, sizeof un.sun_path, path) < 0)
		return -ENAMETOOLONG;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
	if (connect(fd, (const struct sockaddr *)&un, sizeof un) < 0) {
		int r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

/* The whole answer, with a zero behind it; the heap. */
static int
ask(const char *path, char **ret_text)
{
	static const char request[] = "GET /metrics HTTP/1.0\r\n\r\n";
	int fd = dial(path);
	if (fd < 0)
		return fd;
	char *text = mem_array(ANSWER_MAX_BYTES, 1);
	size_t len = 0;
	ssize_t n = text ? send(fd, request, sizeof request - 1, MSG_NOSIGNAL) : -1;
	while (n > 0 && (n = recv(fd, text + len, ANSWER_MAX_BYTES - 1 - len, 0)) > 0)
		len += (size_t)n;
	close(fd);
	const char *end = "# EOF\n";
	if (n < 0 || len < strlen(end) || strcmp(text + len - strlen(end), end) != 0) {
		free(text);
		return -ERR_CLOSED;
	}
	*ret_text = text;
	return 0;
}

/* {a="b",c="d"} into an object. */
static json_t *
labels(char *text)
{
	json_t *out = json_object();
	while (*text && *text != '}') {
		char *equal = strstr(text, "=\""), *quote = equal ? strchr(equal + 2, '"') : NULL;
		if (!quote)
			break;
		*equal = *quote = '\0';
		json_object_set_new(out, text, json_string(equal + 2));
		text = quote + 1 + (quote[1] == ',');
	}
	return out;
}

/* One sample: a number, or one of the rows of a family with labels. */
static void
add_sample(json_t *root, char *line)
{
	static const char prefix[] = "engawa_gate_";
	char *space = strrchr(line, ' '), *brace = strchr(line, '{');
	if (!space || strncmp(line, prefix, sizeof prefix - 1) != 0)
		return;
	json_t *value = json_integer(strtoll(space + 1, NULL, 10));
	*space = '\0';
	if (brace)
		*brace = '\0';
	char *name = line + sizeof prefix - 1, *total = strstr(name, "_total");
	if (total)
		*total = '\0';
	if (!brace) {
		json_object_set_new(root, name, value);
		return;
	}
	json_t *list = json_object_get(root, name), *row = labels(brace + 1);
	if (!list)
		json_object_set_new(root, name, list = json_array());
	json_object_set_new(row, "value", value);
	json_array_append_new(list, row);
}

static json_t *
parse(char *text)
{
	json_t *root = json_object();
	char *state, *body = strstr(text, "\r\n\r\n");
	for (char *line = strtok_r(body ? body : text, "\n", &state); line;
		line = strtok_r(NULL, "\n", &state))
		if (*line != '#')
			add_sample(root, line);
	return root;
}

static void
print_family(const json_t *root, const struct family *family, int ja)
{
	size_t i;
	json_t *row;
	int first = 1;
	json_array_foreach(json_object_get(root, family->key), i, row)
	{
		json_int_t value = json_integer_value(json_object_get(row, "value"));
		const char *name = json_string_value(json_object_get(row, family->label));
		if (!name || value == (family->is_part ? WHOLE : 0))
			continue;
		if (first)
			printf("\n%s\n", family->title[ja ? 0 : 1]);
		first = 0;
		if (family->is_part)
			printf("  %-32s %.1f%%\n", name, (double)value / 10);
		else
			printf("  %-32s %" JSON_INTEGER_FORMAT "\n", name, value);
	}
}

static void
print_table(const json_t *root)
{
	int ja = command_language() == ERR_LANG_JA;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		printf("%" JSON_INTEGER_FORMAT "\t%s\n",
			json_integer_value(json_object_get(root, rows[i].key)),
			rows[i].name[ja ? 0 : 1]);
	for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
		print_family(root, &families[i], ja);
}

static int
status(const struct settings *settings)
{
	char *text;
	int r = ask(settings->socket, &text);
	if (r < 0)
		return command_fail(r == -EACCES || r == -EPERM ? ERR_DENIED
				    : r == -ENOENT              ? ERR_NOT_FOUND
								: ERR_CLOSED,
			settings->socket);
	json_t *root = parse(text);
	free(text);
	if (settings->json) {
		json_dumpf(root, stdout, JSON_INDENT(1) | JSON_SORT_KEYS);
		printf("\n");
	} else {
		print_table(root);
	}
	json_decref(root);
	return 0;
}

int
gate_status(int argc, char **argv)
{
	struct settings settings = {0};
	struct args args;
	int r = args_take(options, &settings, "engawa gate status", argc, argv, &args);
	int result = r < 0 || (r == 0 && args.count > 0) ? 2 : 0;
	if (r == 0 && result == 0)
		result = status(&settings);
	conf_free(options, &settings);
	if (result == 2)
		fprintf(stderr, "engawa gate status [--socket PATH] [--json]\n");
	return result;
}
