/*
 * The record layer against three other implementations (OpenSSL, GnuTLS, wolfSSL) as clients, and against a peer of our own
 * that breaks every rule: each gets the alert that RFC 8446 names. It is built a second time with keys that are used up after a few
 * records (TLSREC_KEY_BITS): then the same connections renew them in both directions all the time.
 */
#include <errno.h>
#include <gnutls/gnutls.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "crypto/tlsexport.h"
#include "crypto/tlsrec.h"
#include "tlsrec_wolf.h"

enum { TOTAL_BYTES = 400000, UPDATES = 3, SHORT_LIVED = TLSREC_KEY_BITS < 23 };

/* --- a server: OpenSSL's handshake, our records --- */

static SSL_CTX *
server_context(const char *suite)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -60);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	X509_NAME *name = X509_get_subject_name(cert);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"gate", -1, -1, 0);
	X509_set_issuer_name(cert, name);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	SSL_CTX_use_certificate(ctx, cert);
	SSL_CTX_use_PrivateKey(ctx, key);
	SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	assert_int_equal(SSL_CTX_set_ciphersuites(ctx, suite), 1);
	assert_int_equal(tlsexport_prepare(ctx), 0);
	X509_free(cert);
	EVP_PKEY_free(key);
	return ctx;
}

static void
accept_and_export(int fd, const char *suite, struct tlsrec *rec)
{
	SSL_CTX *ctx = server_context(suite);
	SSL *ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fd);
	assert_int_equal(SSL_accept(ssl), 1);
	assert_int_equal(tlsexport_take(ssl, rec), 0);
	SSL_set_quiet_shutdown(ssl, 1);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
}

static void
write_all(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);
		assert_true(n > 0);
		data += n;
		len -= (size_t)n;
	}
}

/* One whole record; 0 at end of file. */
static size_t
read_record(int fd, uint8_t *out)
{
	size_t have = 0, want = TLSREC_HEADER_BYTES;
	while (have < want) {
		ssize_t n = read(fd, out + have, want - have);
		if (n <= 0)
			return 0;
		have += (size_t)n;
		if (have == TLSREC_HEADER_BYTES) {
			int length = tlsrec_length(out, have);
			assert_true(length > 0);
			want = (size_t)length;
		}
	}
	return have;
}

/* Sends a record, or nothing, and before it the KeyUpdate that is due. 1 when our key was used up. */
static size_t
answer(int fd, struct tlsrec *rec, struct tlsrec_crypto *crypto, const uint8_t *data, size_t len)
{
	static uint8_t out[TLSREC_WIRE_MAX_BYTES + TLSREC_OVERHEAD_BYTES];
	size_t used_up = rec->out.seq >= TLSREC_UPDATE_AFTER;
	if (tlsrec_update_due(rec))
		write_all(fd, out, (size_t)tlsrec_update(rec, crypto, out));
	if (len > 0)
		write_all(fd, out, (size_t)tlsrec_seal(rec, crypto, data, len, out));
	return used_up;
}

/* Sends back what comes, with a KeyUpdate of ours now and then, until close_notify. Returns bytes echoed, and how often keys were
 * used up: ours, and the peer's, which was asked and renewed it. */
static size_t
echo(int fd, struct tlsrec *rec, struct tlsrec_crypto *crypto, size_t *ret_ours, size_t *ret_theirs)
{
	static uint8_t in[TLSREC_WIRE_MAX_BYTES];
	uint8_t out[TLSREC_UPDATE_BYTES];
	size_t total = 0, records = 0, updates = 0, len;
	while (!rec->closed && (len = read_record(fd, in)) > 0) {
		uint8_t *data;
		size_t data_len;
		int asked = rec->asked;
		assert_int_equal(tlsrec_open(rec, crypto, in, len, &data, &data_len), 0);
		*ret_theirs += asked && !rec->asked;
		/* GnuTLS takes at most eight KeyUpdates a second */
		if (++records % 70 == 0 && !SHORT_LIVED && updates++ < 2)
			write_all(fd, out, (size_t)tlsrec_update(rec, crypto, out));
		/* two records for one: our key is used up before the peer's */
		*ret_ours += answer(fd, rec, crypto, data, data_len / 2);
		*ret_ours += answer(fd, rec, crypto, data + data_len / 2, data_len - data_len / 2);
		total += data_len;
	}
	ssize_t n = write(fd, out, (size_t)tlsrec_alert(rec, crypto, TLSREC_ALERT_CLOSE_NOTIFY, out));
	(void)n; /* the client may be gone already */
	return total;
}

