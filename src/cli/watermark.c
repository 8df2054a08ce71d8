/* engawa watermark read | key: whose screen a photograph shows. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/args.h"
#include "cli/command.h"
#include "cli/org_file.h"
#include "cli/watermark_agents.h"
#include "crypto/seal.h"
#include "mark/read.h"

enum {
	LINE_MAX_BYTES = 4096, /* of a log */
	CORNERS = 8,
};

struct settings {
	char *key, *agents, *socket, *corners, *dir, *user;
	struct conf_list logs;
	int64_t json;
};

#define AT(field) offsetof(struct settings, field)
static const struct conf_option options[] = {
	{"KEY", CONF_STR, AT(key), NULL, 0, 0, "watermark.key of the organisation (read)"},
	{"AGENTS", CONF_STR, AT(agents), NULL, 0, 0,
		"what engawa agent list --json has written; else the controller is asked (read)"},
	{"SOCKET", CONF_STR, AT(socket), NULL, 0, 0, "the controller's admin.sock (read)"},
	{"CORNERS", CONF_STR, AT(corners), NULL, 0, 0,
		"x,y of the screen on the photograph: upper left, upper right, lower right, lower left (read)"},
	{"LOG", CONF_LIST, AT(logs), NULL, 0, 0,
		"log of an office PC, to be searched for the session (read)"},
	{"USER", CONF_STR, AT(user), "nobody", 0, 0,
		"whom the process that opens the photograph becomes when started as root (read)"},
	{"DIR", CONF_STR, AT(dir), NULL, 0, 0, "directory of the organisation's keys (key)"},
	{"JSON", CONF_BOOL, AT(json), "no", 0, 0, "for machines (read)"},
	CONF_OPTIONS_END,
};

static int
take_corners(const char *text, double ret_corners[static CORNERS])
{
	for (int i = 0; i < CORNERS; i++) {
		char *end;
		ret_corners[i] = strtod(text, &end);
		if (end == text || *end != (i == CORNERS - 1 ? '\0' : ','))
			return -EINVAL;
		text = end + 1;
	}
	return 0;
}

/* A process that examines the photograph. 0 or 1 after command_fail. */
static int
start_reader(const struct settings *s, const char *path, struct reader *ret_reader)
{
	double corners[CORNERS];
	if (s->corners && take_corners(s->corners, corners) < 0)
		return command_fail(ERR_SETTING, "--corners");
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int r = fd < 0 ? -errno
		       : reader_start(fd, s->user, s->corners ? corners : NULL, ret_reader);
	if (fd >= 0)
		close(fd);
	return r < 0 ? command_fail(command_error(r), path) : 0;
}

/* One way after the other, until there is a mark. 0 or 1 after command_fail. */
static int
look(struct reader *reader, const char *path, const struct watermark_agents *agents,
	struct mark_reading *ret_reading)
{
	static struct mark_table tables[MARK_TABLES_MAX];
	int r = -ERR_MARK_UNREADABLE, over = 0;
	while (r == -ERR_MARK_UNREADABLE && !over) {
		int count = reader_next(reader, tables, &over);
		if (count < 0)
			r = count;
		else if (count > 0)
			r = mark_decode(tables, (size_t)count,
				(const uint8_t(*)[MARK_KEY_BYTES])agents->keys, agents->count,
				ret_reading);
	}
	if (r == -EINVAL)
		return command_fail(ERR_SETTING, "--corners");
	return r < 0 ? command_fail(command_error(r), path) : 0;
}

static void
time_text(uint64_t s, char *out, size_t size)
{
	time_t t = (time_t)s;
	struct tm tm;
	if (!localtime_r(&t, &tm) || !strftime(out, size, "%Y-%m-%d %H:%M:%S %Z", &tm))
		snprintf(out, size, "%llu", (unsigned long long)s);
}

/* What a log says of the session: lines with session=CODE. Control characters do not reach the
 * terminal. Returns the lines as JSON, or NULL with errno. */
static json_t *
search_log(const char *path, const char *session)
{
	char line[LINE_MAX_BYTES], field[sizeof "session=" + MARK_SESSION_SIZE];
	json_t *found = json_array();
	FILE *file = fopen(path, "re");
	if (!file) {
		json_decref(found);
		return NULL;
	}
	str_print(field, sizeof field, "session=%s", session);
	while (fgets(line, sizeof line, file)) {
		line[strcspn(line, "\r\n")] = '\0';
		if (strstr(line, field) && str_printable(line))
			json_array_append_new(found, json_string(line));
	}
	fclose(file);
	return found;
}

