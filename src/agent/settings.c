#include "agent/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/password.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	FILE_MAX_BYTES = 4096
};

static int
take_hash(char out[static SETTINGS_HASH_SIZE], const char *value)
{
	if (!password_is_hash(value) || str_copy(out, SETTINGS_HASH_SIZE, value) < 0)
		return -ERR_SETTING;
	return 0;
}

static int
take_time(const char *value, uint64_t *ret_s)
{
	int64_t s;
	if (str_int(value, 1, INT64_MAX, &s) < 0)
		return -ERR_SETTING;
	*ret_s = (uint64_t)s;
	return 0;
}

/* until address */
static int
take_next(struct settings *s, const char *value)
{
	char until[24];
	size_t len = strcspn(value, " ");
	if (!value[len] || len >= sizeof until)
		return -ERR_SETTING;
	memcpy(until, value, len);
	until[len] = '\0';
	if (take_time(until, &s->mail_next_until_s) < 0 || !settings_mail_fit(value + len + 1))
		return -ERR_SETTING;
	return str_copy(s->mail_next, sizeof s->mail_next, value + len + 1);
}

static int
on_line(void *user, const char *key, const char *value)
{
	struct settings *s = user;
	if (strcmp(key, "MAIL") == 0)
		return settings_mail_fit(value) ? str_copy(s->mail, sizeof s->mail, value)
						: -ERR_SETTING;
	if (strcmp(key, "PASSWORD") == 0)
		return take_hash(s->password, value);
	if (strcmp(key, "LOCK") == 0)
		return take_hash(s->lock, value);
	if (strcmp(key, "MAIL_NEXT") == 0)
		return take_next(s, value);
	if (strcmp(key, "MAIL_BACK") == 0)
		return take_time(value, &s->mail_back_s);
	return -ERR_SETTING;
}

int
settings_parse(const char *text, size_t len, struct settings *ret_settings)
{
	struct settings settings = {.mail = ""};
	unsigned line;
	int r = conf_lines(text, len, on_line, &settings, &line);
	if (r == 0)
		*ret_settings = settings;
	mem_wipe(&settings, sizeof settings);
	return r < 0 ? -ERR_SETTING : 0;
}

int
settings_load(const char *path, struct settings *ret_settings, struct conf_error *error)
{
	struct settings settings = {.mail = ""};
	int r = conf_load(path, FILE_MAX_BYTES, on_line, &settings, error);
	if (r == 0 || r == -ENOENT)
		*ret_settings = settings;
	mem_wipe(&settings, sizeof settings);
	return r == -ENOENT ? 0 : r;
}

static int
put_line(char *text, size_t size, const char *key, const char *value)
{
	size_t len = strlen(text);
	return value[0] ? str_print(text + len, size - len, "%s %s\n", key, value) : 0;
}

int
settings_text(const struct settings *settings, char out[static SETTINGS_TEXT_SIZE])
{
	char next[SETTINGS_MAIL_SIZE + 24] = "";
	out[0] = '\0';
	int r = put_line(out, SETTINGS_TEXT_SIZE, "MAIL", settings->mail);
	if (r == 0)
		r = put_line(out, SETTINGS_TEXT_SIZE, "PASSWORD", settings->password);
	if (r == 0)
		r = put_line(out, SETTINGS_TEXT_SIZE, "LOCK", settings->lock);
	if (r == 0 && settings->mail_next[0])
		r = str_print(next, sizeof next, "%llu %s",
			(unsigned long long)settings->mail_next_until_s, settings->mail_next);
	if (r == 0)
		r = put_line(out, SETTINGS_TEXT_SIZE, "MAIL_NEXT", next);
	next[0] = '\0';
	if (r == 0 && settings->mail_back_s)
		r = str_print(next, sizeof next, "%llu", (unsigned long long)settings->mail_back_s);
	return r < 0 ? r : put_line(out, SETTINGS_TEXT_SIZE, "MAIL_BACK", next);
}

int
settings_save(const char *path, const struct settings *settings)
{
	char text[SETTINGS_TEXT_SIZE];
	int r = settings_text(settings, text);
	if (r == 0)
		r = conf_write_file(path, text, strlen(text), 0600);
	mem_wipe(text, sizeof text);
	return r;
}

static int
is_mail_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       strchr("._+-'=/&~^!#$*", c);
}

/* One local part, one '@', a domain of letters, digits, dots and hyphens: narrower than RFC 5321,
 * so that nothing in it can mean anything to a mail program. */
int
settings_mail_fit(const char *address)
{
	const char *at = strchr(address, '@');
	size_t len = strlen(address);
	if (!at || at == address || at - address > 64 || len >= SETTINGS_MAIL_SIZE ||
		address[0] == '-')
		return 0;
	for (const char *p = address; p < at; p++)
		if (!is_mail_char(*p))
			return 0;
	const char *domain = at + 1;
	if (!*domain || *domain == '.' || *domain == '-' || domain[strlen(domain) - 1] == '.' ||
		strstr(domain, ".."))
		return 0;
	for (const char *p = domain; *p; p++)
		if (!(*p == '.' || *p == '-' || (is_mail_char(*p) && !strchr("_+'=/&~^!#$*", *p))))
			return 0;
	return 1;
}

void
settings_mail_mask(const char *address, char *out, size_t size)
{
	const char *at = strchr(address, '@');
	if (!at || str_print(out, size, "%c***%s", address[0], at) < 0)
		out[0] = '\0';
}

int
settings_password_fit(const char *text)
{
	unsigned kinds = 0, chars = 0, count = 0;
	if (strlen(text) > PASSWORD_MAX_BYTES || !str_printable(text))
		return -ERR_PASSWORD_WEAK;
	for (const char *p = text; *p; p++) {
		if (((unsigned char)*p & 0xc0) == 0x80)
			continue; /* not the first byte of a character */
		chars++;
		kinds |= *p >= 'a' && *p <= 'z'   ? 1u
			 : *p >= 'A' && *p <= 'Z' ? 2u
			 : *p >= '0' && *p <= '9' ? 4u
						  : 8u;
	}
	for (unsigned k = kinds; k; k >>= 1)
		count += k & 1;
	return (chars >= PASSWORD_MIN_CHARS && count >= 3) || (chars >= 16 && count >= 2) ||
			       chars >= 24
		       ? 0
		       : -ERR_PASSWORD_WEAK;
}
