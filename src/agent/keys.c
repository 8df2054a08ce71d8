#include "agent/keys.h"

#include <errno.h>
#include <limits.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypto/seal.h"

enum {
	SALT_FILE_MAX_BYTES = 64
};

/* A key that is there is used: an enrolment that was interrupted goes on with the same terminal ID.
 */
static int
open_sign_key(const char *path, int make, struct evp_pkey_st **ret_key)
{
	int r = sign_key_load(path, ret_key);
	if (r != -ENOENT || !make)
		return r;
	struct evp_pkey_st *key = sign_key_generate();
	r = key ? sign_key_save(key, path) : -ERR_CRYPTO;
	if (r < 0) {
		sign_key_free(key);
		return r;
	}
	*ret_key = key;
	return 0;
}

static int
open_agent_key(const char *path, int make, struct noise_keypair *ret_pair)
{
	struct noise_keypair pair;
	int r = seal_key_load(path, pair.secret, pair.public);
	if (r == -ENOENT && make) {
		r = noise_keypair_generate(&pair);
		if (r == 0)
			r = seal_key_save(pair.secret, path);
	}
	if (r == 0)
		*ret_pair = pair;
	mem_wipe(&pair, sizeof pair);
	return r;
}

static int
open_salt(const char *path, int make, uint8_t ret_salt[static TERMINAL_SALT_BYTES])
{
	char hex[2 * TERMINAL_SALT_BYTES + 1], *text;
	size_t len;
	int r = conf_read_file(path, SALT_FILE_MAX_BYTES, &text, &len);
	if (r == 0) {
		text[strcspn(text, "\n")] = '\0';
		r = str_unhex(text, ret_salt, TERMINAL_SALT_BYTES) < 0 ? -ERR_SETTING : 0;
		free(text);
		return r;
	}
	if (r != -ENOENT || !make)
		return r;
	if (RAND_bytes(ret_salt, TERMINAL_SALT_BYTES) != 1)
		return -ERR_CRYPTO;
	str_hex(hex, ret_salt, TERMINAL_SALT_BYTES);
	return conf_write_new(path, hex, strlen(hex), 0600);
}

int
keys_open(const struct options *options, int make, struct keys *keys)
{
	char path[PATH_MAX];
	uint8_t point[SIGN_POINT_BYTES];
	int r = state_path(options, "identity.key", path, sizeof path);
	if (r == 0)
		r = open_sign_key(path, make, &keys->anchor);
	if (r == 0)
		r = state_path(options, "tls.key", path, sizeof path);
	if (r == 0)
		r = open_sign_key(path, make, &keys->tls);
	if (r == 0)
		r = state_path(options, "agent.key", path, sizeof path);
	if (r == 0)
		r = open_agent_key(path, make, &keys->agent);
	if (r == 0)
		r = state_path(options, "salt", path, sizeof path);
	if (r == 0)
		r = open_salt(path, make, keys->salt);
	if (r == 0)
		r = sign_key_point(keys->anchor, point);
	return r < 0 ? r : terminal_id_derive(point, keys->salt, keys->terminal_id);
}

/* The certificate is for our key, this organisation, and has our id. */
static int
take_certificate(struct keys *keys, struct x509_st *cert)
{
	char organisation[sizeof keys->org.id];
	int r = cert_agent(cert, keys->agent_id, organisation, sizeof organisation);
	if (r == 0 && strcmp(organisation, keys->org.id) != 0)
		r = -ERR_CERT_UNTRUSTED;
	return r < 0 ? r
		     : cert_der(cert, keys->certificate, sizeof keys->certificate,
			       &keys->certificate_len);
}

static int
load_certificate(const struct options *options, struct keys *keys)
{
	char path[PATH_MAX];
	int r = state_path(options, "certificate", path, sizeof path);
	if (r < 0)
		return r;
	struct x509_st *cert = cert_load(path);
	if (!cert)
		return -ERR_NOT_ENROLLED;
	r = take_certificate(keys, cert);
	cert_free(cert);
	return r;
}

/* A dead clock makes everything look as if it came from the future: say that, not what fails first.
 */
static int
is_early(const struct options *options)
{
	char path[PATH_MAX];
	uint64_t from_s = 0, until_s;
	struct x509_st *cert = NULL;
	if (state_path(options, "certificate", path, sizeof path) == 0)
		cert = cert_load(path);
	int early = cert && cert_times(cert, &from_s, &until_s) == 0 && wall_s() < from_s;
	cert_free(cert);
	return early;
}

int
keys_load(const struct options *options, struct keys *keys, struct conf_error *error)
{
	char path[PATH_MAX];
	error->text[0] = '\0';
	int r = state_path(options, "organisation", path, sizeof path);
	if (r == 0)
		r = conf_read_file(path, ORGFILE_MAX_BYTES, &keys->org_text, &keys->org_len);
	if (r == -ENOENT)
		return -ERR_NOT_ENROLLED;
	if (r == 0)
		r = orgfile_parse(keys->org_text, keys->org_len, wall_s(), &keys->org, error);
	if (r == 0)
		r = keys_open(options, 0, keys);
	if (r == -ENOENT)
		r = -ERR_NOT_ENROLLED;
	if (r == 0)
		r = load_certificate(options, keys);
	if (r < 0 && is_early(options)) {
		r = -ERR_CERT_EARLY;
		error->text[0] = '\0';
	}
	if (r < 0 && !error->text[0])
		snprintf(error->text, sizeof error->text, "%.100s: %.150s",
			options->state_directory, err_text(r, ERR_LANG_EN));
	return r;
}

void
keys_fini(struct keys *keys)
{
	orgfile_fini(&keys->org);
	free(keys->org_text);
	sign_key_free(keys->anchor);
	sign_key_free(keys->tls);
	mem_wipe(keys, sizeof *keys);
}

int
keys_statement(const struct keys *keys, uint64_t now_s, uint8_t *out, size_t cap, size_t *ret_len)
{
	engawa_StatementBody body = engawa_StatementBody_init_zero;
	body.anchor_key.size = SIGN_POINT_BYTES;
	int r = sign_key_point(keys->anchor, body.anchor_key.bytes);
	if (r < 0)
		return r;
	body.salt.size = sizeof keys->salt;
	memcpy(body.salt.bytes, keys->salt, sizeof keys->salt);
	body.agent_key.size = sizeof keys->agent.public;
	memcpy(body.agent_key.bytes, keys->agent.public, sizeof keys->agent.public);
	body.agent_id.size = sizeof keys->agent_id;
	memcpy(body.agent_id.bytes, keys->agent_id, sizeof keys->agent_id);
	body.not_after_s = now_s + STATEMENT_LIFE_S;
	return statement_issue(keys->anchor, &body, out, cap, ret_len);
}
