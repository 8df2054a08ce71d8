/* Which passwords may be chosen. The rules hold when one is set, never when somebody logs in. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "agent/password.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	LIST_MAX_BYTES = 64 << 20,
	NAME_MIN_BYTES = 4,
	REST_MIN_CHARS = 4, /* beside a name */
	UNIT_MAX_BYTES = 8
};

/* What everybody tries first, here and elsewhere; an organisation adds its own file. */
static const char *const common[] = {"password", "password1", "password12", "password123",
	"password1234", "passw0rd", "p@ssw0rd", "p@ssword", "administrator", "administrator1",
	"qwertyuiop", "qwerty123", "qwerty1234", "qwertyui", "1qaz2wsx", "1q2w3e4r", "1q2w3e4r5t",
	"zaq12wsx", "asdfghjk", "asdfghjkl", "zxcvbnm1", "1qaz2wsx3edc", "1qaz2wsx3edc4rfv",
	"qazwsxedc", "iloveyou", "sunshine", "princess", "football", "baseball", "superman",
	"starwars", "trustno1", "whatever", "welcome1", "welcome123", "changeme", "letmein1",
	"computer", "internet", "dragon123", "master123", "monkey123", "sakura123", "sakurasakura",
	"doraemon", "pokemon1", "nintendo", "himitsu1", "himitsu123", "nihonjin", "yokohama",
	"arigatou", "konnichiwa", "aishiteru", "daisuki1", "okinawa1", "hokkaido",
	"passwordpassword", "correcthorsebatterystaple", "telework", "telework1", "telework123",
	"terewaku", "jichitai", "jichitai1", "shiyakusho", "kuyakusho", "kencho123", "koumuin1",
	"engawa123", "engawa1234", "abcd1234", "abc12345", "abcdefg1", "a1b2c3d4", "aa123456",
	"q1w2e3r4", "pass1234", "pass12345", "test1234", "admin123", "admin1234", "root1234",
	"user1234", "guest123", "パスワード", "ぱすわーど"};

/* Without case and width, so that "Ｐassword" is on the list too. */
static char *
folded(const char *text)
{
	utf8proc_uint8_t *out = NULL;
	if (utf8proc_map((const utf8proc_uint8_t *)text, 0, &out,
		    UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT |
			    UTF8PROC_CASEFOLD) < 0)
		return NULL;
	return (char *)out;
}

static size_t
count_chars(const char *text)
{
	size_t n = 0;
	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

/* "aaaaaaaa", "12341234", "abcdefgh", "87654321". */
static int
is_pattern(const char *text)
{
	size_t len = strlen(text);
	for (size_t unit = 1; unit <= UNIT_MAX_BYTES && 2 * unit <= len; unit++)
		if (strncmp(text, text + unit, len - unit) == 0)
			return 1;
	uint32_t first, next;
	size_t n = str_utf8_next(text, &first);
	if (!text[n])
		return 1;
	str_utf8_next(text + n, &next);
	int32_t step = (int32_t)(next - first);
	if (step != 1 && step != -1)
		return 0;
	for (text += n; *text; text += n) {
		n = str_utf8_next(text, &next);
		if ((int32_t)(next - first) != step)
			return 0;
		first = next;
	}
	return 1;
}

/* Little but one of the names. */
static int
is_name(const char *text, const char *name)
{
	size_t len = strlen(name);
	const char *at = strstr(text, name);
	if (len < NAME_MIN_BYTES || !at)
		return 0;
	return count_chars(text) < count_chars(name) + REST_MIN_CHARS;
}

static int
in_file(const char *path, const char *text)
{
	char *list;
	size_t len;
	int r = conf_read_file(path, LIST_MAX_BYTES, &list, &len);
	if (r < 0)
		return r;
	char *state, *line = strtok_r(list, "\r\n", &state);
	for (; line && r == 0; line = strtok_r(NULL, "\r\n", &state)) {
		char *word = folded(line);
		r = word && strcmp(word, text) == 0;
		free(word);
	}
	free(list);
	return r;
}

static int
check_lists(const char *text, const struct password_choice *choice)
{
	if (is_pattern(text))
		return -ERR_PASSWORD_GUESSABLE;
	for (size_t i = 0; i < PASSWORD_NAMES_MAX; i++) {
		char *name = folded(choice->names[i]);
		int found = name && is_name(text, name);
		free(name);
		if (found)
			return -ERR_PASSWORD_GUESSABLE;
	}
	for (size_t i = 0; i < sizeof common / sizeof common[0]; i++)
		if (strcmp(text, common[i]) == 0)
			return -ERR_PASSWORD_LISTED;
	int r = choice->list[0] ? in_file(choice->list, text) : 0;
	return r > 0 ? -ERR_PASSWORD_LISTED : r;
}

static int
check_length(const char *normal, const struct password_choice *choice)
{
	size_t least = choice->waived  ? PASSWORD_WAIVED_CHARS
		       : choice->alone ? PASSWORD_ALONE_CHARS
				       : PASSWORD_MIN_CHARS;
	if (choice->kinds && !choice->waived)
		return settings_password_fit(normal);
	return count_chars(normal) >= least ? 0 : -ERR_PASSWORD_SHORT;
}

int
password_fit(const char *text, const struct password_choice *choice)
{
	if (strlen(text) > PASSWORD_MAX_BYTES || !str_printable(text))
		return -ERR_PASSWORD_WEAK;
	char *normal = password_normal(text), *fold = folded(text);
	int r = normal && fold ? check_length(normal, choice) : -ENOMEM;
	if (r == 0 && !choice->waived)
		r = check_lists(fold, choice);
	mem_wipe_free(normal, normal ? strlen(normal) : 0);
	mem_wipe_free(fold, fold ? strlen(fold) : 0);
	return r;
}