/* --- three clients: send a pattern in growing pieces, update keys on the way, read it all back --- */

static uint8_t
pattern(size_t i)
{
	return (uint8_t)(i * 7 + i / 251);
}

struct client {
	void *session;
	int (*send)(void *session, const void *data, int len);
	int (*recv)(void *session, void *data, int len);
	int (*update)(void *session);
	void (*close)(void *session);
};

static int
drive(const struct client *c)
{
	uint8_t piece[20000], back[20000];
	size_t sent = 0, got = 0, size = 1, updates = 0;
	while (sent < TOTAL_BYTES) {
		for (size_t i = 0; i < size; i++)
			piece[i] = pattern(sent + i);
		if (c->send(c->session, piece, (int)size) != (int)size)
			return 10;
		sent += size;
		while (got < sent) {
			int n = c->recv(c->session, back, sizeof back);
			if (n <= 0)
				return 11;
			for (int i = 0; i < n; i++)
				if (back[i] != pattern(got + (size_t)i))
					return 12;
			got += (size_t)n;
		}
		size = size * 3 / 2 + 1 > sizeof piece ? 1 : size * 3 / 2 + 1;
		if (updates < UPDATES && sent > updates * 1000) {
			if (c->update(c->session) < 0)
				return 13;
			updates++;
		}
	}
	c->close(c->session);
	return updates == UPDATES ? 0 : 14;
}

static int
openssl_send(void *s, const void *data, int len)
{
	return SSL_write(s, data, len);
}

static int
openssl_recv(void *s, void *data, int len)
{
	return SSL_read(s, data, len);
}

static int
openssl_update(void *s)
{
	return SSL_key_update(s, SSL_KEY_UPDATE_REQUESTED) == 1 ? 0 : -1;
}

static void
openssl_close(void *s)
{
	SSL_shutdown(s);
}

static int
openssl_client(int fd)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fd);
	if (SSL_connect(ssl) != 1)
		return 1;
	/* padding, as a peer may use it */
	SSL_set_block_padding(ssl, 512);
	int r = drive(&(struct client){ ssl, openssl_send, openssl_recv, openssl_update, openssl_close });
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return r;
}

static int
gnutls_send_all(void *s, const void *data, int len)
{
	int done = 0;
	while (done < len) {
		ssize_t n = gnutls_record_send(s, (const char *)data + done, (size_t)(len - done));
		if (n <= 0 && n != GNUTLS_E_AGAIN && n != GNUTLS_E_INTERRUPTED)
			return -1;
		if (n > 0)
			done += (int)n;
	}
	return done;
}

static int
gnutls_recv_some(void *s, void *data, int len)
{
	ssize_t n;
	do
		n = gnutls_record_recv(s, data, (size_t)len);
	while (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED);
	return (int)n;
}

static int
gnutls_update(void *s)
{
	return gnutls_session_key_update(s, GNUTLS_KU_PEER);
}

static void
gnutls_close(void *s)
{
	gnutls_bye(s, GNUTLS_SHUT_WR);
}

static int
gnutls_client(int fd)
{
	gnutls_session_t session;
	gnutls_certificate_credentials_t credentials;
	gnutls_init(&session, GNUTLS_CLIENT);
	gnutls_certificate_allocate_credentials(&credentials);
	gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials);
	gnutls_set_default_priority(session);
	gnutls_transport_set_int(session, fd);
	if (gnutls_handshake(session) < 0)
		return 1;
	int r = drive(&(struct client){ session, gnutls_send_all, gnutls_recv_some, gnutls_update, gnutls_close });
	gnutls_deinit(session);
	gnutls_certificate_free_credentials(credentials);
	return r;
}

static int
wolf_client(int fd)
{
	void *session = wolf_connect(fd);
	if (!session)
		return 1;
	int r = drive(&(struct client){ session, wolf_send, wolf_recv, wolf_update, wolf_close });
	wolf_free(session);
	return r;
}

