#include "agent/factors.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/paper.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	FILE_MAX_BYTES = FACTORS_TEXT_SIZE,
	HASH_BYTES = 32
};

struct factors {
	char *path;
	int has_totp, has_emergency, has_key;
	struct totp totp;
	struct totp pending;
	uint64_t pending_until_s; /* 0 = none */
	uint8_t key[HASH_BYTES];
	size_t recovery_count;
	uint8_t recovery[RECOVERY_COUNT][HASH_BYTES], emergency[HASH_BYTES];
};

static int
read_totp(struct factors *f, const char *value)
{
	char secret[TOTP_SECRET_TEXT_SIZE];
	int64_t step;
	if (strlen(value) <= TOTP_SECRET_TEXT_SIZE)
		return -ERR_SETTING;
	memcpy(secret, value, sizeof secret - 1);
	secret[sizeof secret - 1] = '\0';
	int r = totp_secret_parse(secret, &f->totp);
	mem_wipe(secret, sizeof secret);
	if (r < 0 || value[TOTP_SECRET_TEXT_SIZE - 1] != ' ' ||
		str_int(value + TOTP_SECRET_TEXT_SIZE, 0, INT64_MAX, &step) < 0)
		return -ERR_SETTING;
	f->totp.last_step = (uint64_t)step;
	f->has_totp = 1;
	return 0;
}

static int
read_hash(const char *value, uint8_t out[static HASH_BYTES])
{
	return strlen(value) == 2 * HASH_BYTES && str_unhex(value, out, HASH_BYTES) == 0
		       ? 0
		       : -ERR_SETTING;
}

static int
on_line(void *user, const char *key, const char *value)
{
	struct factors *f = user;
	if (strcmp(key, "TOTP") == 0 && !f->has_totp)
		return read_totp(f, value);
	if (strcmp(key, "KEY") == 0 && !f->has_key++)
		return read_hash(value, f->key);
	if (strcmp(key, "EMERGENCY") == 0 && !f->has_emergency++)
		return read_hash(value, f->emergency);
	if (strcmp(key, "RECOVERY") == 0 && f->recovery_count < RECOVERY_COUNT)
		return read_hash(value, f->recovery[f->recovery_count++]);
	return -ERR_SETTING;
}

static int
check(const struct factors *f)
{
	return (f->recovery_count || f->has_emergency) && !f->has_key ? -ERR_SETTING : 0;
}

int
factors_parse(const char *text, size_t len, struct factors **ret_factors)
{
	struct factors *f = mem_new(sizeof *f);
	unsigned line;
	int r = conf_lines(text, len, on_line, f, &line);
	if (r == 0)
		r = check(f);
	if (r < 0) {
		factors_free(f);
		return -ERR_SETTING;
	}
	*ret_factors = f;
	return 0;
}

int
factors_open(const char *path, struct factors **ret_factors, struct conf_error *error)
{
	struct factors *f = mem_new(sizeof *f);
	f->path = mem_str(path);
	int r = conf_load(path, FILE_MAX_BYTES, on_line, f, error);
	if (r == 0)
		r = check(f);
	if (r < 0 && r != -ENOENT) {
		factors_free(f);
		return r;
	}
	*ret_factors = f;
	return 0;
}

void
factors_free(struct factors *factors)
{
	if (!factors)
		return;
	free(factors->path);
	mem_wipe_free(factors, sizeof *factors);
}

static void
print_hash(FILE *out, const char *key, const uint8_t *hash)
{
	char hex[2 * HASH_BYTES + 1];
	str_hex(hex, hash, HASH_BYTES);
	fprintf(out, "%s %s\n", key, hex);
	mem_wipe(hex, sizeof hex);
}

int
factors_text(const struct factors *f, char text[static FACTORS_TEXT_SIZE])
{
	char secret[TOTP_SECRET_TEXT_SIZE];
	text[0] = '\0';
	FILE *out = fmemopen(text, FACTORS_TEXT_SIZE, "w");
	if (!out)
		return -ENOMEM;
	setbuf(out, NULL); /* no copy of the secret on the heap */
	if (f->has_totp) {
		totp_secret_text(&f->totp, secret);
		fprintf(out, "TOTP %s %llu\n", secret, (unsigned long long)f->totp.last_step);
		mem_wipe(secret, sizeof secret);
	}
	if (f->has_key)
		print_hash(out, "KEY", f->key);
	for (size_t i = 0; i < f->recovery_count; i++)
		print_hash(out, "RECOVERY", f->recovery[i]);
	if (f->has_emergency)
		print_hash(out, "EMERGENCY", f->emergency);
	return fclose(out) == 0 ? 0 : -ENOMEM;
}

static int
save(const struct factors *f)
{
	char text[FACTORS_TEXT_SIZE];
	int r = factors_text(f, text);
	if (r == 0)
		r = conf_write_file(f->path, text, strlen(text), 0600);
	mem_wipe(text, sizeof text);
	return r;
}

/* Takes the change over when it is on the disk. */
static int
commit(struct factors *f, struct factors *changed)
{
	int r = save(changed);
	if (r == 0)
		*f = *changed;
	mem_wipe(changed, sizeof *changed);
	return r;
}

int
factors_has_totp(const struct factors *factors)
{
	return factors->has_totp;
}

size_t
factors_recovery_left(const struct factors *factors)
{
	return factors->recovery_count;
}

int
factors_has_emergency(const struct factors *factors)
{
	return factors->has_emergency;
}

int
factors_totp_begin(struct factors *f, uint64_t now_s, struct totp *ret_totp)
{
	int r = totp_generate(&f->pending);
	if (r < 0)
		return r;
	f->pending_until_s = now_s + TOTP_CONFIRM_S;
	*ret_totp = f->pending;
	return 0;
}

