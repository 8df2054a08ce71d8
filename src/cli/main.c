#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/command.h"
#include "client/token_ask.h"

static const struct {
	const char *name;
	command_fn *run;
	const char *summary[2];
} commands[] = {
#define COMMAND(name, ja, en) { #name, command_##name, { ja, en } },
#include "cli/commands.def"
#undef COMMAND
};

enum err_lang
command_language(void)
{
	/* the environment and not setlocale: our texts need no locale data of the system */
	static const char *const names[] = { "LC_ALL", "LC_MESSAGES", "LANG" };
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		const char *value = getenv(names[i]);
		if (value && *value)
			return err_lang(value);
	}
	return ERR_LANG_EN;
}

int
command_fail(int code, const char *detail)
{
	const struct err_entry *entry = err_find(code);
	fprintf(stderr, "engawa: %s%s%s", detail ? detail : "", detail ? ": " : "", err_text(code, command_language()));
	if (entry)
		fprintf(stderr, "\n        %s (EW-%d)", entry->next[command_language()], entry->number);
	fprintf(stderr, "\n");
	return 1;
}

int
command_error(int r)
{
	static const struct {
		int error, code;
	} same[] = {{EEXIST, ERR_EXISTS}, {ENOENT, ERR_NOT_FOUND}, {ENOTDIR, ERR_NOT_FOUND},
		{EACCES, ERR_DENIED}, {EPERM, ERR_DENIED}, {EROFS, ERR_DENIED},
		{ENOSPC, ERR_DISK_FULL}, {EDQUOT, ERR_DISK_FULL}};
	for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
		if (-r == same[i].error)
			return same[i].code;
	return -r;
}

static int
usage(FILE *out)
{
	fprintf(out, "engawa %s\n\n", ENGAWA_VERSION);
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		fprintf(out, "  engawa %-12s %s\n", commands[i].name, commands[i].summary[command_language()]);
	return out == stdout ? 0 : 2;
}

int
main(int argc, char **argv)
{
	setlocale(LC_ALL, "");
	if (argc < 2)
		return usage(stderr);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)
		return usage(stdout);
	if (strcmp(argv[1], "--version") == 0) {
		printf("engawa %s\n", ENGAWA_VERSION);
		return 0;
	}
	if (strcmp(argv[1], TOKEN_HELPER) == 0) /* connect starts us so */
		return token_helper();
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "engawa: %s?\n", argv[1]);
	return usage(stderr);
}