static void
run_against(int (*client)(int fd), const char *suite)
{
	int fds[2], status;
	struct tlsrec rec;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	pid_t pid = fork();
	if (pid == 0) {
		alarm(60);
		close(fds[0]);
		_exit(client(fds[1]));
	}
	close(fds[1]);
	struct tlsrec_crypto *crypto = tlsrec_crypto_new();
	accept_and_export(fds[0], suite, &rec);
	size_t ours = 0, theirs = 0;
	assert_true(echo(fds[0], &rec, crypto, &ours, &theirs) >= TOTAL_BYTES);
	assert_int_equal(ours > 0, SHORT_LIVED);
	assert_int_equal(theirs > 0, SHORT_LIVED);
	close(fds[0]);
	tlsrec_crypto_free(crypto);
	tlsrec_fini(&rec);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static const char *const suites[] = { "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256" };

static void
test_openssl(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++)
		run_against(openssl_client, suites[i]);
}

static void
test_gnutls(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++)
		run_against(gnutls_client, suites[i]);
}

static void
test_wolfssl(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++)
		run_against(wolf_client, suites[i]);
}

/* --- a misbehaving peer: correct keys, wrong records --- */

struct pair {
	struct tlsrec server, peer; /* peer.out is the client's direction */
	struct tlsrec_crypto *crypto;
	uint8_t wire[TLSREC_WIRE_MAX_BYTES + 64];
	size_t len;
};

static void
pair_init_suite(struct pair *p, enum tlsrec_suite suite)
{
	uint8_t client_secret[48], server_secret[48];
	memset(client_secret, 1, sizeof client_secret);
	memset(server_secret, 2, sizeof server_secret);
	assert_int_equal(tlsrec_init(&p->server, suite, client_secret, server_secret, 0, 0), 0);
	assert_int_equal(tlsrec_init(&p->peer, suite, server_secret, client_secret, 0, 0), 0);
	p->crypto = tlsrec_crypto_new();
	assert_non_null(p->crypto);
}

static void
pair_init(struct pair *p)
{
	pair_init_suite(p, TLSREC_AES_256_GCM);
}

static void
pair_fini(struct pair *p)
{
	tlsrec_crypto_free(p->crypto);
}

/* A record with any inner type, any padding, any length: what tlsrec_seal refuses to make. */
static void
forge(struct pair *p, const uint8_t *inner, size_t inner_len)
{
	uint8_t nonce[12];
	int n;
	size_t body = inner_len + 16;
	uint8_t header[5] = { 23, 3, 3, (uint8_t)(body >> 8), (uint8_t)body };
	memcpy(nonce, p->peer.out.iv, 12);
	for (int i = 0; i < 8; i++)
		nonce[4 + i] ^= (uint8_t)(p->peer.out.seq >> (56 - 8 * i));
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, p->peer.out.key, nonce);
	EVP_EncryptUpdate(ctx, NULL, &n, header, 5);
	memcpy(p->wire, header, 5);
	EVP_EncryptUpdate(ctx, p->wire + 5, &n, inner, (int)inner_len);
	EVP_EncryptFinal_ex(ctx, p->wire + 5 + n, &n);
	EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, p->wire + 5 + inner_len);
	EVP_CIPHER_CTX_free(ctx);
	p->len = 5 + body;
	p->peer.out.seq++;
}

static int
open_wire(struct pair *p, size_t *ret_len)
{
	uint8_t *data;
	int length = tlsrec_length(p->wire, p->len);
	if (length < 0)
		return length;
	assert_int_equal((size_t)length, p->len);
	return tlsrec_open(&p->server, p->crypto, p->wire, p->len, &data, ret_len);
}

struct bad_record {
	const char *name;
	uint8_t inner[24];
	size_t len;
	int answer;
};

