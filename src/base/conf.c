#include "base/conf.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	FILE_MAX_BYTES = 1 << 20,
	LIST_MAX = 256,
};

static const struct conf_option *
find(const struct conf_option *table, const char *key)
{
	for (; table->key; table++)
		if (strcmp(table->key, key) == 0)
			return table;
	return NULL;
}

static int
list_add(struct conf_list *list, const char *value)
{
	if (list->count >= LIST_MAX)
		return -ERANGE;
	char **items = mem_resize(list->items, list->count + 1, sizeof *items);
	if (!items)
		return -ENOMEM;
	list->items = items;
	items[list->count++] = mem_str(value);
	return 0;
}

static void
list_free(struct conf_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct conf_list){0};
}

static int
parse_bool(const char *value, int64_t *ret)
{
	if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		return -EINVAL;
	*ret = value[0] == 'y';
	return 0;
}

static int
put(const struct conf_option *option, void *settings, const char *value)
{
	void *field = (char *)settings + option->offset;
	switch (option->type) {
	case CONF_STR:
		free(*(char **)field);
		*(char **)field = mem_str(value);
		return 0;
	case CONF_INT:
		return str_int(value, option->min, option->max, field);
	case CONF_BOOL:
		return parse_bool(value, field);
	case CONF_LIST:
		return list_add(field, value);
	}
	return -EINVAL;
}

int
conf_set(const struct conf_option *table, void *settings, const char *key, const char *value,
	struct conf_error *error)
{
	const struct conf_option *option = find(table, key);
	size_t len = strlen(value);
	if (!option) {
		snprintf(error->text, sizeof error->text, "unknown key %.64s", key);
		return -ERR_SETTING;
	}
	/* what a line could not say: the dump would read back as something else */
	if (!str_printable(value) || (len > 0 && (value[0] == ' ' || value[len - 1] == ' '))) {
		snprintf(error->text, sizeof error->text,
			"%s: blanks around it, or control characters", key);
		return -ERR_SETTING;
	}
	int r = put(option, settings, value);
	if (r == -ERANGE && option->type == CONF_INT)
		snprintf(error->text, sizeof error->text, "%s must be from %lld to %lld", key,
			(long long)option->min, (long long)option->max);
	else if (r < 0)
		snprintf(error->text, sizeof error->text, "%s: bad value \"%.64s\"", key, value);
	return r < 0 ? -ERR_SETTING : 0;
}

