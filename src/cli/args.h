/* Arguments of a command: options of a conf.h table anywhere, words between them, yes/no options as
 * bare flags too. */
#pragma once
#include "base/conf.h"

enum {
	ARGS_MAX = 1024
};

struct args {
	const char *words[ARGS_MAX];
	int count;
};

/* argv[0] is the command's own name. 0 to go on, 1 when all is done (--help), negative after a
 * failure was written to stderr. */
int args_take(const struct conf_option *table, void *settings, const char *program, int argc,
	char **argv, struct args *ret_args);