static const struct bad_record bad_records[] = {
	{ "no type at all", { 0, 0, 0, 0 }, 4, -TLSREC_ALERT_UNEXPECTED_MESSAGE },
	{ "nothing but a tag", { 0 }, 0, -TLSREC_ALERT_UNEXPECTED_MESSAGE },
	{ "empty handshake", { 22 }, 1, -TLSREC_ALERT_UNEXPECTED_MESSAGE },
	{ "empty alert", { 21 }, 1, -TLSREC_ALERT_UNEXPECTED_MESSAGE },
	{ "encrypted change_cipher_spec", { 1, 20 }, 2, -TLSREC_ALERT_UNEXPECTED_MESSAGE },
	{ "unknown type", { 1, 99 }, 2, -TLSREC_ALERT_UNEXPECTED_MESSAGE },
	{ "ClientHello: renegotiation", { 1, 0, 0, 1, 0, 22 }, 6, -TLSREC_ALERT_UNEXPECTED_MESSAGE },
	{ "NewSessionTicket from a client", { 4, 0, 0, 0, 22 }, 5, -TLSREC_ALERT_UNEXPECTED_MESSAGE },
	{ "Certificate that nobody asked for", { 11, 0, 0, 1, 0, 22 }, 6, -TLSREC_ALERT_UNEXPECTED_MESSAGE },
	{ "KeyUpdate with a wrong request", { 24, 0, 0, 1, 2, 22 }, 6, -TLSREC_ALERT_ILLEGAL_PARAMETER },
	{ "KeyUpdate of the wrong length", { 24, 0, 0, 0, 22 }, 5, -TLSREC_ALERT_DECODE_ERROR },
	{ "two KeyUpdates in one record", { 24, 0, 0, 1, 0, 24, 0, 0, 1, 0, 22 }, 11, -TLSREC_ALERT_UNEXPECTED_MESSAGE },
	{ "alert of three bytes", { 1, 0, 0, 21 }, 4, -TLSREC_ALERT_DECODE_ERROR },
	{ "fatal alert", { 2, 40, 21 }, 3, TLSREC_PEER_ALERT },
	{ "fatal alert that calls itself a warning", { 1, 40, 21 }, 3, TLSREC_PEER_ALERT },
	{ "warning user_canceled", { 1, 90, 21 }, 3, 0 },
	{ "empty application data", { 23 }, 1, 0 },
};

static void
test_bad_records(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof bad_records / sizeof bad_records[0]; i++) {
		static struct pair p;
		size_t len = 0;
		pair_init(&p);
		forge(&p, bad_records[i].inner, bad_records[i].len);
		int r = open_wire(&p, &len);
		if (r != bad_records[i].answer)
			fail_msg("%s: %d, not %d", bad_records[i].name, r, bad_records[i].answer);
		assert_int_equal(len, 0);
		pair_fini(&p);
	}
}

static void
test_lengths(void **state)
{
	(void)state;
	static struct pair p;
	static uint8_t inner[TLSREC_PLAIN_MAX_BYTES + 64];
	size_t len = 0;
	pair_init(&p);
	memset(inner, 'a', sizeof inner);
	inner[TLSREC_PLAIN_MAX_BYTES] = 23;
	forge(&p, inner, TLSREC_PLAIN_MAX_BYTES + 1);
	assert_int_equal(open_wire(&p, &len), 0);
	assert_int_equal(len, TLSREC_PLAIN_MAX_BYTES);
	inner[1] = 23; /* short data, but its padding goes over */
	memset(inner + 2, 0, sizeof inner - 2);
	forge(&p, inner, TLSREC_PLAIN_MAX_BYTES + 2);
	assert_int_equal(open_wire(&p, &len), -TLSREC_ALERT_RECORD_OVERFLOW);
	const uint8_t long_header[] = { 23, 3, 3, 0x41, 0x01 };
	assert_int_equal(tlsrec_length(long_header, 5), -TLSREC_ALERT_RECORD_OVERFLOW);
	const uint8_t plain_handshake[] = { 22, 3, 3, 0, 5 };
	assert_int_equal(tlsrec_length(plain_handshake, 5), -TLSREC_ALERT_UNEXPECTED_MESSAGE);
	const uint8_t http[] = "GET / HTTP/1.1";
	assert_int_equal(tlsrec_length(http, sizeof http), -TLSREC_ALERT_UNEXPECTED_MESSAGE);
	const uint8_t no_tag[] = { 23, 3, 3, 0, 15 };
	assert_int_equal(tlsrec_length(no_tag, 5), -TLSREC_ALERT_BAD_RECORD_MAC);
	assert_int_equal(tlsrec_length(long_header, 4), 0);
	/* a tag of nothing: what is wrong with it is known when the tag has been looked at, in every suite */
	for (int suite = TLSREC_AES_128_GCM; suite <= TLSREC_CHACHA20_POLY1305; suite++) {
		static struct pair q;
		static const uint8_t header[] = { 23, 3, 3, 0, 16 };
		pair_init_suite(&q, (enum tlsrec_suite)suite);
		memset(q.wire, 0, 21);
		memcpy(q.wire, header, sizeof header);
		q.len = 21;
		assert_int_equal(open_wire(&q, &len), -TLSREC_ALERT_BAD_RECORD_MAC);
		pair_fini(&q);
	}
	pair_fini(&p);
}

