#include "agent/policy_seen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"

enum {
	TEXT_SIZE = 32 + 2 * POLICY_CONTENT_BYTES
};

/* REVISION [CONTENT in hex] */
static int
parse(char *text, struct policy_seen *seen)
{
	int64_t revision;
	char *content = strchr(text, ' ');
	if (content)
		*content++ = '\0';
	if (str_int(text, 0, INT64_MAX, &revision) < 0 ||
		(content && str_unhex(content, seen->content, sizeof seen->content) < 0))
		return -ERR_SETTING;
	seen->revision = (uint64_t)revision;
	seen->has_content = content != NULL;
	return 0;
}

int
policy_seen_load(const char *path, struct policy_seen *ret_seen)
{
	struct policy_seen seen = {0};
	char *text;
	size_t len;
	int r = conf_read_file(path, TEXT_SIZE, &text, &len);
	if (r == 0) {
		r = strlen(text) == len ? parse(text, &seen) : -ERR_SETTING;
		free(text);
	}
	if (r < 0 && r != -ENOENT)
		return r;
	*ret_seen = seen;
	return 0;
}

int
policy_seen_save(const char *path, const struct policy_seen *seen)
{
	char text[TEXT_SIZE], content[2 * POLICY_CONTENT_BYTES + 1];
	str_hex(content, seen->content, sizeof seen->content);
	int r = str_print(
		text, sizeof text, "%llu %s", (unsigned long long)seen->revision, content);
	return r < 0 ? r : conf_write_file(path, text, strlen(text), 0600);
}

int
policy_seen_take(struct policy_seen *seen, const struct policy *policy)
{
	uint64_t revision = (uint64_t)policy->revision;
	int same = revision == seen->revision && seen->has_content;
	if (revision < seen->revision)
		return -ERR_POLICY;
	if (same)
		return memcmp(seen->content, policy->content, sizeof seen->content) == 0
			       ? 0
			       : -ERR_POLICY_FORKED;
	seen->revision = revision;
	memcpy(seen->content, policy->content, sizeof seen->content);
	seen->has_content = 1;
	return 1;
}
