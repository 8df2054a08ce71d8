#include "cli/connect_device.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/command.h"
#include "client/facts.h"
#include "crypto/sign.h"

static int
load_pin(struct connect_device *d)
{
	if (!d->token_pin_file)
		return 0;
	int r = conf_read_secret_line(d->token_pin_file, d->question.pin, sizeof d->question.pin);
	return r == -EFBIG ? -ERR_TOKEN_PIN : r;
}

static int
load_token(struct connect_device *d)
{
	if (!d->token_module || !token_fits(d->token_module, d->token) ||
		str_copy(d->question.module, sizeof d->question.module, d->token_module) < 0 ||
		str_copy(d->question.uri, sizeof d->question.uri, d->token) < 0)
		return command_fail(ERR_TOKEN_NONE, d->token);
	int r = load_pin(d);
	return r < 0 ? command_fail(r, d->token_pin_file) : 0;
}

int
connect_device_load(
	struct connect_device *d, struct session_settings *settings, char *ret_path, size_t size)
{
	int r = d->key_path ? str_copy(ret_path, size, d->key_path)
			    : device_key_path(ret_path, size);
	if (r == 0)
		r = device_key_load(ret_path, &settings->device);
	if (r == 0 && !d->token)
		r = device_proof_load(ret_path, &d->proof_key);
	if (r < 0)
		return command_fail(r, ret_path);
	if (d->token && load_token(d) != 0)
		return 1;
	settings->proof_key = d->proof_key;
	settings->token = d->token ? &d->question : NULL;
	if (d->apply && str_copy(settings->facts.apply, sizeof settings->facts.apply, d->apply) < 0)
		return command_fail(ERR_TOO_LONG, d->apply);
	return 0;
}

void
connect_device_fini(struct connect_device *d)
{
	sign_key_free(d->proof_key);
	mem_wipe(&d->question, sizeof d->question);
}

void
connect_device_number(
	const struct session_settings *settings, char ret_number[static CONNECT_NUMBER_SIZE])
{
	uint8_t h[SHA256_DIGEST_LENGTH];
	SHA256(settings->device.public, sizeof settings->device.public, h);
	snprintf(ret_number, CONNECT_NUMBER_SIZE, "%02X%02X-%02X%02X-%02X%02X-%02X%02X", h[0], h[1],
		h[2], h[3], h[4], h[5], h[6], h[7]);
}
