/*
 * What it signs is a digest: a hostile worker can have any digest signed while it lives, as anybody
 * could who had its connections. It can't take the key along, and the key is good for nothing but
 * server authentication: its certificate says serverAuth, and nothing else of ours is signed with
 * it.
 *
 * When the parent lets go (new certificates, a new keeper) the old one stays for the handshakes
 * that have begun, then goes.
 */
#include "gate/keeper.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sandbox.h"
#include "crypto/cert.h"
#include "crypto/sign.h"
#include "gate/settings.h"
#include "gate/tell.h"

enum {
	PARENT_FD = 3,
	CHANNELS_MAX = 128,
	REPORT_MS = 60000
};

struct keeper {
	struct settings settings;
	EVP_PKEY *keys[TELL_KEY_COUNT];
	struct pollfd fds[1 + CHANNELS_MAX]; /* the parent first */
	nfds_t count;
	int ready, parent_gone;
	struct mono ends, second, reported;
	int64_t in_second[TELL_KEY_COUNT];
	uint64_t signs[TELL_KEY_COUNT], refused, reported_signs;
	struct log_limit log;
};

/* A key that is not its certificate's would make every handshake fail, later and far away. */
static int
load_key(const char *key_path, const char *cert_path, EVP_PKEY **ret_key)
{
	X509 *cert = cert_load(cert_path);
	EVP_PKEY *key = NULL;
	int r = cert ? sign_key_load(key_path, &key) : -ERR_CRYPTO;
	if (r == 0 && X509_check_private_key(cert, key) != 1) {
		ERR_clear_error();
		r = -ERR_SETTING;
	}
	cert_free(cert);
	if (r < 0) {
		LOG(ERROR, "keeper.key", F_STR("file", key_path), F_STR("certificate", cert_path),
			F_ERR("code", r));
		sign_key_free(key);
		return r;
	}
	*ret_key = key;
	return 0;
}

static int
load_keys(struct keeper *k)
{
	const struct settings *s = &k->settings;
	int r = load_key(s->key, s->certificate, &k->keys[TELL_KEY_NATIVE]);
	if (r == 0 && s->page_key)
		r = load_key(s->page_key, s->page_certificate, &k->keys[TELL_KEY_PAGE]);
	return r;
}

static int
give_up_rights(const struct keeper *k)
{
	const struct rlimit no_core = {0, 0};
	setrlimit(RLIMIT_CORE, &no_core);
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	int r = sandbox_user(k->settings.user, NULL);
	if (r == 0)
		r = sandbox_no_files();
	if (r == 0)
		r = sandbox_calls(SANDBOX_IO);
	return r;
}

static int
on_settings(struct keeper *k, const char *text, size_t len)
{
	enum log_level level;
	int r = settings_unpack(text, len, &k->settings);
	if (r < 0 || !k->settings.key || !k->settings.certificate ||
		(k->settings.page_key && !k->settings.page_certificate) || k->keys[TELL_KEY_NATIVE])
		return -ERR_PROTOCOL;
	if (log_level_parse(k->settings.log_level, &level) == 0)
		log_open("engawa-gate", level, -1);
	return load_keys(k);
}

static int
on_ready(struct keeper *k)
{
	int r = k->keys[TELL_KEY_NATIVE] && !k->ready ? give_up_rights(k) : -ERR_PROTOCOL;
	if (r < 0)
		LOG(ERROR, "keeper.start", F_ERR("code", r));
	k->ready = r == 0;
	return r == 0 ? ipc_send(PARENT_FD, TELL_READY, NULL, 0, -1) : r;
}

static int
on_told(struct keeper *k)
{
	static uint8_t payload[IPC_PAYLOAD_MAX];
	uint16_t type;
	int fd = -1;
	int n = ipc_recv(PARENT_FD, &type, payload, sizeof payload, &fd);
	if (n < 0)
		return n;
	if (type == TELL_SETTINGS)
		return on_settings(k, (const char *)payload, (size_t)n);
	if (type == TELL_READY)
		return on_ready(k);
	if (type != TELL_CHANNEL || fd < 0 || k->count > CHANNELS_MAX)
		return -ERR_PROTOCOL;
	/* a worker that does not take its answers must not stop the others' */
	const struct timeval limit = {.tv_sec = 1};
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	k->fds[k->count++] = (struct pollfd){.fd = fd, .events = POLLIN};
	return 0;
}

