#include "agent/password.h"

#include <argon2.h>
#include <errno.h>
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
#define TOKENED "$token"
#define ARGON2ID "$argon2id$"

enum {
	MEMORY_KIB = 65536,
	PASSES = 3,
	LANES = 1,
	SALT_BYTES = 16,
	HASH_BYTES = 32
};

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
derive(struct pepper *pepper, int by_token, const char *text, uint8_t ret_key[static PEPPER_BYTES])
{
	char *normal = password_normal(text);
	if (!normal)
		return str_utf8(text, strlen(text)) ? -ENOMEM : -ERR_PASSWORD_WRONG;
	int r = by_token ? pepper_by_token(pepper, normal, ret_key)
			 : pepper_by_file(pepper, normal, ret_key);
	mem_wipe_free(normal, strlen(normal));
	return r;
}

int
password_hash(struct pepper *pepper, const char *text, char ret_hash[static SETTINGS_HASH_SIZE])
{
	const char *way = pepper_has_token(pepper) ? TOKENED : PEPPERED;
	uint8_t salt[SALT_BYTES], key[PEPPER_BYTES];
	if (RAND_bytes(salt, sizeof salt) != 1)
		return -ERR_CRYPTO;
	int r = derive(pepper, pepper_has_token(pepper), text, key);
	memcpy(ret_hash, way, strlen(way) + 1);
	if (r == 0)
		r = from_argon2(argon2id_hash_encoded(PASSES, MEMORY_KIB, LANES, key, sizeof key,
			salt, sizeof salt, HASH_BYTES, ret_hash + strlen(way),
			SETTINGS_HASH_SIZE - strlen(way)));
	mem_wipe(key, sizeof key);
	return r;
}

/* The prefix that says which pepper it needs; "" for none. */
static const char *
way_of(const char *hash)
{
	return strncmp(hash, PEPPERED, strlen(PEPPERED)) == 0 ? PEPPERED
	       : strncmp(hash, TOKENED, strlen(TOKENED)) == 0 ? TOKENED
							      : "";
}

int
password_by_file(const char *hash)
{
	return strcmp(way_of(hash), PEPPERED) == 0;
}

int
password_by_token(const char *hash)
{
	return strcmp(way_of(hash), TOKENED) == 0;
}

int
password_is_hash(const char *hash)
{
	return strncmp(hash + strlen(way_of(hash)), ARGON2ID, strlen(ARGON2ID)) == 0;
}

int
password_is_old(const struct pepper *pepper, const char *hash)
{
	unsigned memory, passes, lanes;
	const char *way = way_of(hash);
	return strcmp(way, pepper_has_token(pepper) ? TOKENED : PEPPERED) != 0 ||
	       sscanf(hash + strlen(way), ARGON2ID "v=19$m=%u,t=%u,p=%u$", &memory, &passes,
		       &lanes) != 3 ||
	       memory < MEMORY_KIB || passes < PASSES;
}

int
password_check(struct pepper *pepper, const char *hash, const char *text)
{
	uint8_t key[PEPPER_BYTES];
	const char *way = way_of(hash);
	const void *secret = text;
	size_t len = strlen(text);
	int r = 0;
	/* the token first, whatever the hash: without it nobody comes in, and no name looks
	 * different from another because its hash is still of the file */
	if (pepper_has_token(pepper) || password_by_token(hash))
		r = derive(pepper, 1, text, key);
	if (r == 0 && password_by_file(hash))
		r = derive(pepper, 0, text, key);
	if (*way) {
		secret = key;
		len = sizeof key;
	}
	if (r == 0) {
		r = argon2id_verify(hash + strlen(way), secret, len);
		r = r == ARGON2_VERIFY_MISMATCH ? -ERR_PASSWORD_WRONG : from_argon2(r);
	}
	mem_wipe(key, sizeof key);
	return r;
}

int
password_check_nobody(struct pepper *pepper, const char *text)
{
	char hash[SETTINGS_HASH_SIZE];
	int r = password_hash(pepper, text, hash);
	mem_wipe(hash, sizeof hash);
	return r < 0 && r != -ERR_PASSWORD_WRONG ? r : -ERR_PASSWORD_WRONG;
}
