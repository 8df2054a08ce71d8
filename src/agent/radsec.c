#include "agent/radsec.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	SERVER_MS = 5000, /* then the next one */
	STRANGE_MAX = 16  /* packets that answer something else */
};
#define SECRET "radsec" /* RFC 6614 2.3: TLS is what protects */

struct line {
	int fd;
	SSL *ssl;
	struct mono until;
};

static enum radius_answer
failed(const struct radius_server *server, const char *what)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;
	LOG(ERROR, "radsec", F_STR("server", server->host), F_STR("what", what),
		F_STR("text", reason ? reason : ""));
	return RADIUS_FORGED;
}

/* 1 when it is ready, 0 when the time is over. */
static int
wait_for(const struct line *line, short events)
{
	struct pollfd ready = {line->fd, events, 0};
	uint64_t left_ms = mono_diff_ms(mono_now(), line->until);
	return left_ms > 0 && poll(&ready, 1, (int)left_ms) > 0;
}

static int
connect_to(const struct radius_server *server, struct line *line)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
	int error = -1;
	socklen_t len = sizeof error;
	if (getaddrinfo(server->host, server->port, &hints, &found) != 0)
		return -ERR_NO_GATE;
	for (struct addrinfo *a = found; a && error; a = a->ai_next) {
		if (line->fd >= 0)
			close(line->fd);
		line->fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (line->fd < 0)
			continue;
		if (connect(line->fd, a->ai_addr, a->ai_addrlen) < 0 &&
			(errno != EINPROGRESS || !wait_for(line, POLLOUT)))
			continue;
		if (getsockopt(line->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
			error = -1;
	}
	freeaddrinfo(found);
	return error ? -ERR_NO_GATE : 0;
}

/* After a call on the connection that gave r: 1 = again. */
static int
again(const struct line *line, int r)
{
	int why = SSL_get_error(line->ssl, r);
	if (why == SSL_ERROR_WANT_READ)
		return wait_for(line, POLLIN);
	return why == SSL_ERROR_WANT_WRITE && wait_for(line, POLLOUT);
}

static int
use_own(SSL_CTX *ctx, const struct check_question *q)
{
	uint8_t der[CHECK_FIELD_SIZE];
	const uint8_t *at = der;
	size_t len;
	const char *key = q->field[CHECK_KEY];
	if (!q->field[CHECK_CERTIFICATE][0])
		return 1;
	if (SSL_CTX_use_certificate_chain_file(ctx, q->field[CHECK_CERTIFICATE]) != 1 ||
		str_unbase64(key, strlen(key), der, sizeof der, &len) < 0)
		return 0;
	EVP_PKEY *own = d2i_AutoPrivateKey(NULL, &at, (long)len);
	mem_wipe(der, sizeof der);
	int ok =
		own && SSL_CTX_use_PrivateKey(ctx, own) == 1 && SSL_CTX_check_private_key(ctx) == 1;
	EVP_PKEY_free(own);
	return ok;
}

/* Certificates only: no list has a suite with PSK or without authentication, and nobody here gives
 * a PSK for TLS 1.3. */
static SSL_CTX *
make_context(const struct check_question *q)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	if (ctx && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
		SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20:!PSK:!aNULL") == 1 &&
		SSL_CTX_load_verify_file(ctx, q->field[CHECK_CA]) == 1 && use_own(ctx, q)) {
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
		SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
		return ctx;
	}
	SSL_CTX_free(ctx);
	return NULL;
}

/* The name in the certificate: an address is one only there where addresses are. */
static int
expect_name(SSL *ssl, const char *host)
{
	uint8_t address[16];
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
	X509_VERIFY_PARAM_set_hostflags(
		param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

static int
shake(struct line *line, SSL_CTX *ctx, const struct radius_server *server)
{
	int r;
	line->ssl = SSL_new(ctx);
	if (!line->ssl || SSL_set_fd(line->ssl, line->fd) != 1 ||
		!expect_name(line->ssl, server->host))
		return 0;
	while ((r = SSL_connect(line->ssl)) != 1)
		if (!again(line, r))
			return 0;
	return SSL_get_verify_result(line->ssl) == X509_V_OK &&
	       SSL_get0_peer_certificate(line->ssl);
}

static int
send_all(struct line *line, const uint8_t *data, size_t len)
{
	int r;
	while ((r = SSL_write(line->ssl, data, (int)len)) <= 0)
		if (!again(line, r))
			return 0;
	return 1; /* SSL_write takes all or nothing */
}

static int
receive(struct line *line, uint8_t *out, size_t len)
{
	for (size_t have = 0; have < len;) {
		int r = SSL_read(line->ssl, out + have, (int)(len - have));
		if (r > 0)
			have += (size_t)r;
		else if (!again(line, r))
			return 0;
	}
	return 1;
}

/* One packet: it says itself how long it is. Its length, 0 for none. */
static size_t
receive_packet(struct line *line, uint8_t in[static RADIUS_PACKET_MAX_BYTES])
{
	if (!receive(line, in, RADIUS_HEADER_BYTES))
		return 0;
	size_t len = (size_t)in[2] << 8 | in[3];
	if (len < RADIUS_HEADER_BYTES || len > RADIUS_PACKET_MAX_BYTES ||
		!receive(line, in + RADIUS_HEADER_BYTES, len - RADIUS_HEADER_BYTES))
		return 0;
	return len;
}

static enum radius_answer
exchange(struct line *line, const struct radius_server *server, const struct check_question *q)
{
	uint8_t packet[RADIUS_PACKET_MAX_BYTES];
	struct radius_request request;
	if (RAND_bytes((uint8_t *)&request, sizeof request) != 1)
		return failed(server, "entropy");
	size_t len = radius_put(
		&request, q->field[CHECK_USER], q->field[CHECK_PASSWORD], SECRET, packet);
	int sent = len && send_all(line, packet, len);
	mem_wipe(packet, sizeof packet);
	if (!sent)
		return failed(server, "cannot be asked");
	for (int i = 0; i < STRANGE_MAX && (len = receive_packet(line, packet)) > 0; i++) {
		enum radius_answer answer = radius_get(&request, SECRET, 0, packet, len);
		if (answer != RADIUS_FORGED)
			return answer;
	}
	return failed(server, "no answer");
}

enum radius_answer
radsec_ask(const struct radius_server *server, const struct check_question *q, struct mono until)
{
	struct mono own = mono_add_ms(mono_now(), SERVER_MS);
	struct line line = {.fd = -1, .until = mono_before(own, until) ? own : until};
	enum radius_answer answer = RADIUS_FORGED;
	ERR_clear_error();
	/* no list of the system's: whoever has a name there is not a RADIUS server for it */
	SSL_CTX *ctx = q->field[CHECK_CA][0] ? make_context(q) : NULL;
	if (!ctx)
		answer = failed(
			server, "RADIUS_CA_FILE, RADIUS_CERTIFICATE_FILE or RADIUS_KEY_FILE");
	else if (connect_to(server, &line) < 0)
		answer = failed(server, "cannot be reached");
	else if (!shake(&line, ctx, server))
		answer = failed(server, "TLS");
	else
		answer = exchange(&line, server, q);
	SSL_free(line.ssl);
	SSL_CTX_free(ctx);
	if (line.fd >= 0)
		close(line.fd);
	return answer;
}
