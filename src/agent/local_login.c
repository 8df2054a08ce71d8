#include "agent/local_login.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	WORDS_MAX = 3,
	WORD_SIZE = 64
};

/* Up to WORDS_MAX words with one space between them. Their number, or -ERR_SETTING. */
static int
split(const char *text, char words[WORDS_MAX][WORD_SIZE])
{
	int count = 0;
	while (*text) {
		size_t len = strcspn(text, " ");
		if (count == WORDS_MAX || !len || len >= WORD_SIZE)
			return -ERR_SETTING;
		memcpy(words[count], text, len);
		words[count++][len] = '\0';
		text += len + (text[len] == ' ');
	}
	return count;
}

/* Counted from 1. */
static int
take_place(const char *text, size_t *ret_place)
{
	int64_t n;
	if (str_int(text, 1, IPLIST_MAX, &n) < 0)
		return -ERR_NOT_FOUND;
	*ret_place = (size_t)n - 1;
	return 0;
}

static int
list_addresses(const struct iplist *list, size_t from, char *out, size_t size)
{
	char *text = iplist_text(list), *line = text, *rest = NULL;
	size_t len = 0, i = 0;
	if (!text)
		return -ENOMEM;
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (i++ >= from) {
			if (str_print(out + len, size - len, "%zu %s\n", i, line) < 0)
				break; /* the rest is asked for next */
			len += strlen(out + len);
		}
	free(text);
	return 0;
}

static int
save_addresses(const struct agent *agent, const struct iplist *list)
{
	char path[PATH_MAX], *text = iplist_text(list);
	int r = text ? state_path(&agent->options, "addresses", path, sizeof path) : -ENOMEM;
	if (r == 0)
		r = conf_write_file(path, text, strlen(text), 0600);
	free(text);
	return r == -ENOSPC ? -ERR_DISK_FULL : r;
}

static int
copy_addresses(const struct iplist *list, struct iplist *ret_copy)
{
	struct iplist copy = {
		.entries = mem_array(list->count + 1, sizeof *copy.entries), .count = list->count};
	if (!copy.entries)
		return -ENOMEM;
	if (list->count)
		memcpy(copy.entries, list->entries, list->count * sizeof *copy.entries);
	*ret_copy = copy;
	return 0;
}

static int
change(struct iplist *list, char words[WORDS_MAX][WORD_SIZE], int count)
{
	struct iplist_entry entry;
	size_t place = SIZE_MAX;
	int deny = strcmp(words[0], "deny") == 0, r;
	if (count == 2 && strcmp(words[0], "remove") == 0) {
		r = take_place(words[1], &place);
		return r < 0 ? r : iplist_remove(list, place);
	}
	if (count < 2 || (!deny && strcmp(words[0], "allow") != 0))
		return -ERR_SETTING;
	r = iplist_network(words[1], &entry);
	if (r == 0 && count == 3)
		r = take_place(words[2], &place);
	entry.deny = (uint8_t)deny;
	return r < 0 ? r : iplist_insert(list, place, &entry);
}

/* In force only when it is on the disk. */
static int
addresses(struct agent *agent, const char *text, char *out, size_t size)
{
	char words[WORDS_MAX][WORD_SIZE];
	struct iplist list;
	size_t from;
	int count = split(text, words);
	if (count == 2 && strcmp(words[0], "list") == 0) {
		int r = take_place(words[1], &from);
		return r < 0 ? r : list_addresses(&agent->addresses, from, out, size);
	}
	int r = count < 1 ? -ERR_SETTING : copy_addresses(&agent->addresses, &list);
	if (r < 0)
		return r;
	r = change(&list, words, count);
	if (r == 0)
		r = save_addresses(agent, &list);
	LOG(INFO, "settings.addresses", F_STR("change", text), F_ERR("code", r));
	if (r < 0) {
		iplist_fini(&list);
		return r;
	}
	iplist_fini(&agent->addresses);
	agent->addresses = list;
	return 0;
}

int
local_login_is(uint16_t type)
{
	return type == MSG_ADDRESSES;
}

int
local_login(struct agent *agent, uint16_t type, const char *text, char *ret_answer, size_t size)
{
	(void)type;
	return addresses(agent, text, ret_answer, size);
}