int
conf_defaults(const struct conf_option *table, void *settings, struct conf_error *error)
{
	conf_free(table, settings);
	for (const struct conf_option *o = table; o->key; o++) {
		int r = o->fallback ? conf_set(table, settings, o->key, o->fallback, error) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

/* One file, or one command line: the first of its lines of a list takes the place of what was there
 * before. */
struct pass {
	const struct conf_option *table;
	void *settings;
	struct conf_error *error;
	uint8_t seen[256]; /* by place in the table */
};

/* 1 when the option was seen in this pass before. */
static int
see(struct pass *pass, const struct conf_option *option)
{
	size_t i = (size_t)(option - pass->table);
	assert(i < sizeof pass->seen);
	int before = pass->seen[i];
	pass->seen[i] = 1;
	if (!before && option->type == CONF_LIST)
		list_free((void *)((char *)pass->settings + option->offset));
	return before;
}

static int
on_line(void *user, const char *key, const char *value)
{
	struct pass *pass = user;
	const struct conf_option *option = find(pass->table, key);
	if (option && see(pass, option) && option->type != CONF_LIST) {
		snprintf(pass->error->text, sizeof pass->error->text, "%s is set twice", key);
		return -ERR_SETTING;
	}
	return conf_set(pass->table, pass->settings, key, value, pass->error);
}

int
conf_file(
	const struct conf_option *table, void *settings, const char *path, struct conf_error *error)
{
	struct pass pass = {table, settings, error, {0}};
	char *text;
	size_t len;
	unsigned line;
	int r = conf_read_file(path, FILE_MAX_BYTES, &text, &len);
	if (r < 0) {
		snprintf(error->text, sizeof error->text, "%.160s: %s", path, strerror(-r));
		return r;
	}
	struct conf_error inner = {"not a line of the form KEY value"};
	pass.error = &inner;
	r = conf_lines(text, len, on_line, &pass, &line);
	if (r < 0)
		snprintf(error->text, sizeof error->text, "%.100s:%u: %.120s", path, line,
			inner.text);
	free(text);
	return r;
}

void
conf_free(const struct conf_option *table, void *settings)
{
	for (const struct conf_option *o = table; o->key; o++) {
		void *field = (char *)settings + o->offset;
		if (o->type == CONF_STR) {
			free(*(char **)field);
			*(char **)field = NULL;
		} else if (o->type == CONF_LIST) {
			list_free(field);
		}
	}
}

static void
dump_option(const struct conf_option *o, const void *settings, FILE *out)
{
	const void *field = (const char *)settings + o->offset;
	const char *s;
	const struct conf_list *list;
	switch (o->type) {
	case CONF_STR:
		s = *(char *const *)field;
		if (s)
			fprintf(out, "%s %s\n", o->key, s);
		break;
	case CONF_INT:
		fprintf(out, "%s %lld\n", o->key, (long long)*(const int64_t *)field);
		break;
	case CONF_BOOL:
		fprintf(out, "%s %s\n", o->key, *(const int64_t *)field ? "yes" : "no");
		break;
	case CONF_LIST:
		list = field;
		for (size_t i = 0; i < list->count; i++)
			fprintf(out, "%s %s\n", o->key, list->items[i]);
		break;
	}
}

void
conf_dump(const struct conf_option *table, const void *settings, FILE *out)
{
	for (; table->key; table++)
		dump_option(table, settings, out);
}

void
conf_man(const struct conf_option *table, FILE *out)
{
	for (; table->key; table++) {
		fprintf(out, "*%s*\n\t%s", table->key, table->help);
		if (table->type == CONF_INT)
			fprintf(out, " From %lld to %lld.", (long long)table->min,
				(long long)table->max);
		if (table->type == CONF_BOOL)
			fprintf(out, " *yes* or *no*.");
		if (table->type == CONF_LIST)
			fprintf(out, " May be given several times.");
		if (table->fallback)
			fprintf(out, " Default: %s", table->fallback);
		fprintf(out, "\n\n");
	}
}

/* "--keepalive-s" to "KEEPALIVE_S". */
static int
option_key(const char *arg, char *out, size_t size)
{
	int r = str_copy(out, size, arg + 2);
	for (char *p = out; r == 0 && *p; p++)
		*p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
	return r;
}

static void
print_help(const struct conf_option *table, const char *program)
{
	printf("%s [--config FILE] [--KEY VALUE]...\n\n", program);
	for (; table->key; table++) {
		char name[64];
		size_t n = 0;
		for (const char *k = table->key; *k && n < sizeof name - 1; k++)
			name[n++] = *k == '_' ? '-' : (char)tolower((unsigned char)*k);
		name[n] = '\0';
		printf("  --%-24s %s\n", name, table->help);
	}
	printf("  --%-24s %s\n", "check-config", "read the settings, say ok and stop");
	printf("  --%-24s %s\n", "dump-config", "write the settings in effect and stop");
}

static int
print_and_stop(const struct conf_option *table, const void *settings, const char *program,
	const char *what)
{
	if (strcmp(what, "--version") == 0)
		printf("%s %s\n", program, ENGAWA_VERSION);
	else if (strcmp(what, "--dump-config") == 0)
		conf_dump(table, settings, stdout);
	else if (strcmp(what, "--man-options") == 0)
		conf_man(table, stdout);
	else if (strcmp(what, "--check-config") == 0)
		printf("ok\n");
	else
		print_help(table, program);
	return 1;
}

static int
is_stop(const char *arg)
{
	static const char *const stops[] = {
		"--version", "--dump-config", "--man-options", "--check-config", "--help"};
	for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++)
		if (strcmp(arg, stops[i]) == 0)
			return 1;
	return 0;
}

/* One "--key value". The file was read before. */
static int
take_option(struct pass *pass, const char *name, const char *value)
{
	char key[64];
	if (strcmp(name, "--config") == 0)
		return 0;
	if (option_key(name, key, sizeof key) < 0) {
		snprintf(pass->error->text, sizeof pass->error->text, "unknown option %.64s", name);
		return -ERR_SETTING;
	}
	const struct conf_option *option = find(pass->table, key);
	if (option)
		see(pass, option); /* a value that is given twice: the later one wins */
	return conf_set(pass->table, pass->settings, key, value, pass->error);
}

static int
take_arguments(struct pass *pass, int argc, char **argv, const char **ret_stop, int *ret_rest)
{
	int i = 1, r = 0;
	while (r == 0 && i < argc && strncmp(argv[i], "--", 2) == 0) {
		if (strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
		if (is_stop(argv[i])) {
			*ret_stop = argv[i++];
		} else if (i + 1 < argc) {
			r = take_option(pass, argv[i], argv[i + 1]);
			i += 2;
		} else {
			snprintf(pass->error->text, sizeof pass->error->text, "%.64s needs a value",
				argv[i]);
			r = -ERR_SETTING;
		}
	}
	*ret_rest = i;
	return r;
}

int
conf_main(const struct conf_option *table, void *settings, const char *program, int argc,
	char **argv, int *ret_rest)
{
	struct conf_error error = {""};
	struct pass pass = {table, settings, &error, {0}};
	const char *stop = NULL;
	int r = conf_defaults(table, settings, &error);
	/* the file first: the command line wins whatever its order */
	for (int i = 1; r == 0 && i + 1 < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--config") == 0)
			r = conf_file(table, settings, argv[i + 1], &error);
	if (r == 0)
		r = take_arguments(&pass, argc, argv, &stop, ret_rest);
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", program, error.text[0] ? error.text : strerror(abs(r)));
		return r;
	}
	return stop ? print_and_stop(table, settings, program, stop) : 0;
}
