/* The office PCs that a watermark may have been made by, as "engawa agent list --json" has them. */
#pragma once
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "mark/code.h"

enum {
	WATERMARK_AGENTS_MAX = 200000
};

struct watermark_agents {
	json_t *list;                    /* owned */
	uint8_t (*keys)[MARK_KEY_BYTES]; /* by row, one for each that has a key; owned */
	size_t *rows;                    /* of the list; owned */
	size_t count;
};

/* From the file, or where it is NULL from the controller at socket. 0, or 1 after command_fail. */
int watermark_agents_load(const char *file, const char *socket,
	const uint8_t org_secret[static MARK_KEY_BYTES], struct watermark_agents *ret_agents);
/* Wipes the keys. */
void watermark_agents_fini(struct watermark_agents *agents);
/* A text of the office PC with the key-th key, "" when it has none. */
const char *watermark_agents_text(
	const struct watermark_agents *agents, size_t key, const char *name);