static void
test_tampered(void **state)
{
	(void)state;
	static struct pair p;
	const uint8_t inner[] = { 'h', 'i', 23 };
	size_t len = 0;
	for (size_t byte = 0; byte < 5 + sizeof inner + 16; byte++) {
		pair_init(&p);
		forge(&p, inner, sizeof inner);
		p.wire[byte] ^= 1;
		if (byte == 3 || byte == 4) { /* a length that no longer fits is the reader's business */
			pair_fini(&p);
			continue;
		}
		int r = open_wire(&p, &len);
		assert_int_equal(r, byte == 0 ? -TLSREC_ALERT_UNEXPECTED_MESSAGE : -TLSREC_ALERT_BAD_RECORD_MAC);
		pair_fini(&p);
	}
	pair_init(&p); /* replay: the second time its sequence number is over */
	forge(&p, inner, sizeof inner);
	uint8_t copy[64];
	memcpy(copy, p.wire, p.len);
	assert_int_equal(open_wire(&p, &len), 0);
	memcpy(p.wire, copy, p.len);
	assert_int_equal(open_wire(&p, &len), -TLSREC_ALERT_BAD_RECORD_MAC);
	pair_fini(&p);
}

static void
test_split_and_interleaved(void **state)
{
	(void)state;
	static struct pair p;
	size_t len = 0;
	const uint8_t first[] = { 24, 0, 0, 22 }, second[] = { 1, 1, 22 }, data[] = { 'x', 23 };
	pair_init(&p);
	uint8_t before[32];
	memcpy(before, p.server.in.key, 32);
	forge(&p, first, sizeof first);
	assert_int_equal(open_wire(&p, &len), 0);
	assert_memory_equal(before, p.server.in.key, 32);
	forge(&p, second, sizeof second);
	assert_int_equal(open_wire(&p, &len), 0);
	assert_true(memcmp(before, p.server.in.key, 32) != 0);
	assert_int_equal(p.server.in.seq, 0);
	assert_true(tlsrec_update_due(&p.server));
	pair_fini(&p);

	pair_init(&p);
	forge(&p, first, sizeof first);
	assert_int_equal(open_wire(&p, &len), 0);
	forge(&p, data, sizeof data);
	assert_int_equal(open_wire(&p, &len), -TLSREC_ALERT_UNEXPECTED_MESSAGE);
	pair_fini(&p);
}

static void
test_update_flood_and_end(void **state)
{
	(void)state;
	static struct pair p, q;
	size_t len = 0;
	int r = 0, count = 0;
	pair_init(&p);
	for (; count < 1000 && r == 0; count++) {
		p.peer.update_wanted = 0;
		p.len = (size_t)tlsrec_update(&p.peer, p.crypto, p.wire);
		r = open_wire(&p, &len);
	}
	assert_int_equal(r, -TLSREC_ALERT_UNEXPECTED_MESSAGE);
	assert_int_equal(count, TLSREC_UPDATES_MAX + 1);
	pair_fini(&p);

	pair_init(&q);
	q.len = (size_t)tlsrec_alert(&q.peer, q.crypto, TLSREC_ALERT_CLOSE_NOTIFY, q.wire);
	assert_int_equal(open_wire(&q, &len), 0);
	assert_int_equal(q.server.closed, 1);
	q.len = (size_t)tlsrec_seal(&q.peer, q.crypto, (const uint8_t *)"late", 4, q.wire);
	assert_int_equal(open_wire(&q, &len), 0);
	assert_int_equal(len, 0);
	q.server.out.seq = TLSREC_UPDATE_AFTER;
	assert_true(tlsrec_update_due(&q.server));
	pair_fini(&q);
}

/* The peer has sent so many records with its key, and we have seen them. */
static void
use_up(struct pair *p, uint64_t records)
{
	p->peer.out.seq = p->server.in.seq = records;
}

static int
send_one(struct pair *p)
{
	size_t len = 0;
	p->len = (size_t)tlsrec_seal(&p->peer, p->crypto, (const uint8_t *)"data", 4, p->wire);
	int r = open_wire(p, &len);
	assert_int_equal(len, r == 0 ? 4 : 0);
	return r;
}

