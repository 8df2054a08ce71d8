/*
 * One number for each way to fail. Functions return 0, -errno (system, below 200) or -ERR_X (ours).
 * The table with texts is err.def; docs/errors.md and the web client's texts are generated from it.
 */
#pragma once
#include <stddef.h>

enum err {
#define ERR(name, number, fault, ja, ja_next, en, en_next) ERR_##name = number,
#include "base/err.def"
#undef ERR
};

enum err_fault { ERR_FAULT_PEER, ERR_FAULT_LOCAL, ERR_FAULT_CONFIG, ERR_FAULT_PERSON };

enum err_lang { ERR_LANG_JA, ERR_LANG_EN };

struct err_entry {
	int number;
	const char *name; /* "CODE_WRONG" */
	enum err_fault fault;
	const char *what[2]; /* by enum err_lang */
	const char *next[2];
};

/* All entries in the order of err.def; static storage. */
const struct err_entry *err_table(size_t *ret_count);

/* Entry of a number (either sign), NULL when it is not ours. */
const struct err_entry *err_find(int number);

/* Name for logs: "CODE_WRONG", or strerrorname_np's "EIO", or "UNKNOWN". Never NULL. */
const char *err_name(int number);

/* Text for people: what happened. strerror's text for -errno. Never NULL. */
const char *err_text(int number, enum err_lang lang);

/* "ja" or "ja_JP.UTF-8" gives Japanese, NULL or anything else English. */
enum err_lang err_lang(const char *locale);