/* 1 when this key may sign once more in this second. */
static int
within_limit(struct keeper *k, size_t key)
{
	struct mono now = mono_now();
	uint32_t held;
	if (mono_diff_ms(k->second, now) >= 1000) {
		k->second = now;
		memset(k->in_second, 0, sizeof k->in_second);
	}
	if (k->in_second[key] < k->settings.signs_max_s) {
		k->in_second[key]++;
		return 1;
	}
	k->refused++;
	if (log_limit_pass(&k->log, &held))
		LOG(WARN, "limit.signs", F_INT("max", k->settings.signs_max_s),
			F_INT("refused", k->refused), F_INT("held", held));
	return 0;
}

static size_t
sign(EVP_PKEY *key, const struct tell_sign *ask, uint8_t *out, size_t cap)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	size_t len = cap;
	int ok = ctx && EVP_PKEY_sign_init(ctx) == 1 &&
		 EVP_PKEY_sign(ctx, out, &len, ask->digest, ask->len) == 1;
	EVP_PKEY_CTX_free(ctx);
	return ok ? len : 0;
}

/* The digest of TLS 1.3's signature schemes for EC keys: SHA-256, SHA-384. */
static int
is_digest(const struct tell_sign *ask)
{
	return ask->len == 32 || ask->len == 48;
}

static int
on_sign(struct keeper *k, int fd)
{
	struct tell_sign ask;
	struct tell_signed answer = {0};
	uint16_t type;
	int n = ipc_recv(fd, &type, &ask, sizeof ask, NULL);
	if (n < 0)
		return n;
	if (type != TELL_SIGN || n != (int)sizeof ask || ask.key >= TELL_KEY_COUNT ||
		!k->keys[ask.key] || !is_digest(&ask))
		return -ERR_PROTOCOL;
	answer.request = ask.request;
	if (within_limit(k, ask.key)) {
		answer.len = (uint8_t)sign(
			k->keys[ask.key], &ask, answer.signature, sizeof answer.signature);
		k->signs[ask.key]++;
	}
	return ipc_send(fd, TELL_SIGNED, &answer, sizeof answer, -1);
}

static void
drop(struct keeper *k, nfds_t i, int code)
{
	if (code != -ERR_CLOSED)
		LOG(WARN, "keeper.channel", F_ERR("code", code));
	close(k->fds[i].fd);
	k->fds[i] = k->fds[--k->count];
}

static void
report(struct keeper *k)
{
	struct mono now = mono_now();
	uint64_t signs = k->signs[TELL_KEY_NATIVE] + k->signs[TELL_KEY_PAGE];
	if (mono_diff_ms(k->reported, now) < REPORT_MS || signs == k->reported_signs)
		return;
	k->reported = now;
	k->reported_signs = signs;
	LOG(INFO, "keeper.signs", F_INT("native", k->signs[TELL_KEY_NATIVE]),
		F_INT("page", k->signs[TELL_KEY_PAGE]), F_INT("refused", k->refused));
}

static void
on_parent_gone(struct keeper *k)
{
	k->parent_gone = 1;
	k->fds[0].fd = -1; /* poll skips it */
	k->ends = mono_add_ms(mono_now(), ((uint64_t)k->settings.handshake_s + 1) * 1000);
}

static int
run(struct keeper *k)
{
	while (!k->parent_gone || (k->count > 1 && mono_before(mono_now(), k->ends))) {
		int n = poll(k->fds, k->count, k->parent_gone ? 1000 : REPORT_MS);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && k->fds[0].revents) {
			int r = on_told(k);
			if (r == -ERR_CLOSED && k->ready)
				on_parent_gone(k);
			else if (r < 0)
				return r;
		}
		/* from the last, so that the one drop() moves into the gap has been looked at */
		for (nfds_t i = n > 0 ? k->count : 0; i-- > 1;) {
			int r = k->fds[i].revents ? on_sign(k, k->fds[i].fd) : 0;
			if (r < 0)
				drop(k, i, r);
		}
		report(k);
	}
	return 0;
}

int
keeper_main(void)
{
	struct keeper *k = mem_new(sizeof *k);
	log_open("engawa-gate", LOG_INFO, -1);
	prctl(PR_SET_NAME, "gate-keeper", 0, 0, 0); /* it was executed as "exe" */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	k->fds[0] = (struct pollfd){.fd = PARENT_FD, .events = POLLIN};
	k->count = 1;
	k->log = (struct log_limit){.burst = 3, .window_ms = 10000};
	k->second = k->reported = mono_now();
	int r = run(k);
	for (size_t i = 0; i < TELL_KEY_COUNT; i++)
		sign_key_free(k->keys[i]);
	return r < 0 ? 2 : 0;
}
