/* EC_KEY_METHOD is the one hook of OpenSSL 3.0 for a foreign EC key without an engine or a provider
 * of our own. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "gate/key.h"

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/ipc.h"
#include "base/mem.h"

enum {
	ANSWER_S = 2
}; /* a keeper that is being restarted answers well within */

struct key_channel {
	int fd;
	unsigned refs;
	uint32_t request;
};

struct remote {
	struct key_channel *channel;
	enum tell_key which;
};

static int failed; /* since it was last asked for: OpenSSL takes no reason along */
static int refused;
static EC_KEY_METHOD *method;
static int ex_index = -1;

struct key_channel *
key_channel_new(int fd)
{
	struct key_channel *channel = mem_array(1, sizeof *channel);
	struct timeval limit = {.tv_sec = ANSWER_S};
	if (!channel)
		return NULL;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	*channel = (struct key_channel){.fd = fd, .refs = 1};
	return channel;
}

void
key_channel_free(struct key_channel *channel)
{
	if (!channel || --channel->refs > 0)
		return;
	if (channel->fd >= 0)
		close(channel->fd);
	free(channel);
}

void
key_channel_keep(struct key_channel *channel)
{
	channel->fd = -1;
}

/* Waits for our answer; one that comes after its time is skipped by the next call. */
static int
ask(struct key_channel *channel, enum tell_key which, const uint8_t *digest, size_t len,
	struct tell_signed *ret)
{
	struct tell_sign sign = {
		.request = ++channel->request, .key = (uint8_t)which, .len = (uint8_t)len};
	uint16_t type;
	if (channel->fd < 0 || len > sizeof sign.digest)
		return -ERR_CRYPTO;
	memcpy(sign.digest, digest, len);
	int r = ipc_send(channel->fd, TELL_SIGN, &sign, sizeof sign, -1);
	while (r == 0) {
		int n = ipc_recv(channel->fd, &type, ret, sizeof *ret, NULL);
		if (n < 0)
			return n;
		if (n != (int)sizeof *ret || type != TELL_SIGNED ||
			ret->len > sizeof ret->signature)
			return -ERR_PROTOCOL;
		if (ret->request == sign.request)
			return ret->len > 0 ? 0 : -ERR_LIMIT;
	}
	return r;
}

static int
on_sign(int type, const unsigned char *digest, int len, unsigned char *sig, unsigned *ret_len,
	const BIGNUM *kinv, const BIGNUM *r, EC_KEY *ec)
{
	(void)type, (void)kinv, (void)r;
	struct remote *remote = EC_KEY_get_ex_data(ec, ex_index);
	struct tell_signed answer;
	int asked = remote && len >= 0
			    ? ask(remote->channel, remote->which, digest, (size_t)len, &answer)
			    : -ERR_CRYPTO;
	refused = asked == -ERR_LIMIT;
	if (asked < 0 || answer.len > ECDSA_size(ec)) {
		failed = 1;
		return 0;
	}
	memcpy(sig, answer.signature, answer.len);
	*ret_len = answer.len;
	return 1;
}

static void
on_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	(void)parent, (void)ad, (void)idx, (void)argl, (void)argp;
	struct remote *remote = ptr;
	if (!remote)
		return;
	key_channel_free(remote->channel);
	free(remote);
}

int
key_has_failed(void)
{
	int was = failed;
	failed = 0;
	return was;
}

int
key_was_refused(void)
{
	return refused;
}

static int
method_ready(void)
{
	if (ex_index < 0)
		ex_index = EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, on_free);
	if (!method) {
		method = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
		if (method)
			EC_KEY_METHOD_set_sign(method, on_sign, NULL, NULL);
	}
	return ex_index >= 0 && method;
}

struct evp_pkey_st *
key_remote_new(struct key_channel *channel, X509 *cert, enum tell_key which)
{
	EVP_PKEY *public = X509_get0_pubkey(cert), *key = NULL;
	const EC_KEY *of_cert = public ? EVP_PKEY_get0_EC_KEY(public) : NULL;
	EC_KEY *ec = of_cert && method_ready() ? EC_KEY_dup(of_cert) : NULL;
	struct remote *remote = ec ? mem_array(1, sizeof *remote) : NULL;
	if (!remote || !EC_KEY_set_method(ec, method) || !EC_KEY_set_ex_data(ec, ex_index, remote))
		goto out;
	*remote = (struct remote){channel, which};
	channel->refs++;
	remote = NULL;
	key = EVP_PKEY_new();
	if (key && !EVP_PKEY_set1_EC_KEY(key, ec)) {
		EVP_PKEY_free(key);
		key = NULL;
	}
out:
	free(remote);
	EC_KEY_free(ec);
	return key;
}
