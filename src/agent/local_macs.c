#include "agent/local_macs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

int
local_macs_open(struct agent *agent, char *path, size_t size, struct conf_error *error)
{
	struct conf_error why = {""};
	size_t len;
	int r = state_path(&agent->options, "macs", path, size);
	if (r == 0)
		r = conf_read_file(path, LOCAL_MACS_MAX_BYTES, &agent->macs_text, &len);
	if (r == -ENOENT) {
		agent->macs_text = mem_str("");
		return 0;
	}
	if (r == 0)
		r = maclist_parse(agent->macs_text, len, &agent->macs, &why);
	if (r < 0)
		snprintf(error->text, sizeof error->text, "%.150s: %.100s", path, why.text);
	return r;
}

void
local_macs_close(struct agent *agent)
{
	maclist_fini(&agent->macs);
	free(agent->macs_text);
	agent->macs_text = NULL;
}

/* The new text as the list, once it is on the disk. Takes text over. */
static int
put(struct agent *agent, char *text)
{
	char path[256];
	struct conf_error why = {""};
	struct maclist list = {0};
	size_t len = strlen(text);
	int r = len > LOCAL_MACS_MAX_BYTES ? -ERR_LIMIT : maclist_parse(text, len, &list, &why);
	if (r == 0)
		r = state_path(&agent->options, "macs", path, sizeof path);
	if (r == 0)
		r = conf_write_file(path, text, len, 0600);
	if (r < 0) {
		maclist_fini(&list);
		free(text);
		return r == -ENOSPC ? -ERR_DISK_FULL : r;
	}
	local_macs_close(agent);
	agent->macs = list;
	agent->macs_text = text;
	return 0;
}

/* MAC[ COMMENT] */
static int
add(struct agent *agent, const char *rest)
{
	uint8_t mac[MAC_BYTES];
	char text[MAC_TEXT_SIZE], *all;
	size_t len = strcspn(rest, " ");
	int r = mac_parse(rest, len, mac);
	if (r < 0)
		return r;
	if (maclist_has(&agent->macs, mac))
		return -ERR_EXISTS;
	mac_text(mac, text);
	size_t old = strlen(agent->macs_text);
	int newline = old > 0 && agent->macs_text[old - 1] != '\n';
	if (asprintf(&all, "%s%s%s%s%s\n", agent->macs_text, newline ? "\n" : "", text,
		    rest[len] ? " # " : "", rest[len] ? rest + len + 1 : "") < 0)
		return -ENOMEM;
	r = put(agent, all);
	LOG(INFO, "settings.mac", F_STR("add", text), F_ERR("code", r));
	return r;
}

static int
line_has(const char *line, size_t len, const uint8_t *mac)
{
	struct maclist list;
	struct conf_error why;
	int has = maclist_parse(line, len, &list, &why) == 0 && maclist_has(&list, mac);
	if (has)
		maclist_fini(&list);
	return has;
}

static int
remove_mac(struct agent *agent, const char *rest)
{
	uint8_t mac[MAC_BYTES];
	char text[MAC_TEXT_SIZE];
	int r = mac_parse(rest, strlen(rest), mac);
	if (r < 0)
		return r;
	if (!maclist_has(&agent->macs, mac))
		return -ERR_NOT_FOUND;
	char *left = mem_str(agent->macs_text), *out = left;
	for (const char *line = agent->macs_text; *line;) {
		size_t len = strcspn(line, "\n") + (strchr(line, '\n') != NULL);
		if (!line_has(line, len, mac)) {
			memmove(out, line, len);
			out += len;
		}
		line += len;
	}
	*out = '\0';
	mac_text(mac, text);
	r = put(agent, left);
	LOG(INFO, "settings.mac", F_STR("remove", text), F_ERR("code", r));
	return r;
}

static int
list(const struct agent *agent, const char *rest, char *out, size_t size)
{
	int64_t from;
	size_t used = 0;
	const char *line = agent->macs_text;
	if (str_int(rest, 1, INT32_MAX, &from) < 0)
		return -ERR_SETTING;
	for (; *line && from > 1; from--)
		line += strcspn(line, "\n") + (strchr(line, '\n') != NULL);
	while (*line) {
		size_t len = strcspn(line, "\n");
		if (used + len + 2 > size)
			break; /* the rest is asked for next */
		memcpy(out + used, line, len);
		out[used + len] = '\n';
		used += len + 1;
		line += len + (line[len] == '\n');
	}
	out[used] = '\0';
	return 0;
}

int
local_macs(struct agent *agent, const char *text, char *ret_answer, size_t size)
{
	if (strncmp(text, "list ", 5) == 0)
		return list(agent, text + 5, ret_answer, size);
	if (strncmp(text, "add ", 4) == 0)
		return add(agent, text + 4);
	if (strncmp(text, "remove ", 7) == 0)
		return remove_mac(agent, text + 7);
	return -ERR_SETTING;
}