int
factors_totp_confirm(struct factors *f, const char *code, uint64_t now_s)
{
	struct factors changed = *f;
	if (now_s >= f->pending_until_s || f->pending_until_s - now_s > TOTP_CONFIRM_S)
		return -ERR_NOT_FOUND;
	int r = totp_check(&changed.pending, code, now_s);
	changed.has_totp = 1;
	changed.totp = changed.pending;
	changed.pending_until_s = 0;
	mem_wipe(&changed.pending, sizeof changed.pending);
	if (r == 0)
		r = commit(f, &changed);
	mem_wipe(&changed, sizeof changed);
	return r;
}

int
factors_totp_remove(struct factors *f)
{
	struct factors changed = *f;
	changed.has_totp = 0;
	mem_wipe(&changed.totp, sizeof changed.totp);
	return commit(f, &changed);
}

/* key must be there. */
static int
hash_code(const struct factors *f, const char *folded, uint8_t out[static HASH_BYTES])
{
	unsigned len = HASH_BYTES;
	return HMAC(EVP_sha256(), f->key, HASH_BYTES, (const uint8_t *)folded, strlen(folded), out,
		       &len)
		       ? 0
		       : -ERR_CRYPTO;
}

static int
make_hashed(struct factors *f, size_t count, unsigned radix,
	char ret_text[static RECOVERY_TEXT_SIZE], uint8_t hash[static HASH_BYTES])
{
	char folded[PAPER_FOLDED_SIZE];
	if (!f->has_key && RAND_bytes(f->key, sizeof f->key) != 1)
		return -ERR_CRYPTO;
	f->has_key = 1;
	int r = paper_make(count, radix, ret_text);
	if (r == 0) {
		paper_fold(ret_text, folded);
		r = hash_code(f, folded, hash);
		mem_wipe(folded, sizeof folded);
	}
	return r;
}

int
factors_recovery_make(struct factors *f, char ret_codes[RECOVERY_COUNT][RECOVERY_TEXT_SIZE])
{
	struct factors changed = *f;
	int r = 0;
	for (size_t i = 0; r == 0 && i < RECOVERY_COUNT; i++)
		r = make_hashed(&changed, RECOVERY_CHARS, 32, ret_codes[i], changed.recovery[i]);
	changed.recovery_count = RECOVERY_COUNT;
	if (r == 0)
		r = commit(f, &changed);
	if (r < 0)
		mem_wipe(ret_codes, (size_t)RECOVERY_COUNT * RECOVERY_TEXT_SIZE);
	return r;
}

int
factors_emergency_make(struct factors *f, char ret_code[static RECOVERY_TEXT_SIZE])
{
	struct factors changed = *f;
	int r = make_hashed(&changed, EMERGENCY_DIGITS, 10, ret_code, changed.emergency);
	changed.has_emergency = 1;
	if (r == 0)
		r = commit(f, &changed);
	if (r < 0)
		mem_wipe(ret_code, RECOVERY_TEXT_SIZE);
	return r;
}

int
factors_recovery_remove(struct factors *f)
{
	struct factors changed = *f;
	changed.recovery_count = 0;
	changed.has_emergency = changed.has_key = 0;
	mem_wipe(changed.key, sizeof changed.key);
	return commit(f, &changed);
}

int
factors_is_recovery(const char *text)
{
	char folded[PAPER_FOLDED_SIZE];
	size_t len = paper_fold(text, folded);
	mem_wipe(folded, sizeof folded);
	return len == RECOVERY_CHARS || len == EMERGENCY_DIGITS;
}

/* Compares with every code that is left, so that time does not tell which. */
static int
use_recovery(struct factors *f, const char *folded, enum factor *ret_factor)
{
	uint8_t hash[HASH_BYTES];
	size_t found = SIZE_MAX;
	if (!f->has_key || hash_code(f, folded, hash) < 0)
		return f->has_key ? -ERR_CRYPTO : -ERR_CODE_WRONG;
	for (size_t i = 0; i < f->recovery_count; i++)
		if (mem_equal(hash, f->recovery[i], HASH_BYTES))
			found = i;
	int is_emergency = mem_equal(hash, f->emergency, HASH_BYTES) && f->has_emergency;
	if (found == SIZE_MAX && !is_emergency)
		return -ERR_CODE_WRONG;
	struct factors changed = *f;
	if (is_emergency) {
		changed.has_emergency = 0;
		mem_wipe(changed.emergency, HASH_BYTES);
	} else {
		changed.recovery_count--;
		memmove(changed.recovery[found], changed.recovery[found + 1],
			(changed.recovery_count - found) * HASH_BYTES);
	}
	*ret_factor = is_emergency ? FACTOR_EMERGENCY : FACTOR_RECOVERY;
	return commit(f, &changed);
}

int
factors_check(struct factors *f, const char *text, uint64_t now_s, enum factor *ret_factor)
{
	char folded[PAPER_FOLDED_SIZE];
	int r = -ERR_CODE_WRONG;
	size_t len = paper_fold(text, folded);
	if (len == RECOVERY_CHARS || len == EMERGENCY_DIGITS) {
		r = use_recovery(f, folded, ret_factor);
	} else if (len == TOTP_DIGITS && f->has_totp) {
		struct factors changed = *f;
		r = totp_check(&changed.totp, folded, now_s);
		if (r == 0)
			r = commit(f, &changed);
		mem_wipe(&changed, sizeof changed);
		*ret_factor = FACTOR_TOTP;
	}
	mem_wipe(folded, sizeof folded);
	return r;
}
