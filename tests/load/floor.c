/*
 * The least that a relay of TLS records can do: recv, open, seal, send. No limits, no fairness, no
 * frames, no sandbox; OpenSSL's part ends with the handshake, and each direction has a context that
 * keeps its key. The first two connections are one session, and so on.
 *
 *   floor PORT PEM      on 127.0.0.1, until it is killed; prints "ready"
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "crypto/tlsexport.h"
#include "ends.h"

enum {
	READ_BYTES = 65536,
	TAG_BYTES = 16,
	EVENTS = 64,
};

struct direction {
	EVP_CIPHER_CTX *ctx;
	uint8_t iv[TLSREC_IV_BYTES];
	uint64_t seq;
};

struct side {
	struct side *peer;
	struct direction in, out;
	int fd;
	size_t held_len, rest_len, rest_at;
	uint8_t held[TLSREC_WIRE_MAX_BYTES]; /* of a record that is not whole */
	uint8_t *rest;                       /* that the kernel did not take */
};

static int epoll_fd;
static SSL_CTX *context;

/* A side is read only while its peer has nothing left to be sent. */
static void
watch(struct side *s, int op)
{
	struct epoll_event event = {
		.events = (s->peer->rest_len ? 0 : EPOLLIN) | (s->rest_len ? EPOLLOUT : 0),
		.data.ptr = s};
	if (epoll_ctl(epoll_fd, op, s->fd, &event) < 0)
		ends_die("epoll");
}

static void
nonce(struct direction *d, uint8_t out[static TLSREC_IV_BYTES])
{
	memcpy(out, d->iv, TLSREC_IV_BYTES);
	for (int i = 0; i < 8; i++)
		out[TLSREC_IV_BYTES - 1 - i] ^= (uint8_t)(d->seq >> 8 * i);
	d->seq++;
}

/* len bytes of text between header and tag. */
static void
open_record(struct direction *d, uint8_t *record, size_t len)
{
	uint8_t n[TLSREC_IV_BYTES], *text = record + TLSREC_HEADER_BYTES;
	int got;
	nonce(d, n);
	if (EVP_DecryptInit_ex(d->ctx, NULL, NULL, NULL, n) != 1 ||
		EVP_DecryptUpdate(d->ctx, NULL, &got, record, TLSREC_HEADER_BYTES) != 1 ||
		EVP_DecryptUpdate(d->ctx, text, &got, text, (int)len) != 1 ||
		EVP_CIPHER_CTX_ctrl(d->ctx, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, text + len) != 1 ||
		EVP_DecryptFinal_ex(d->ctx, text + len, &got) != 1)
		ends_die("open");
}

static void
seal_record(struct direction *d, uint8_t *record, size_t len)
{
	uint8_t n[TLSREC_IV_BYTES], *text = record + TLSREC_HEADER_BYTES;
	int got;
	nonce(d, n);
	if (EVP_EncryptInit_ex(d->ctx, NULL, NULL, NULL, n) != 1 ||
		EVP_EncryptUpdate(d->ctx, NULL, &got, record, TLSREC_HEADER_BYTES) != 1 ||
		EVP_EncryptUpdate(d->ctx, text, &got, text, (int)len) != 1 ||
		EVP_EncryptFinal_ex(d->ctx, text + len, &got) != 1 ||
		EVP_CIPHER_CTX_ctrl(d->ctx, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, text + len) != 1)
		ends_die("seal");
}

static void
side_free(struct side *s)
{
	close(s->fd);
	EVP_CIPHER_CTX_free(s->in.ctx);
	EVP_CIPHER_CTX_free(s->out.ctx);
	free(s->rest);
}

static void
transmit(struct side *to, const uint8_t *data, size_t len)
{
	ssize_t n = send(to->fd, data, len, MSG_NOSIGNAL);
	size_t sent = n > 0 ? (size_t)n : 0;
	if (sent == len)
		return;
	memcpy(to->rest, data + sent, len - sent);
	to->rest_len = len - sent;
	to->rest_at = 0;
	watch(to->peer, EPOLL_CTL_MOD);
	watch(to, EPOLL_CTL_MOD);
}

static void
send_rest(struct side *s)
{
	ssize_t n = send(s->fd, s->rest + s->rest_at, s->rest_len - s->rest_at, MSG_NOSIGNAL);
	s->rest_at += n > 0 ? (size_t)n : 0;
	if (s->rest_at < s->rest_len)
		return;
	s->rest_len = s->rest_at = 0;
	watch(s, EPOLL_CTL_MOD);
	watch(s->peer, EPOLL_CTL_MOD);
}

