#include "agent/passkeys.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/webauthn.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	FILE_MAX_BYTES = 65536,
	HASH_BYTES = SHA256_DIGEST_LENGTH
};

struct passkeys {
	char *path;
	size_t count;
	struct passkey list[PASSKEYS_MAX];
	struct {
		uint64_t until_s; /* 0 = none */
		uint8_t hash[HASH_BYTES];
		char person[USER_NAME_SIZE], label[PASSKEY_LABEL_SIZE];
	} open;
};

/* ---- file ---- */

/* The next word. */
static int
take_word(const char **text, char *out, size_t size)
{
	size_t len = strcspn(*text, " ");
	if (!len || len >= size || !(*text)[len])
		return -ERR_SETTING;
	memcpy(out, *text, len);
	out[len] = '\0';
	*text += len + 1;
	return 0;
}

static int
take_number(const char **text, int64_t min, int64_t max, int64_t *ret)
{
	char word[24];
	int r = take_word(text, word, sizeof word);
	return r == 0 && str_int(word, min, max, ret) == 0 ? 0 : -ERR_SETTING;
}

static int
take_hex(const char **text, uint8_t *out, size_t size, size_t *ret_len)
{
	char word[2 * PASSKEY_PUBLIC_MAX + 1];
	int r = take_word(text, word, sizeof word);
	size_t len = r == 0 ? strlen(word) / 2 : 0;
	if (r < 0 || !len || len > size || strlen(word) != 2 * len || str_unhex(word, out, len) < 0)
		return -ERR_SETTING;
	*ret_len = len;
	return 0;
}

static int
label_fit(const char *label)
{
	return label[0] && strlen(label) < PASSKEY_LABEL_SIZE && str_printable(label) &&
	       label[0] != ' ' && label[strlen(label) - 1] != ' ' && label[0] != '-';
}

/* person|- label */
static int
take_names(
	const char *text, char person[static USER_NAME_SIZE], char label[static PASSKEY_LABEL_SIZE])
{
	char word[USER_NAME_SIZE];
	if (take_word(&text, word, sizeof word) < 0 || !label_fit(text))
		return -ERR_SETTING;
	person[0] = '\0';
	if (strcmp(word, "-") != 0 && (user_fold(word, person) < 0 || strcmp(word, person) != 0))
		return -ERR_SETTING;
	return str_copy(label, PASSKEY_LABEL_SIZE, text);
}

static int
read_open(struct passkeys *p, const char *value)
{
	int64_t until;
	size_t len;
	int r = take_hex(&value, p->open.hash, HASH_BYTES, &len);
	if (r == 0)
		r = take_number(&value, 1, INT64_MAX, &until);
	if (r == 0)
		r = take_names(value, p->open.person, p->open.label);
	if (r < 0 || len != HASH_BYTES)
		return -ERR_SETTING;
	p->open.until_s = (uint64_t)until;
	return 0;
}

static int
read_key(struct passkeys *p, const char *value)
{
	int64_t algorithm, counter, made, used;
	struct passkey key = {0};
	int r = take_number(&value, INT32_MIN, INT32_MAX, &algorithm);
	if (r == 0)
		r = take_number(&value, 0, UINT32_MAX, &counter);
	if (r == 0)
		r = take_number(&value, 0, INT64_MAX, &made);
	if (r == 0)
		r = take_number(&value, 0, INT64_MAX, &used);
	if (r == 0)
		r = take_hex(&value, key.credential, sizeof key.credential, &key.credential_len);
	if (r == 0)
		r = take_hex(&value, key.public_key, sizeof key.public_key, &key.public_key_len);
	if (r == 0)
		r = take_names(value, key.person, key.label);
	if (r < 0)
		return r;
	key.algorithm = (int32_t)algorithm;
	key.counter = (uint32_t)counter;
	key.made_s = (uint64_t)made;
	key.used_s = (uint64_t)used;
	if (!webauthn_key_fit(key.algorithm, key.public_key, key.public_key_len) ||
		passkeys_find(p, key.credential, key.credential_len))
		return -ERR_SETTING;
	p->list[p->count++] = key;
	return 0;
}