/* The server's KeyUpdate; meanwhile the peer sends on; then it has it. */
static void
ask_peer(struct pair *p)
{
	uint8_t ask[TLSREC_UPDATE_BYTES], *data;
	size_t len;
	assert_int_equal(tlsrec_update(&p->server, p->crypto, ask), sizeof ask);
	assert_int_equal(send_one(p), 0);
	assert_int_equal(tlsrec_open(&p->peer, p->crypto, ask, sizeof ask, &data, &len), 0);
	assert_int_equal(p->peer.update_wanted, 1);
}

/* The peer is asked once for its next key; what was under way meanwhile is good; it answers, and the same begins anew. */
static void
test_peer_is_asked(void **state)
{
	(void)state;
	static struct pair p;
	size_t len = 0;
	pair_init(&p);
	for (int round = 0; round < 3; round++) {
		use_up(&p, TLSREC_UPDATE_AFTER - 1);
		assert_false(tlsrec_ask_due(&p.server) || tlsrec_update_due(&p.server));
		assert_int_equal(send_one(&p), 0);
		assert_true(tlsrec_ask_due(&p.server) && tlsrec_update_due(&p.server));
		ask_peer(&p);
		assert_false(tlsrec_ask_due(&p.server) || tlsrec_update_due(&p.server));
		use_up(&p, TLSREC_KEY_RECORDS_MAX - 1); /* the last one that this key may protect renews it */
		p.len = (size_t)tlsrec_update(&p.peer, p.crypto, p.wire);
		assert_int_equal(open_wire(&p, &len), 0);
		assert_int_equal(p.server.in.seq, 0);
		assert_int_equal(p.server.update_wanted, 0); /* an answer asks for none */
		assert_int_equal(send_one(&p), 0);
	}
	/* whoever takes the connection over knows nothing of a question under way, and asks again: one answer is enough */
	use_up(&p, TLSREC_UPDATE_AFTER);
	ask_peer(&p);
	p.server.asked = p.peer.update_wanted = 0;
	ask_peer(&p);
	p.len = (size_t)tlsrec_update(&p.peer, p.crypto, p.wire);
	assert_int_equal(open_wire(&p, &len), 0);
	assert_int_equal(send_one(&p), 0);
	pair_fini(&p);
}

/* A peer that goes on with a key that is used up: nothing more is opened, not even its KeyUpdate, however often it tries. With
 * ChaCha20-Poly1305 the counter would wrap first (RFC 8446 5.5). */
static void
test_attack_peer_never_renews(void **state)
{
	(void)state;
	static struct pair p;
	size_t len = 0;
	for (int suite = TLSREC_AES_128_GCM; suite <= TLSREC_CHACHA20_POLY1305; suite++) {
		int worn = suite == TLSREC_CHACHA20_POLY1305 ? 0 : TLSREC_KEY_WORN;
		pair_init_suite(&p, (enum tlsrec_suite)suite);
		use_up(&p, TLSREC_KEY_RECORDS_MAX - 1);
		assert_int_equal(send_one(&p), 0);
		assert_int_equal(send_one(&p), worn);
		assert_int_equal(send_one(&p), worn);
		p.len = (size_t)tlsrec_update(&p.peer, p.crypto, p.wire);
		assert_int_equal(open_wire(&p, &len), worn);
		assert_int_equal(p.server.in.seq == 0, worn == 0);
		pair_fini(&p);
	}
}

/* RFC 8446 5.5, for the numbers that the programs have */
static void
test_limits(void **state)
{
	(void)state;
	const double allowed = 23726566.4; /* 2^24.5 */
	if (!SHORT_LIVED)
		assert_true(TLSREC_KEY_RECORDS_MAX < allowed && TLSREC_KEY_RECORDS_MAX > 0.99 * allowed);
	assert_true(TLSREC_UPDATE_AFTER * 2 < TLSREC_KEY_RECORDS_MAX);
}

int
main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_openssl),
		cmocka_unit_test(test_gnutls),
		cmocka_unit_test(test_wolfssl),
		cmocka_unit_test(test_bad_records),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_tampered),
		cmocka_unit_test(test_split_and_interleaved),
		cmocka_unit_test(test_update_flood_and_end),
		cmocka_unit_test(test_peer_is_asked),
		cmocka_unit_test(test_attack_peer_never_renews),
		cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
