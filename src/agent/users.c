#define _XOPEN_SOURCE 700 /* strptime */
#include "agent/users.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utf8proc.h>

#include "agent/password.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/str.h"

enum {
	FILE_MAX_BYTES = USERS_MAX * 512
};

int
user_method_fit(const char *method)
{
	return strcmp(method, "pam") == 0 || strcmp(method, "radius") == 0 ||
	       strcmp(method, "ldap") == 0;
}

int
user_certificate_fit(const char *verifier)
{
	const char *hash = verifier + sizeof USER_PIN - 1;
	if (strncmp(verifier, USER_PIN, sizeof USER_PIN - 1) != 0)
		return strcmp(verifier, USER_CERTIFICATE) == 0;
	return strlen(hash) == 64 && strspn(hash, "0123456789abcdef") == 64;
}

int
user_by_certificate(const struct user *user)
{
	return user_certificate_fit(user->verifier);
}

size_t
users_certificates(const struct users *users)
{
	size_t count = 0;
	for (size_t i = 0; users && i < users->count; i++)
		count += user_by_certificate(&users->list[i]) != 0;
	return count;
}

const struct user *
users_verifier(const struct users *users, const char *verifier)
{
	for (size_t i = 0; i < users->count; i++)
		if (strcmp(users->list[i].verifier, verifier) == 0)
			return &users->list[i];
	return NULL;
}

int
user_date_fit(const char *date)
{
	struct tm day = {0};
	char again[USER_DATE_SIZE];
	const char *end = strptime(date, "%Y-%m-%d", &day);
	if (!end || *end || strlen(date) != USER_DATE_SIZE - 1)
		return 0;
	day.tm_isdst = -1;
	day.tm_hour = 12;
	struct tm same = day;
	if (mktime(&same) == (time_t)-1 || strftime(again, sizeof again, "%Y-%m-%d", &same) == 0)
		return 0;
	return strcmp(again, date) == 0; /* not the 31st of a short month */
}

int
user_expired(const struct user *user, uint64_t now_s)
{
	time_t now = (time_t)now_s;
	struct tm day;
	char today[USER_DATE_SIZE];
	if (!user->expires[0])
		return 0;
	/* a clock that makes no date closes */
	return !localtime_r(&now, &day) || strftime(today, sizeof today, "%Y-%m-%d", &day) == 0 ||
	       strcmp(today, user->expires) > 0;
}

int
user_fold(const char *name, char ret_name[static USER_NAME_SIZE])
{
	utf8proc_uint8_t *folded = NULL;
	ret_name[0] = '\0';
	if (!str_printable(name) ||
		utf8proc_map((const utf8proc_uint8_t *)name, 0, &folded,
			UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT |
				UTF8PROC_CASEFOLD | UTF8PROC_IGNORE) < 0)
		return -ERR_PERSON_NAME;
	char *text = (char *)folded;
	int fits = text[0] && str_printable(text) && text[0] != '-' &&
		   (!strpbrk(text, " \t*/\\()<>=,;:\"'&|!#%") || strcmp(text, USER_EVERYBODY) == 0);
	int r = fits ? str_copy(ret_name, USER_NAME_SIZE, text) : -ERR_PERSON_NAME;
	free(folded);
	return r < 0 ? -ERR_PERSON_NAME : 0;
}

/* USER verifier last-day|- on|off name */
static int
on_line(void *user, const char *key, const char *value)
{
	struct users *users = user;
	char state[4], name[USER_NAME_SIZE], text[1024], *rest, *word[4];
	if (strcmp(key, "USER") != 0 || users->count == USERS_MAX ||
		str_copy(text, sizeof text, value) < 0)
		return -ERR_SETTING;
	for (int i = 0; i < 4; i++)
		if (!(word[i] = strtok_r(i ? NULL : text, " ", &rest)))
			return -ERR_SETTING;
	struct user *u = &users->list[users->count];
	*u = (struct user){.disabled = strcmp(word[2], "off") == 0};
	if (*rest || str_copy(u->verifier, sizeof u->verifier, word[0]) < 0 ||
		(!password_is_hash(word[0]) && !user_method_fit(word[0]) &&
			!user_certificate_fit(word[0])) ||
		str_copy(state, sizeof state, word[2]) < 0 ||
		(strcmp(state, "on") != 0 && !u->disabled) || user_fold(word[3], name) < 0 ||
		strcmp(name, word[3]) != 0 || users_row(users, name))
		return -ERR_SETTING;
	if (strcmp(word[1], "-") != 0 &&
		(!user_date_fit(word[1]) || str_copy(u->expires, sizeof u->expires, word[1]) < 0))
		return -ERR_SETTING;
	strcpy(u->name, name); /* of the same size */
	users->count++;
	return 0;
}

int
users_parse(const char *text, size_t len, struct users *ret_users)
{
	unsigned line;
	ret_users->count = 0;
	return conf_lines(text, len, on_line, ret_users, &line) < 0 ? -ERR_SETTING : 0;
}

int
users_load(const char *path, struct users *ret_users, struct conf_error *error)
{
	ret_users->count = 0;
	int r = conf_load(path, FILE_MAX_BYTES, on_line, ret_users, error);
	return r == -ENOENT ? 0 : r;
}

char *
users_text(const struct users *users)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	if (!out)
		return NULL;
	for (size_t i = 0; i < users->count; i++) {
		const struct user *u = &users->list[i];
		fprintf(out, "USER %s %s %s %s\n", u->verifier, u->expires[0] ? u->expires : "-",
			u->disabled ? "off" : "on", u->name);
	}
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

int
users_save(const char *path, const struct users *users)
{
	char *text = users_text(users);
	int r = text ? conf_write_file(path, text, strlen(text), 0600) : -ENOMEM;
	free(text);
	return r;
}

struct user *
users_row(struct users *users, const char *name)
{
	for (size_t i = 0; i < users->count; i++)
		if (strcmp(users->list[i].name, name) == 0)
			return &users->list[i];
	return NULL;
}

const struct user *
users_find(const struct users *users, const char *name)
{
	struct users *table = (struct users *)(uintptr_t)users;
	if (!name[0] || strcmp(name, USER_EVERYBODY) == 0)
		return NULL;
	const struct user *own = users_row(table, name);
	return own ? own : users_row(table, USER_EVERYBODY);
}

int
users_admit(const struct users *users, const char *name)
{
	const struct user *user = users ? users_find(users, name) : NULL;
	return user && !user->disabled;
}

void
user_key(const char *name, uint8_t ret_key[static USER_KEY_BYTES])
{
	SHA256((const uint8_t *)name, strlen(name), ret_key);
}