static int
search_logs(const struct settings *s, const char *session, json_t *ret_lines)
{
	for (size_t i = 0; i < s->logs.count; i++) {
		json_t *lines = search_log(s->logs.items[i], session);
		if (!lines)
			return command_fail(command_error(-errno), s->logs.items[i]);
		json_array_extend(ret_lines, lines);
		json_decref(lines);
	}
	return 0;
}

static void
print_words(const struct settings *s, const struct watermark_agents *agents,
	const struct mark_reading *m, const json_t *lines)
{
	static const struct {
		const char *name, *words[2];
	} rows[] = {{"terminal_id", {"端末ID", "Terminal ID"}},
		{"computer", {"コンピューター名", "Computer"}}, {"org", {"団体", "Organisation"}},
		{"id", {"内部ID", "Internal ID"}}};
	int japanese = command_language() == ERR_LANG_JA;
	char time[64];
	time_text(m->mark.started_s, time, sizeof time);
	printf("%s: %s\n", japanese ? "接続コード" : "Session", m->mark.session);
	printf("%s: %s\n", japanese ? "開始日時" : "Started", time);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		printf("%s: %s\n", rows[i].words[japanese ? ERR_LANG_JA : ERR_LANG_EN],
			watermark_agents_text(agents, m->key, rows[i].name));
	for (size_t i = 0; i < json_array_size(lines); i++)
		printf("  %s\n", json_string_value(json_array_get(lines, i)));
	if (s->logs.count && json_array_size(lines) == 0)
		printf("%s\n", japanese ? "指定された記録に、この接続はありません。"
					: "The logs that were given do not have this session.");
}

static int
print(const struct settings *s, const struct watermark_agents *agents, const struct mark_reading *m)
{
	json_t *lines = json_array();
	int status = search_logs(s, m->mark.session, lines);
	if (status == 0 && s->json) {
		json_t *all = json_pack("{s:s, s:I, s:s, s:s, s:s, s:s, s:O}", "session",
			m->mark.session, "started_s", (json_int_t)m->mark.started_s, "terminal_id",
			watermark_agents_text(agents, m->key, "terminal_id"), "computer",
			watermark_agents_text(agents, m->key, "computer"), "org",
			watermark_agents_text(agents, m->key, "org"), "agent",
			watermark_agents_text(agents, m->key, "id"), "log", lines);
		status = !all || json_dumpf(all, stdout, JSON_INDENT(1)) < 0;
		putchar('\n');
		json_decref(all);
	} else if (status == 0) {
		print_words(s, agents, m, lines);
	}
	json_decref(lines);
	return status;
}

static int
read_photo(const struct settings *s, const struct args *args)
{
	uint8_t secret[MARK_KEY_BYTES], public[MARK_KEY_BYTES];
	struct watermark_agents agents = {0};
	struct mark_reading reading;
	struct reader reader;
	if (args->count != 1 || !s->key)
		return 2;
	/* before there is a key in this process */
	if (start_reader(s, args->words[0], &reader) != 0)
		return 1;
	int r = seal_key_load(s->key, secret, public);
	int status = r < 0 ? command_fail(command_error(r), s->key)
			   : watermark_agents_load(s->agents, s->socket, secret, &agents);
	mem_wipe(secret, sizeof secret);
	if (status == 0)
		status = look(&reader, args->words[0], &agents, &reading);
	reader_end(&reader);
	if (status == 0)
		status = print(s, &agents, &reading);
	watermark_agents_fini(&agents);
	return status;
}

static int
make_key(const struct settings *s, const struct args *args)
{
	if (args->count > 0 || !s->dir)
		return 2;
	int r = org_watermark_key(s->dir);
	return r < 0 ? command_fail(command_error(r), s->dir) : 0;
}

static int
usage(void)
{
	fprintf(stderr,
		"engawa watermark read PHOTO --key FILE [--agents FILE | --socket PATH] [--corners X,Y,X,Y,X,Y,X,Y]\n"
		"                      [--log FILE]... [--json]\n"
		"engawa watermark key --dir ORGDIR\n");
	return 2;
}

int
command_watermark(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const struct settings *s, const struct args *args);
	} actions[] = {{"read", read_photo}, {"key", make_key}};
	struct settings settings = {0};
	struct args args;
	int status = 2;
	for (size_t i = 0; argc > 1 && i < sizeof actions / sizeof actions[0]; i++) {
		if (strcmp(argv[1], actions[i].name) != 0)
			continue;
		int r = args_take(
			options, &settings, "engawa watermark", argc - 1, argv + 1, &args);
		umask(077);
		status = r < 0 ? 2 : r > 0 ? 0 : actions[i].run(&settings, &args);
		conf_free(options, &settings);
	}
	return status == 2 ? usage() : status;
}