static int
on_line(void *user, const char *key, const char *value)
{
	struct passkeys *p = user;
	if (strcmp(key, "KEY") == 0 && p->count < PASSKEYS_MAX)
		return read_key(p, value);
	if (strcmp(key, "OPEN") == 0 && !p->open.until_s)
		return read_open(p, value);
	return -ERR_SETTING;
}

int
passkeys_parse(const char *text, size_t len, struct passkeys **ret_passkeys)
{
	struct passkeys *p = mem_new(sizeof *p);
	unsigned line;
	int r = conf_lines(text, len, on_line, p, &line);
	if (r < 0)
		passkeys_free(p);
	else
		*ret_passkeys = p;
	return r;
}

int
passkeys_open(const char *path, struct passkeys **ret_passkeys, struct conf_error *error)
{
	struct passkeys *p = mem_new(sizeof *p);
	int r = conf_load(path, FILE_MAX_BYTES, on_line, p, error);
	if (r < 0 && r != -ENOENT) {
		passkeys_free(p);
		return r;
	}
	p->path = mem_str(path);
	*ret_passkeys = p;
	return 0;
}

void
passkeys_free(struct passkeys *passkeys)
{
	if (!passkeys)
		return;
	free(passkeys->path);
	mem_wipe_free(passkeys, sizeof *passkeys);
}

static const char *
or_hyphen(const char *text)
{
	return text[0] ? text : "-";
}

static void
print_key(FILE *out, const struct passkey *key)
{
	char credential[2 * PASSKEY_CREDENTIAL_MAX + 1], public[2 * PASSKEY_PUBLIC_MAX + 1];
	str_hex(credential, key->credential, key->credential_len);
	str_hex(public, key->public_key, key->public_key_len);
	fprintf(out, "KEY %d %u %llu %llu %s %s %s %s\n", (int)key->algorithm,
		(unsigned)key->counter, (unsigned long long)key->made_s,
		(unsigned long long)key->used_s, credential, public, or_hyphen(key->person),
		key->label);
}

static int
save(const struct passkeys *p)
{
	char *text = NULL, hash[2 * HASH_BYTES + 1];
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < p->count; i++)
		print_key(out, &p->list[i]);
	if (p->open.until_s) {
		str_hex(hash, p->open.hash, HASH_BYTES);
		fprintf(out, "OPEN %s %llu %s %s\n", hash, (unsigned long long)p->open.until_s,
			or_hyphen(p->open.person), p->open.label);
	}
	int r = fclose(out) == 0 ? conf_write_file(p->path, text, len, 0600) : -ENOMEM;
	free(text);
	return r;
}

/* In force only when it is on the disk: a change that cannot be written is taken back. */
static struct passkeys *
copy(const struct passkeys *p)
{
	struct passkeys *changed = mem_new(sizeof *changed);
	*changed = *p;
	return changed;
}

static int
commit(struct passkeys *p, struct passkeys *changed, int r)
{
	if (r == 0)
		r = save(changed);
	if (r == 0)
		*p = *changed;
	mem_wipe_free(changed, sizeof *changed);
	return r;
}

/* ---- the table ---- */

size_t
passkeys_count(const struct passkeys *passkeys)
{
	return passkeys ? passkeys->count : 0;
}

const struct passkey *
passkeys_at(const struct passkeys *passkeys, size_t i)
{
	return i < passkeys_count(passkeys) ? &passkeys->list[i] : NULL;
}

const struct passkey *
passkeys_find(const struct passkeys *passkeys, const uint8_t *credential, size_t len)
{
	for (size_t i = 0; i < passkeys_count(passkeys); i++) {
		const struct passkey *key = &passkeys->list[i];
		if (key->credential_len == len && memcmp(key->credential, credential, len) == 0)
			return key;
	}
	return NULL;
}

static void
hash_code(const char *folded, uint8_t out[static HASH_BYTES])
{
	SHA256((const uint8_t *)folded, strlen(folded), out);
}

