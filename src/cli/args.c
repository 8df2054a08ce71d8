#include "cli/args.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct conf_option *
find(const struct conf_option *table, const char *arg)
{
	for (; table->key; table++) {
		const char *k = table->key, *a = arg + 2;
		while (*k && (*k == '_' ? *a == '-' : *a == tolower((unsigned char)*k))) {
			k++;
			a++;
		}
		if (!*k && !*a)
			return table;
	}
	return NULL;
}

static int
is_yes_no(const char *s)
{
	return s && (strcmp(s, "yes") == 0 || strcmp(s, "no") == 0);
}

int
args_take(const struct conf_option *table, void *settings, const char *program, int argc,
	char **argv, struct args *ret_args)
{
	static char yes[] = "yes";
	char *sorted[2 * ARGS_MAX];
	int n = 0, rest, only_words = 0;
	struct args args = {.count = 0};
	if (argc > ARGS_MAX)
		return -E2BIG;
	sorted[n++] = argv[0];
	for (int i = 1; i < argc; i++) {
		if (only_words || strncmp(argv[i], "--", 2) != 0) {
			args.words[args.count++] = argv[i];
			continue;
		}
		only_words = strcmp(argv[i], "--") == 0;
		if (only_words)
			continue;
		const struct conf_option *option = find(table, argv[i]);
		sorted[n++] = argv[i];
		if (option && option->type == CONF_BOOL &&
			!is_yes_no(argv[i + 1])) /* argv ends with NULL */
			sorted[n++] = yes;
		else if ((option || strcmp(argv[i], "--config") == 0) && i + 1 < argc)
			sorted[n++] = argv[++i];
	}
	sorted[n] = NULL;
	int r = conf_main(table, settings, program, n, sorted, &rest);
	if (r == 0)
		*ret_args = args;
	return r;
}
