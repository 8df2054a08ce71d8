#include "agent/local_passkeys.h"

#include <errno.h>
#include <string.h>

#include "agent/agent.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"

static int
list(const struct passkeys *passkeys, size_t from, char *out, size_t size)
{
	const struct passkey *key;
	size_t len = 0;
	for (size_t i = from; (key = passkeys_at(passkeys, i)); i++) {
		if (str_print(out + len, size - len, "%zu %llu %llu %s %s\n", i + 1,
			    (unsigned long long)key->made_s, (unsigned long long)key->used_s,
			    key->person[0] ? key->person : "-", key->label) < 0)
			break; /* the rest is asked for next */
		len += strlen(out + len);
	}
	return 0;
}

/* A key without a person would be everybody's where there are several. */
static int
add(struct agent *agent, const char *text, char *out, size_t size)
{
	char person[USER_NAME_SIZE], folded[USER_NAME_SIZE] = "";
	size_t len = strcspn(text, " ");
	if (len >= sizeof person || !text[len] || size < PAPER_TEXT_SIZE)
		return -ERR_SETTING;
	memcpy(person, text, len);
	person[len] = '\0';
	if (strcmp(person, "-") != 0 && user_fold(person, folded) < 0)
		return -ERR_PERSON_NAME;
	if ((agent->users->count > 0) != (folded[0] != '\0'))
		return -ERR_PERSON_NAME;
	if (folded[0] && !users_find(agent->users, folded))
		return -ERR_NOT_FOUND;
	int r = passkeys_begin(agent->passkeys, folded, text + len + 1, wall_s(), out);
	LOG(INFO, "settings.key", F_STR("change", "open"), F_STR("label", text + len + 1),
		F_STR("person", folded), F_ERR("code", r));
	return r;
}

static int
remove_key(struct agent *agent, const char *number)
{
	int64_t n;
	if (str_int(number, 1, PASSKEYS_MAX, &n) < 0)
		return -ERR_NOT_FOUND;
	const struct passkey *key = passkeys_at(agent->passkeys, (size_t)n - 1);
	struct passkey gone = key ? *key : (struct passkey){0};
	int r = passkeys_remove(agent->passkeys, (size_t)n - 1);
	LOG(INFO, "settings.key", F_STR("change", "removed"), F_STR("label", gone.label),
		F_ERR("code", r));
	return r;
}

int
local_passkeys(struct agent *agent, const char *text, char *ret_answer, size_t size)
{
	int64_t n;
	int r = -ERR_SETTING;
	if (strncmp(text, "list ", 5) == 0)
		r = str_int(text + 5, 1, PASSKEYS_MAX + 1, &n) < 0
			    ? -ERR_NOT_FOUND
			    : list(agent->passkeys, (size_t)n - 1, ret_answer, size);
	else if (strncmp(text, "add ", 4) == 0)
		r = add(agent, text + 4, ret_answer, size);
	else if (strncmp(text, "remove ", 7) == 0)
		r = remove_key(agent, text + 7);
	else if (strcmp(text, "cancel") == 0)
		r = passkeys_cancel(agent->passkeys);
	return r == -ENOSPC ? -ERR_DISK_FULL : r;
}
