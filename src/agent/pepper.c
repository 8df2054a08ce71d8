#include "agent/pepper.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypto/sign.h"

#define PURPOSE "engawa password v1"

/* ---- a file ---- */

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
	char text[2 * PEPPER_BYTES + 1] = "";
	int r = conf_read_secret_line(path, text, sizeof text);
	if (r == -ENOENT && make)
		return pepper_make(path, ret_pepper);
	if (r == -EFBIG || (r == 0 && str_unhex(text, ret_pepper->key, PEPPER_BYTES) < 0))
		r = -ERR_SETTING;
	mem_wipe(text, sizeof text);
	return r;
}

int
pepper_by_file(
	const struct pepper *pepper, const char *normal, uint8_t ret_key[static PEPPER_BYTES])
{
	unsigned len = PEPPER_BYTES;
	return HMAC(EVP_sha256(), pepper->key, PEPPER_BYTES, (const uint8_t *)normal,
		       strlen(normal), ret_key, &len)
		       ? 0
		       : -ERR_CRYPTO;
}

/* ---- a token ---- */

int
pepper_set_token(struct pepper *pepper, const char *module, const char *uri, const char *pin_file)
{
	struct token_question *q = &pepper->token;
	int r = pin_file ? conf_read_secret_line(pin_file, q->pin, sizeof q->pin) : 0;
	if (r == 0 &&
		(!module || !token_fits(module, uri) || str_copy(q->uri, sizeof q->uri, uri) < 0 ||
			str_copy(q->module, sizeof q->module, module) < 0))
		r = -ERR_SETTING;
	return r;
}

int
pepper_has_token(const struct pepper *pepper)
{
	return pepper->token.module[0] != '\0';
}

uint32_t
pepper_code(const struct pepper *pepper)
{
	return (uint32_t)atomic_load(&pepper->code);
}

static int
from_token(int r)
{
	return r == 0                                          ? 0
	       : r == -ERR_TOKEN_PIN || r == -ERR_TOKEN_LOCKED ? -ERR_PEPPER_PIN
							       : -ERR_PEPPER_TOKEN;
}

/* One at a time while it is not known to work: two would make two keys of one name, of which
 * neither is the one then, and several wrong PINs lock it. */
static int
call(struct pepper *pepper, struct token_question *question, struct token_answer *answer)
{
	static pthread_mutex_t alone = PTHREAD_MUTEX_INITIALIZER;
	int locks = atomic_load(&pepper->make) || atomic_load(&pepper->code);
	if (locks)
		pthread_mutex_lock(&alone);
	int r = -ERR_PEPPER_PIN;
	if (atomic_load(&pepper->code) != ERR_PEPPER_PIN) {
		question->use = atomic_load(&pepper->make) ? TOKEN_MAC_MAKE : TOKEN_MAC;
		r = from_token(token_call(question, PEPPER_TOKEN_MS, answer));
		if (r == 0 && answer->signature_len != PEPPER_BYTES)
			r = -ERR_PEPPER_TOKEN;
		if (r == 0)
			atomic_store(&pepper->make, 0);
		atomic_store(&pepper->code, -r);
	}
	if (locks)
		pthread_mutex_unlock(&alone);
	return r;
}

int
pepper_by_token(struct pepper *pepper, const char *normal, uint8_t ret_key[static PEPPER_BYTES])
{
	struct token_question question = pepper->token;
	struct token_answer *answer = mem_new(sizeof *answer);
	int r = pepper_has_token(pepper) ? 0 : -ERR_PEPPER_TOKEN;
	if (r == 0)
		r = sign_digest(PURPOSE, normal, strlen(normal), question.digest);
	if (r == 0)
		r = call(pepper, &question, answer);
	if (r == 0)
		memcpy(ret_key, answer->signature, PEPPER_BYTES);
	mem_wipe(&question, sizeof question);
	mem_wipe_free(answer, sizeof *answer);
	return r;
}
