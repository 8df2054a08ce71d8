#include "agent/password.h"

#include <argon2.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#define PEPPERED "$pepper"
#define ARGON2ID "$argon2id$"

enum {
	MEMORY_KIB = 65536,
	PASSES = 3,
	LANES = 1,
	SALT_BYTES = 16,
	HASH_BYTES = 32,
	KEY_BYTES = 32 /* of HMAC-SHA256 */
};

/* ---- pepper ---- */

static int
pepper_make(const char *path, struct pepper *pepper)
{
	char text[2 * PEPPER_BYTES + 2];
	if (RAND_bytes(pepper->key, sizeof pepper->key) != 1)
		return -ERR_CRYPTO;
	str_hex(text, pepper->key, sizeof pepper->key);
	text[sizeof text - 2] = '\n';
	int r = conf_write_new(path, text, sizeof text - 1, 0600);
	mem_wipe(text, sizeof text);
	return r;
}

int
pepper_load(const char *path, int make, struct pepper *ret_pepper)
{
	char *text;
	size_t len;
	int r = conf_read_secret(path, 2 * PEPPER_BYTES + 2, &text, &len);
	if (r == -ENOENT && make)
		return pepper_make(path, ret_pepper);
	if (r < 0)
		return r == -EFBIG ? -ERR_SETTING : r;
	text[strcspn(text, "\r\n")] = '\0';
	if (strlen(text) != 2 * PEPPER_BYTES || str_unhex(text, ret_pepper->key, PEPPER_BYTES) < 0)
		r = -ERR_SETTING;
	mem_wipe_free(text, len);
	return r;
}

/* ---- hash ---- */

char *
password_normal(const char *text)
{
	utf8proc_uint8_t *normal = NULL;
	if (utf8proc_map((const utf8proc_uint8_t *)text, 0, &normal,
		    UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_COMPOSE) < 0)
		return NULL;
	return (char *)normal;
}

static int
from_argon2(int r)
{
	return r == ARGON2_OK ? 0 : r == ARGON2_MEMORY_ALLOCATION_ERROR ? -ENOMEM : -ERR_CRYPTO;
}

/* What Argon2 gets: no longer the password, and of one length. */
static int
derive(const struct pepper *pepper, const char *text, uint8_t ret_key[static KEY_BYTES])
{
	unsigned len = KEY_BYTES;
	char *normal = password_normal(text);
	if (!normal)
		return str_utf8(text, strlen(text)) ? -ENOMEM : -ERR_PASSWORD_WRONG;
	int ok = HMAC(EVP_sha256(), pepper->key, PEPPER_BYTES, (const uint8_t *)normal,
			 strlen(normal), ret_key, &len) != NULL;
	mem_wipe_free(normal, strlen(normal));
	return ok ? 0 : -ERR_CRYPTO;
}

int
password_hash(
	const struct pepper *pepper, const char *text, char ret_hash[static SETTINGS_HASH_SIZE])
{
	uint8_t salt[SALT_BYTES], key[KEY_BYTES];
	if (RAND_bytes(salt, sizeof salt) != 1)
		return -ERR_CRYPTO;
	int r = derive(pepper, text, key);
	memcpy(ret_hash, PEPPERED, sizeof PEPPERED);
	if (r == 0)
		r = from_argon2(argon2id_hash_encoded(PASSES, MEMORY_KIB, LANES, key, sizeof key,
			salt, sizeof salt, HASH_BYTES, ret_hash + strlen(PEPPERED),
			SETTINGS_HASH_SIZE - strlen(PEPPERED)));
	mem_wipe(key, sizeof key);
	return r;
}

int
password_is_peppered(const char *hash)
{
	return strncmp(hash, PEPPERED, strlen(PEPPERED)) == 0;
}

int
password_is_hash(const char *hash)
{
	if (password_is_peppered(hash))
		hash += strlen(PEPPERED);
	return strncmp(hash, ARGON2ID, strlen(ARGON2ID)) == 0;
}

int
password_is_old(const char *hash)
{
	unsigned memory, passes, lanes;
	return sscanf(hash, PEPPERED ARGON2ID "v=19$m=%u,t=%u,p=%u$", &memory, &passes, &lanes) !=
		       3 ||
	       memory < MEMORY_KIB || passes < PASSES;
}

int
password_check(const struct pepper *pepper, const char *hash, const char *text)
{
	uint8_t key[KEY_BYTES];
	const void *secret = text;
	size_t len = strlen(text);
	int r = 0, peppered = password_is_peppered(hash);
	if (peppered) {
		r = derive(pepper, text, key);
		secret = key;
		len = sizeof key;
	}
	if (r == 0) {
		r = argon2id_verify(hash + (peppered ? strlen(PEPPERED) : 0), secret, len);
		r = r == ARGON2_VERIFY_MISMATCH ? -ERR_PASSWORD_WRONG : from_argon2(r);
	}
	mem_wipe(key, sizeof key);
	return r;
}

int
password_check_nobody(const struct pepper *pepper, const char *text)
{
	char hash[SETTINGS_HASH_SIZE];
	int r = password_hash(pepper, text, hash);
	mem_wipe(hash, sizeof hash);
	return r == -ENOMEM || r == -ERR_CRYPTO ? r : -ERR_PASSWORD_WRONG;
}
