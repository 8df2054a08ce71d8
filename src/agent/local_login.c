#include "agent/local_login.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "base/clock.h"
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

static int
begin_totp(struct agent *agent, char *out, size_t size)
{
	struct totp totp;
	char label[32], uri[TOTP_URI_SIZE];
	int r = factors_totp_begin(agent->factors, wall_s(), &totp);
	if (r < 0)
		return r;
	r = str_print(
		label, sizeof label, "PC %s", agent->keys.terminal_id + TERMINAL_ID_CHARS - 4);
	if (r == 0)
		r = totp_uri(&totp, label, agent->keys.org.name, uri);
	if (r == 0)
		r = str_copy(out, size, uri);
	mem_wipe(&totp, sizeof totp);
	mem_wipe(uri, sizeof uri);
	return r;
}

static int
change_totp(struct agent *agent, const char *text, char *out, size_t size)
{
	static const char confirm[] = "confirm ";
	int r;
	if (strcmp(text, "begin") == 0)
		return begin_totp(agent, out, size);
	if (strncmp(text, confirm, sizeof confirm - 1) == 0)
		r = factors_totp_confirm(agent->factors, text + sizeof confirm - 1, wall_s());
	else if (strcmp(text, "remove") == 0)
		r = factors_totp_remove(agent->factors);
	else
		return -ERR_SETTING;
	LOG(INFO, "settings.totp", F_STR("change", text[0] == 'c' ? "enrolled" : "removed"),
		F_ERR("code", r));
	return r;
}

static int
make_recovery(struct factors *factors, char *out, size_t size)
{
	char codes[RECOVERY_COUNT][RECOVERY_TEXT_SIZE];
	int r = factors_recovery_make(factors, codes);
	size_t len = 0;
	for (size_t i = 0; r == 0 && i < RECOVERY_COUNT; i++) {
		r = str_print(out + len, size - len, "%s\n", codes[i]);
		len += strlen(out + len);
	}
	mem_wipe(codes, sizeof codes);
	return r;
}

static int
change_recovery(struct agent *agent, const char *text, char *out, size_t size)
{
	int r;
	if (strcmp(text, "make") == 0)
		r = make_recovery(agent->factors, out, size);
	else if (strcmp(text, "emergency") == 0 && size >= RECOVERY_TEXT_SIZE)
		r = factors_emergency_make(agent->factors, out);
	else if (strcmp(text, "remove") == 0)
		r = factors_recovery_remove(agent->factors);
	else
		return -ERR_SETTING;
	LOG(INFO, "settings.recovery", F_STR("change", text), F_ERR("code", r));
	return r;
}

static const struct {
	uint16_t type;
	int (*fn)(struct agent *agent, const char *text, char *out, size_t size);
} commands[] = {
	{MSG_ADDRESSES, addresses},
	{MSG_TOTP, change_totp},
	{MSG_RECOVERY, change_recovery},
};
enum {
	COMMANDS = sizeof commands / sizeof commands[0]
};

int
local_login_is(uint16_t type)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (commands[i].type == type)
			return 1;
	return 0;
}

int
local_login(struct agent *agent, uint16_t type, const char *text, char *ret_answer, size_t size)
{
	int r = -ERR_PROTOCOL;
	for (size_t i = 0; i < COMMANDS; i++)
		if (commands[i].type == type)
			r = commands[i].fn(agent, text, ret_answer, size);
	return r == -ENOSPC ? -ERR_DISK_FULL : r;
}
