/*
 * Settings: one option table per program gives the parser of its file and command line, --check-config,
 * --dump-config and the options part of its man page. A file has lines "KEY value", '#' comments; on the command
 * line the same option is --key value (lower case, '-' for '_'). An unknown key is an error with its line.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum conf_type {
	CONF_STR,  /* char *, NULL when unset */
	CONF_INT,  /* int64_t, within [min, max] */
	CONF_BOOL, /* int64_t, 0 or 1; written yes/no */
	CONF_LIST, /* struct conf_list; the key may repeat */
};

struct conf_list {
	char **items;
	size_t count;
};

struct conf_option {
	const char *key; /* "KEEPALIVE_S" */
	enum conf_type type;
	size_t offset; /* of the field in the program's settings struct */
	const char *fallback; /* default as text, NULL = unset */
	int64_t min, max; /* INT */
	const char *help; /* English, one line; man pages have it too */
};

/* Ends a table. */
#define CONF_OPTIONS_END { NULL, CONF_STR, 0, NULL, 0, 0, NULL }

/* First failure in words: "gate.conf:12: unknown key FOO". */
struct conf_error {
	char text[256];
};

/* Puts all defaults; settings must be zeroed or made by an earlier call. 0 or -ERR_SETTING. */
int conf_defaults(const struct conf_option *table, void *settings, struct conf_error *error);
/* One key; name is for the message. A list is appended to. */
int conf_set(const struct conf_option *table, void *settings, const char *key, const char *value,
	struct conf_error *error);
/* Reads a file of at most 1 MiB. 0, -errno or -ERR_SETTING. */
int conf_file(const struct conf_option *table, void *settings, const char *path, struct conf_error *error);
void conf_free(const struct conf_option *table, void *settings);

/* The effective settings, in a form that conf_file reads back to the same. */
void conf_dump(const struct conf_option *table, const void *settings, FILE *out);
/* scdoc text of the table for the man page. */
void conf_man(const struct conf_option *table, FILE *out);

/*
 * What every program's main does with its arguments: defaults, --config FILE, --key value, --check-config, --dump-config,
 * --man-options, --version, --help. Returns 0 to go on, 1 when all is done (exit 0), negative after a failure was
 * written to stderr (exit 2). *ret_rest is the index of the first argument that is no option.
 */
int conf_main(const struct conf_option *table, void *settings, const char *program, int argc, char **argv,
	int *ret_rest);

/*
 * The line reader below it all, also for organisation and policy files: calls on_line(key, value) for each
 * "KEY value". Bounded: lines of at most 8 KiB, UTF-8 with optional BOM, CRLF or LF, no control characters.
 * on_line returns 0 or negative to stop. Returns 0, on_line's value, or -ERR_SETTING; *ret_line is the line it ended at.
 */
typedef int conf_line_fn(void *user, const char *key, const char *value);
int conf_lines(const char *text, size_t len, conf_line_fn *on_line, void *user, unsigned *ret_line);

/* Whole file into a NUL-terminated heap string of at most max bytes. 0, -errno, -EFBIG. */
int conf_read_file(const char *path, size_t max, char **ret_text, size_t *ret_len);

/*
 * A program's own file, read line by line and wiped. 0, -errno (-ENOENT), -EFBIG, on_line's value, or -ERR_SETTING; then
 * error (may be NULL) says in which line: "/var/lib/x/settings:3: ...".
 */
int conf_load(const char *path, size_t max, conf_line_fn *on_line, void *user, struct conf_error *error);

/* conf_read_file for keys and passwords: -EPERM when group or others may read or write the file. Wipe it. */
int conf_read_secret(const char *path, size_t max, char **ret_text, size_t *ret_len);
/* A password or a PIN, alone in such a file: its first line, without the end, which may be empty. -EFBIG for a line that does
 * not fit into size bytes with a NUL, or with much behind it; -ERR_SETTING for one with a NUL. Wipe it. */
int conf_read_secret_line(const char *path, char *ret_text, size_t size);

/*
 * Writes path so that a crash or a full disk leaves the old file or the new one: temporary (PATH.new-XXXXXX), fsync, rename,
 * fsync of the directory. What a crash leaves of a temporary is removed by conf_sweep. The only way the programs write files
 * they keep.
 */
int conf_write_file(const char *path, const void *data, size_t len, unsigned mode);

/* The same for a file that must not be there yet: -EEXIST. For keys, which nothing may ever overwrite. */
int conf_write_new(const char *path, const void *data, size_t len, unsigned mode);

/* Removes the temporaries of writes that were interrupted; only for who alone writes there. 0 or -errno. */
int conf_sweep(const char *directory);