/* 0 at the end of the connection. */
static int
relay_some(struct side *s)
{
	static uint8_t buf[TLSREC_WIRE_MAX_BYTES + READ_BYTES];
	memcpy(buf, s->held, s->held_len);
	ssize_t n = recv(s->fd, buf + s->held_len, READ_BYTES, 0);
	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	size_t have = s->held_len + (size_t)n, used = 0;
	while (have - used >= TLSREC_HEADER_BYTES) {
		uint8_t *record = buf + used;
		size_t body = (size_t)record[3] << 8 | record[4];
		if (have - used < TLSREC_HEADER_BYTES + body)
			break;
		open_record(&s->in, record, body - TAG_BYTES);
		seal_record(&s->peer->out, record, body - TAG_BYTES);
		used += TLSREC_HEADER_BYTES + body;
	}
	s->held_len = have - used;
	memcpy(s->held, buf + used, s->held_len);
	if (used > 0)
		transmit(s->peer, buf, used);
	return 1;
}

static EVP_CIPHER_CTX *
keyed(const struct tlsrec_key *key, int encrypt, struct direction *ret)
{
	ret->ctx = EVP_CIPHER_CTX_new();
	memcpy(ret->iv, key->iv, sizeof ret->iv);
	if (!ret->ctx ||
		EVP_CipherInit_ex(ret->ctx, EVP_aes_256_gcm(), NULL, key->key, NULL, encrypt) != 1)
		ends_die("key");
	return ret->ctx;
}

static struct side *
accept_side(int listener)
{
	const int on = 1;
	struct tlsrec rec;
	struct side *s = mem_new(sizeof *s);
	s->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	SSL *ssl = SSL_new(context);
	if (s->fd < 0 || !ssl || SSL_set_fd(ssl, s->fd) != 1 || SSL_accept(ssl) != 1 ||
		tlsexport_take(ssl, &rec) < 0)
		ends_die("accept");
	SSL_free(ssl);
	keyed(&rec.in, 0, &s->in);
	keyed(&rec.out, 1, &s->out);
	s->rest = mem_new(TLSREC_WIRE_MAX_BYTES + READ_BYTES);
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (fcntl(s->fd, F_SETFL, O_NONBLOCK) < 0)
		ends_die("fcntl");
	return s;
}

static void
on_listener(int listener)
{
	static struct side *waiting;
	struct side *s = accept_side(listener);
	if (!waiting) {
		waiting = s;
		return;
	}
	s->peer = waiting;
	waiting->peer = s;
	watch(s, EPOLL_CTL_ADD);
	watch(waiting, EPOLL_CTL_ADD);
	waiting = NULL;
}

static void
serve(int listener)
{
	struct epoll_event events[EVENTS];
	for (;;) {
		int n = epoll_wait(epoll_fd, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			struct side *s = events[i].data.ptr;
			if (!s) {
				on_listener(listener);
				continue;
			}
			if (s->fd >= 0 && (events[i].events & EPOLLOUT))
				send_rest(s);
			if (s->fd >= 0 && (events[i].events & ~(uint32_t)EPOLLOUT) &&
				s->peer->rest_len == 0 && !relay_some(s)) {
				side_free(s->peer);
				side_free(s);
				s->fd = s->peer->fd =
					-1; /* the rest is kept: an event may name it */
			}
		}
	}
}

int
main(int argc, char **argv)
{
	int64_t port;
	const int on = 1;
	struct sockaddr_in at = {.sin_family = AF_INET};
	if (argc != 3 || str_int(argv[1], 1, UINT16_MAX, &port) < 0)
		return 2;
	context = SSL_CTX_new(TLS_server_method());
	if (!context || SSL_CTX_use_certificate_chain_file(context, argv[2]) != 1 ||
		SSL_CTX_use_PrivateKey_file(context, argv[2], SSL_FILETYPE_PEM) != 1 ||
		SSL_CTX_set_ciphersuites(context, "TLS_AES_256_GCM_SHA384") != 1 ||
		tlsexport_prepare(context) < 0)
		ends_die("context");
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	at.sin_port = htons((uint16_t)port);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
	if (bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 512) < 0 ||
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event) < 0)
		ends_die("listen");
	printf("ready\n");
	fflush(stdout);
	serve(listener);
}
