/* The engawa command: one file per command group, all listed in commands.def. */
#pragma once
#include "base/err.h"

/* argv[0] is the command's own name. Returns the exit status: 0, 1 failed, 2 usage. Results go to stdout, failures as
 * command_fail writes them. */
typedef int command_fn(int argc, char **argv);

#define COMMAND(name, summary_ja, summary_en) command_fn command_##name;
#include "cli/commands.def"
#undef COMMAND

/* "engawa: detail: what happened / what to do (EW-324)" in the locale's language to stderr; detail may be NULL. Returns 1. */
int command_fail(int code, const char *detail);

/* Of the person, by the environment. */
enum err_lang command_language(void);

/* The code of a failure, system errors as entries of the catalogue where it has one: for command_fail. */
int command_error(int r);
