#include "agent/lastgood.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	LINE_SIZE = sizeof "GOOD " + 64 + 1 + 20 + 1,
	FILE_MAX_BYTES = LASTGOOD_MAX * LINE_SIZE
};

struct row {
	uint8_t hash[32];
	uint64_t at_s;
};

struct list {
	size_t count;
	struct row rows[LASTGOOD_MAX];
};

/* GOOD hash seconds */
static int
on_line(void *user, const char *key, const char *value)
{
	struct list *list = user;
	struct row *row = &list->rows[list->count];
	char hash[65];
	int64_t at_s;
	const char *space = strchr(value, ' ');
	if (list->count == LASTGOOD_MAX || strcmp(key, "GOOD") != 0 || !space ||
		space - value != 64)
		return -ERR_SETTING;
	memcpy(hash, value, 64);
	hash[64] = '\0';
	if (str_unhex(hash, row->hash, sizeof row->hash) < 0 ||
		str_int(space + 1, 1, INT64_MAX, &at_s) < 0)
		return -ERR_SETTING;
	row->at_s = (uint64_t)at_s;
	list->count++;
	return 0;
}

static struct list *
load(const char *path)
{
	struct list *list = mem_new(sizeof *list);
	char *text;
	size_t len;
	unsigned line;
	int r = conf_read_file(path, FILE_MAX_BYTES, &text, &len);
	if (r < 0)
		return list;
	if (conf_lines(text, len, on_line, list, &line) < 0)
		list->count = 0; /* what is not known was never good */
	free(text);
	return list;
}

static struct row *
find(struct list *list, const uint8_t hash[static 32])
{
	for (size_t i = 0; i < list->count; i++)
		if (memcmp(list->rows[i].hash, hash, 32) == 0)
			return &list->rows[i];
	return NULL;
}

uint64_t
lastgood_find(const char *path, const uint8_t hash[static 32])
{
	struct list *list = load(path);
	const struct row *row = find(list, hash);
	uint64_t at_s = row ? row->at_s : 0;
	free(list);
	return at_s;
}

/* A row for it: its own, a new one, or the oldest one's. */
static struct row *
place(struct list *list, const uint8_t hash[static 32])
{
	struct row *row = find(list, hash);
	if (!row && list->count < LASTGOOD_MAX)
		row = &list->rows[list->count++];
	if (!row) {
		row = &list->rows[0];
		for (size_t i = 1; i < list->count; i++)
			if (list->rows[i].at_s < row->at_s)
				row = &list->rows[i];
	}
	memcpy(row->hash, hash, 32);
	return row;
}

static int
save(const char *path, const struct list *list)
{
	char *text = mem_array(LASTGOOD_MAX, LINE_SIZE), hash[65];
	size_t len = 0;
	if (!text)
		return -ENOMEM;
	for (size_t i = 0; i < list->count; i++) {
		if (!list->rows[i].at_s)
			continue;
		str_hex(hash, list->rows[i].hash, 32);
		len += (size_t)snprintf(text + len, LINE_SIZE, "GOOD %s %llu\n", hash,
			(unsigned long long)list->rows[i].at_s);
	}
	int r = conf_write_file(path, text, len, 0600);
	free(text);
	return r;
}

int
lastgood_set(const char *path, const uint8_t hash[static 32], uint64_t now_s)
{
	struct list *list = load(path);
	int r = 0;
	if (now_s || find(list, hash)) {
		place(list, hash)->at_s = now_s;
		r = save(path, list);
	}
	free(list);
	return r;
}