int
passkeys_begin(struct passkeys *p, const char *person, const char *label, uint64_t now_s,
	char ret_code[static PAPER_TEXT_SIZE])
{
	char folded[PAPER_FOLDED_SIZE];
	if (p->count == PASSKEYS_MAX)
		return -ERR_LIMIT;
	if (!label_fit(label))
		return -ERR_SETTING;
	struct passkeys *changed = copy(p);
	int r = person[0] ? user_fold(person, changed->open.person) : 0;
	if (!person[0])
		changed->open.person[0] = '\0';
	if (r == 0)
		r = str_copy(changed->open.label, PASSKEY_LABEL_SIZE, label);
	if (r == 0)
		r = paper_make(REGISTRATION_CHARS, 32, ret_code);
	if (r == 0) {
		paper_fold(ret_code, folded);
		hash_code(folded, changed->open.hash);
		mem_wipe(folded, sizeof folded);
	}
	changed->open.until_s = now_s + REGISTRATION_S;
	return commit(p, changed, r);
}

/* A clock that was put back does not lengthen it. */
int
passkeys_is_open(const struct passkeys *p, uint64_t now_s)
{
	return p && p->open.until_s && now_s < p->open.until_s &&
	       p->open.until_s - now_s <= REGISTRATION_S && p->count < PASSKEYS_MAX;
}

int
passkeys_is_code(const char *text)
{
	char folded[PAPER_FOLDED_SIZE];
	size_t len = paper_fold(text, folded);
	mem_wipe(folded, sizeof folded);
	return len == REGISTRATION_CHARS;
}

int
passkeys_check(const struct passkeys *p, const char *text, uint64_t now_s, struct passkey *ret_key)
{
	char folded[PAPER_FOLDED_SIZE];
	uint8_t hash[HASH_BYTES];
	if (!p || paper_fold(text, folded) != REGISTRATION_CHARS)
		return -ERR_CODE_WRONG;
	hash_code(folded, hash);
	mem_wipe(folded, sizeof folded);
	if (!mem_equal(hash, p->open.hash, HASH_BYTES) || !passkeys_is_open(p, now_s))
		return -ERR_CODE_WRONG;
	*ret_key = (struct passkey){.made_s = now_s};
	memcpy(ret_key->person, p->open.person, sizeof ret_key->person);
	memcpy(ret_key->label, p->open.label, sizeof ret_key->label);
	return 0;
}

int
passkeys_add(struct passkeys *p, const struct passkey *key, uint64_t now_s)
{
	if (!p || !passkeys_is_open(p, now_s) || strcmp(key->person, p->open.person) != 0 ||
		strcmp(key->label, p->open.label) != 0)
		return -ERR_CODE_WRONG;
	if (passkeys_find(p, key->credential, key->credential_len))
		return -ERR_EXISTS;
	struct passkeys *changed = copy(p);
	changed->list[changed->count++] = *key;
	memset(&changed->open, 0, sizeof changed->open);
	return commit(p, changed, 0);
}

int
passkeys_used(
	struct passkeys *p, const uint8_t *credential, size_t len, uint32_t counter, uint64_t now_s)
{
	const struct passkey *key = passkeys_find(p, credential, len);
	if (!key)
		return -ERR_NOT_FOUND;
	struct passkeys *changed = copy(p);
	struct passkey *row = &changed->list[key - p->list];
	row->counter = counter;
	row->used_s = now_s;
	return commit(p, changed, 0);
}

int
passkeys_remove(struct passkeys *p, size_t i)
{
	if (i >= passkeys_count(p))
		return -ERR_NOT_FOUND;
	struct passkeys *changed = copy(p);
	changed->count--;
	memmove(&changed->list[i], &changed->list[i + 1],
		(changed->count - i) * sizeof changed->list[0]);
	return commit(p, changed, 0);
}

int
passkeys_cancel(struct passkeys *p)
{
	struct passkeys *changed = copy(p);
	memset(&changed->open, 0, sizeof changed->open);
	return commit(p, changed, 0);
}
