#include "crypto/orgtrust.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "crypto/orghandover.h"

enum {
	KNOWN_MAX_BYTES = 1024,
	KNOWN_MODE = 0600
};

struct known {
	char id[64];
	uint8_t signing_key[SIGN_POINT_BYTES];
	int64_t revision;
	uint8_t content[32]; /* of that revision; not in files of versions before */
	unsigned seen;       /* one bit a line */
};
enum {
	SEEN_NEEDED = 7,
	SEEN_CONTENT = 8,
	LINES = 4
};

static int
on_line(void *user, const char *key, const char *value)
{
	static const char *const names[LINES] = {
		"ORGANISATION", "SIGNING_KEY", "REVISION", "CONTENT"};
	struct known *known = user;
	size_t len = 0, i = 0;
	while (i < LINES && strcmp(names[i], key) != 0)
		i++;
	if (i == LINES || (known->seen & 1U << i))
		return -ERR_SETTING;
	known->seen |= 1U << i;
	int r = i == 0   ? str_copy(known->id, sizeof known->id, value)
		: i == 1 ? str_unbase64(value, strlen(value), known->signing_key,
				   sizeof known->signing_key, &len)
		: i == 2 ? str_int(value, 1, INT64_MAX, &known->revision)
			 : str_unhex(value, known->content, sizeof known->content);
	return r < 0 || (i == 1 && len != SIGN_POINT_BYTES) ? -ERR_SETTING : 0;
}

/* 0, -ENOENT, -ERR_SETTING, -errno. */
static int
load(const char *path, struct known *known)
{
	char *text;
	size_t len;
	unsigned line;
	int r = conf_read_secret(path, KNOWN_MAX_BYTES, &text, &len);
	if (r < 0)
		return r == -EFBIG ? -ERR_SETTING : r;
	r = conf_lines(text, len, on_line, known, &line);
	free(text);
	return r == 0 && (known->seen & SEEN_NEEDED) != SEEN_NEEDED ? -ERR_SETTING : r;
}

static int
save(const char *path, const struct orgfile *org)
{
	char text[KNOWN_MAX_BYTES], key[SIGN_POINT_BYTES * 4 / 3 + 8], hash[65];
	str_base64(key, org->signing_key, sizeof org->signing_key);
	str_hex(hash, org->hash, sizeof org->hash);
	int r = str_print(text, sizeof text,
		"ORGANISATION %s\nSIGNING_KEY %s\nREVISION %llu\nCONTENT %s\n", org->id, key,
		(unsigned long long)org->revision, hash);
	return r < 0 ? r : conf_write_file(path, text, strlen(text), KNOWN_MODE);
}

int
org_has_fingerprint(const struct orgfile *org, const char *text)
{
	char own[ORGFILE_FINGERPRINT_SIZE];
	const char *p = own;
	orgfile_fingerprint(org, own);
	for (; *text; text++) {
		if (*text == ' ' || *text == '-')
			continue;
		p += *p == ' ';
		if (tolower((unsigned char)*text) != *p)
			return 0;
		p++;
	}
	return *p == '\0';
}

/* Any answer but yes in full is no. */
static int
ask(const struct orgfile *org, enum err_lang lang)
{
	char fingerprint[ORGFILE_FINGERPRINT_SIZE], answer[16];
	int ja = lang == ERR_LANG_JA, terminal = isatty(STDIN_FILENO);
	orgfile_fingerprint(org, fingerprint);
	fprintf(stderr,
		ja ? "初めて使う団体ファイルです。\n  団体  %s (%s)\n  指紋  %s\n"
		   : "This organisation file is used for the first time.\n"
		     "  Organisation  %s (%s)\n  Fingerprint   %s\n",
		org->name, org->id, fingerprint);
	if (!terminal)
		return -ERR_ORG_UNCONFIRMED;
	fputs(ja ? "団体から知らされた指紋と同じですか (yes/no): "
		 : "Is this the fingerprint that the organisation told you (yes/no)? ",
		stderr);
	int yes = fgets(answer, sizeof answer, stdin) && strcmp(answer, "yes\n") == 0;
	return yes ? 0 : -ERR_ORG_UNCONFIRMED;
}

/* What is remembered against the file. 0 the same, 1 there is more to remember, or negative. */
static int
compare(const struct known *known, const struct orgfile *org)
{
	int same_key = memcmp(known->signing_key, org->signing_key, SIGN_POINT_BYTES) == 0;
	if (strcmp(known->id, org->id) != 0 ||
		(!same_key && !orghandover_leads(org, known->signing_key)))
		return -ERR_ORG_CHANGED;
	if (org->revision < (uint64_t)known->revision)
		return -ERR_ORG_OLD;
	if (org->revision > (uint64_t)known->revision)
		return 1;
	if (!same_key || ((known->seen & SEEN_CONTENT) &&
				 memcmp(known->content, org->hash, sizeof org->hash) != 0))
		return -ERR_ORG_FORKED;
	return !(known->seen & SEEN_CONTENT);
}

/* Whoever named the fingerprint may have done so before the key was handed over; not for the first
 * use, when nothing says that it was still the organisation who did. */
static int
is_named(const struct orgfile *org, const char *fingerprint, int first)
{
	int named = org_has_fingerprint(org, fingerprint);
	for (size_t i = 0; !first && !named && i < org->handover_count; i++) {
		struct orgfile before = {0};
		memcpy(before.signing_key, org->handovers[i].point, SIGN_POINT_BYTES);
		named = org_has_fingerprint(&before, fingerprint);
	}
	return named;
}

int
org_trust(const char *known_path, const struct orgfile *org, const char *fingerprint,
	enum err_lang lang)
{
	struct known known = {.seen = 0};
	int r = load(known_path, &known), first = r == -ENOENT;
	if (r < 0 && !first)
		return r;
	int newer = first ? 1 : compare(&known, org);
	if (newer < 0)
		return newer;
	if (fingerprint && !is_named(org, fingerprint, first))
		return -ERR_ORG_FINGERPRINT;
	r = first && !fingerprint ? ask(org, lang) : 0;
	return r == 0 && newer ? save(known_path, org) : r;
}
