/*
 * net/conn against peers in this process. Between the two ends lies a wire that can be slow,
 * deliver odd pieces, be silent or be cut: what a network does.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "crypto/tls.h"
#include "net/conn.h"
#include "pki.h"

#define HOST "gate.example"

enum {
	PATTERN = 251,
	DEADLINE_MS = 3000
};

struct wire {
	struct watch *watches[2];
	int fds[2];
	size_t piece; /* longest piece that is passed on; 0 = whatever comes */
	size_t cut;   /* bytes towards the client after which the line is cut; 0 = never */
	size_t passed;
};

/* One end, and what it does in its callbacks. */
struct end {
	struct conn *conn;
	const char *log; /* "c" or "s": prefix in the trace */
	size_t send_total, sent, received;
	size_t most_queued;
	int odd_bites;  /* data() uses random parts */
	int pause_once; /* after the first data */
	int free_in;    /* 'r'eady, 'd'ata, 'e'mpty queue, 'c'losed */
	int stop_on_close, keep;
	int closed, code;
	char error[160];
};

static struct loop *loop;
static struct pki pki;
static EVP_PKEY *gate_key;
static struct ssl_ctx_st *client_tls, *server_tls;
static struct end client, server;
static struct wire wire;
static struct timer *timer;
static char trace[64];

static void
note(struct end *e, const char *what)
{
	if (strlen(trace) + 3 < sizeof trace) {
		strcat(trace, e->log);
		strcat(trace, what);
	}
}

static void
fill(uint8_t *p, size_t from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)((from + i) % PATTERN);
}

static void
pump(struct end *e)
{
	uint8_t chunk[10007];
	while (e->conn && e->sent < e->send_total && conn_queued(e->conn) < CONN_HIGH_BYTES) {
		size_t n = e->send_total - e->sent < sizeof chunk ? e->send_total - e->sent
								  : sizeof chunk;
		fill(chunk, e->sent, n);
		assert_int_equal(conn_send(e->conn, chunk, n), 0);
		e->sent += n;
		if (conn_queued(e->conn) > e->most_queued)
			e->most_queued = conn_queued(e->conn);
	}
}

static int
freed_here(struct end *e, int place)
{
	if (e->free_in != place)
		return 0;
	conn_free(e->conn);
	e->conn = NULL;
	return 1;
}

static void
on_ready(void *user)
{
	struct end *e = user;
	note(e, "r");
	if (!freed_here(e, 'r'))
		pump(e);
}

static size_t
on_data(void *user, const uint8_t *data, size_t len)
{
	struct end *e = user;
	assert_in_range(len, 1, CONN_IN_MAX_BYTES);
	if (e->received == 0)
		note(e, "d");
	if (e->odd_bites && rand() % 8 == 0) {
		conn_resume(e->conn); /* not now: offer it again */
		return 0;
	}
	size_t used = e->odd_bites ? 1 + (size_t)rand() % len : len;
	for (size_t i = 0; i < used; i++)
		if (data[i] != (uint8_t)((e->received + i) % PATTERN))
			fail_msg("byte %zu is wrong", e->received + i);
	e->received += used;
	if (freed_here(e, 'd'))
		return used;
	if (e->pause_once) {
		e->pause_once = 0;
		conn_pause(e->conn);
	}
	return used;
}

static void
on_drained(void *user)
{
	struct end *e = user;
	if (freed_here(e, 'e'))
		return;
	pump(e);
	if (e->send_total && e->sent == e->send_total && conn_queued(e->conn) == 0) {
		note(e, "e");
		if (!e->keep)
			conn_finish(e->conn);
	}
}

static void
on_closed(void *user, int code)
{
	struct end *e = user;
	note(e, "c");
	assert_false(e->closed);
	e->closed = 1;
	e->code = code;
	snprintf(e->error, sizeof e->error, "%s", conn_error(e->conn));
	assert_int_equal(conn_send(e->conn, "x", 1), -ERR_CLOSED);
	freed_here(e, 'c');
	if (e->stop_on_close || (client.closed && server.closed))
		loop_stop(loop);
}

static const struct conn_events events = {on_ready, on_data, on_drained, on_closed};

static void
cut(struct wire *w)
{
	for (int i = 0; i < 2; i++) {
		watch_free(w->watches[i]);
		w->watches[i] = NULL;
		if (w->fds[i] >= 0)
			close(w->fds[i]);
		w->fds[i] = -1;
	}
}

/* Blocking towards the far end is fine: both are large enough here, and the loop's time is the
 * wire's delay. */
static void
pass(struct wire *w, int from)
{
	uint8_t bytes[65536];
	size_t cap = w->piece ? 1 + (size_t)rand() % w->piece : sizeof bytes;
	if (w->cut && from == 1 && cap > w->cut - w->passed)
		cap = w->cut - w->passed;
	ssize_t n = recv(w->fds[from], bytes, cap, MSG_PEEK);
	if (n <= 0) {
		cut(w);
		return;
	}
	ssize_t m = write(w->fds[!from], bytes, (size_t)n);
	if (m < 0 && errno == EAGAIN)
		return;
	if (m < 0) {
		cut(w);
		return;
	}
	assert_int_equal(recv(w->fds[from], bytes, (size_t)m, 0), m);
	w->passed += from == 1 ? (size_t)m : 0;
	if (w->cut && w->passed == w->cut)
		cut(w);
}

static void
on_wire_client(void *user, int ready)
{
	(void)ready;
	pass(user, 0);
}

static void
on_wire_server(void *user, int ready)
{
	(void)ready;
	pass(user, 1);
}

static void
pair(int fds[2])
{
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

/* client <- wire -> server; either context may be NULL for a plain end. */
static void
join(struct ssl_ctx_st *from, struct ssl_ctx_st *to)
{
	int left[2], right[2];
	pair(left);
	pair(right);
	wire.fds[0] = left[1];
	wire.fds[1] = right[1];
	wire.watches[0] = watch_new(loop, left[1], on_wire_client, &wire);
	wire.watches[1] = watch_new(loop, right[1], on_wire_server, &wire);
	watch_set(wire.watches[0], WATCH_READ);
	watch_set(wire.watches[1], WATCH_READ);
	client.conn = conn_new(loop, left[0], from, HOST, 0, DEADLINE_MS, &events, &client);
	server.conn = conn_new(loop, right[0], to, NULL, 1, DEADLINE_MS, &events, &server);
	assert_non_null(client.conn);
	assert_non_null(server.conn);
}

static int
set_up(void **state)
{
	(void)state;
	srand(4711);
	loop = loop_new();
	client = (struct end){.log = "c"};
	server = (struct end){.log = "s"};
	wire = (struct wire){.fds = {-1, -1}};
	trace[0] = '\0';
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	conn_free(client.conn);
	conn_free(server.conn);
	cut(&wire);
	loop_free(loop);
	return 0;
}

static int
group_set_up(void **state)
{
	(void)state;
	pki_init(&pki);
	gate_key = sign_key_generate();
	X509 *cert = pki_gate(&pki, HOST, gate_key, 0);
	client_tls = tls_outgoing(&pki.org, NULL, NULL);
	server_tls = tls_incoming(cert, gate_key, &pki.issuer, 1);
	cert_free(cert);
	return client_tls && server_tls ? 0 : -1;
}

static int
group_tear_down(void **state)
{
	(void)state;
	tls_free(client_tls);
	tls_free(server_tls);
	sign_key_free(gate_key);
	pki_fini(&pki);
	return 0;
}

/* Client sends, finishes; the server sees all of it and an orderly end. */
static void
one_way(struct ssl_ctx_st *from, struct ssl_ctx_st *to, size_t total)
{
	client.send_total = total;
	join(from, to);
	loop_run(loop);
	assert_int_equal(server.received, total);
	assert_int_equal(client.code, -ERR_CLOSED);
	assert_int_equal(server.code, -ERR_CLOSED);
	assert_string_equal(client.error, "");
	assert_in_range(client.most_queued, 1, CONN_HIGH_BYTES + 10007);
}

static void
plain(void **state)
{
	(void)state;
	one_way(NULL, NULL, 1000000);
	assert_int_equal(conn_bytes_out(client.conn), 1000000);
	assert_int_equal(conn_bytes_in(server.conn), 1000000);
	assert_null(conn_tls(client.conn));
}

static void
tls(void **state)
{
	(void)state;
	one_way(client_tls, server_tls, 1000000);
	assert_non_null(conn_tls(client.conn));
	assert_in_range(conn_bytes_out(client.conn), 1000000, 1010000);
	assert_int_equal(conn_bytes_in(server.conn), conn_bytes_out(client.conn));
	assert_string_equal(conn_address(client.conn), "");
}

/* Odd pieces on the wire, odd bites by the reader. */
static void
hundred_megabytes(void **state)
{
	(void)state;
	wire.piece = 60000;
	server.odd_bites = 1;
	one_way(client_tls, server_tls, 100 * 1000 * 1000);
}

static void
byte_by_byte(void **state)
{
	(void)state;
	wire.piece = 1;
	one_way(client_tls, server_tls, 3000);
}

/* The client's side of a handshake that must fail with this code. */
static void
refused(struct ssl_ctx_st *from, struct ssl_ctx_st *to, int code)
{
	join(from, to);
	loop_run(loop);
	assert_int_equal(client.code, code);
	assert_null(strstr(trace, "cr"));
	assert_string_not_equal(client.error, "");
	assert_string_not_equal(server.error, "");
}

static void
untrusted_certificate(void **state)
{
	(void)state;
	struct pki other;
	pki_init(&other);
	X509 *cert = pki_gate(&other, HOST, gate_key, 0);
	struct ssl_ctx_st *to = tls_incoming(cert, gate_key, &other.issuer, 1);
	refused(client_tls, to, -ERR_CERT_UNTRUSTED);
	assert_int_equal(server.code, -ERR_CERT_UNTRUSTED); /* the client's alert says why */
	tls_free(to);
	cert_free(cert);
	pki_fini(&other);
}

static void
bad_gate(const char *host, int expired, int code)
{
	X509 *cert = pki_gate(&pki, host, gate_key, expired);
	struct ssl_ctx_st *to = tls_incoming(cert, gate_key, &pki.issuer, 1);
	refused(client_tls, to, code);
	tls_free(to);
	cert_free(cert);
}

static void
expired_certificate(void **state)
{
	(void)state;
	bad_gate(HOST, 1, -ERR_CERT_EXPIRED);
}

static void
certificate_of_another_host(void **state)
{
	(void)state;
	bad_gate("other.example", 0, -ERR_CERT_UNTRUSTED);
}

/* An agent's certificate is from the same authority, but no server's. */
static void
certificate_of_an_agent(void **state)
{
	(void)state;
	const char *hosts[] = {HOST, NULL};
	struct cert_request request = {
		CERT_AGENT, "00112233445566778899aabbccddeeff", "city", hosts, 30};
	X509 *cert = cert_issue(pki.issuer_key, pki.issuer, gate_key, &request);
	struct ssl_ctx_st *to = tls_incoming(cert, gate_key, &pki.issuer, 1);
	refused(client_tls, to, -ERR_CERT_UNTRUSTED);
	tls_free(to);
	cert_free(cert);
}

static SSL_CTX *
foreign(int version)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	X509 *cert = pki_gate(&pki, HOST, gate_key, 0);
	SSL_CTX_set_max_proto_version(ctx, version);
	pki_must(SSL_CTX_use_certificate(ctx, cert) == 1 &&
		 SSL_CTX_use_PrivateKey(ctx, gate_key) == 1);
	cert_free(cert);
	return ctx;
}

static void
peer_of_tls12(void **state)
{
	(void)state;
	SSL_CTX *to = foreign(TLS1_2_VERSION);
	refused(client_tls, to, -ERR_VERSION);
	SSL_CTX_free(to);
}

static void
peer_without_alpn(void **state)
{
	(void)state;
	SSL_CTX *to = foreign(TLS1_3_VERSION);
	refused(client_tls, to, -ERR_VERSION);
	SSL_CTX_free(to);
}

static int
select_http(SSL *s, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
	unsigned in_len, void *user)
{
	(void)s, (void)in, (void)in_len, (void)user;
	*out = (const unsigned char *)TLS_ALPN_HTTP;
	*out_len = strlen(TLS_ALPN_HTTP);
	return SSL_TLSEXT_ERR_OK;
}

static void
peer_of_another_alpn(void **state)
{
	(void)state;
	SSL_CTX *to = foreign(TLS1_3_VERSION);
	SSL_CTX_set_alpn_select_cb(to, select_http, NULL);
	join(client_tls, to);
	loop_run(loop);
	assert_true(client.code == -ERR_VERSION || client.code == -ERR_CRYPTO);
	assert_null(strstr(trace, "cr"));
	SSL_CTX_free(to);
}

/* "HTTP/1.1 400" instead of a ServerHello, as from a web server or a login page of a hotel. */
static void
peer_without_tls(void **state)
{
	(void)state;
	static const char page[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
	int fds[2];
	pair(fds);
	client.stop_on_close = 1;
	client.conn = conn_new(loop, fds[0], client_tls, HOST, 0, DEADLINE_MS, &events, &client);
	assert_int_equal(write(fds[1], page, sizeof page - 1), (ssize_t)sizeof page - 1);
	loop_run(loop);
	assert_int_equal(client.code, -ERR_VERSION);
	close(fds[1]);
}

static void
silent_peer_runs_into_the_deadline(void **state)
{
	(void)state;
	int fds[2];
	pair(fds);
	client.stop_on_close = 1;
	struct mono start = mono_now();
	client.conn = conn_new(loop, fds[0], client_tls, HOST, 0, 80, &events, &client);
	loop_run(loop);
	assert_int_equal(client.code, -ERR_TIMEOUT);
	assert_in_range(mono_diff_ms(start, mono_now()), 75, 2000);
	assert_string_equal(trace, "cc");
	close(fds[1]);
}

/* A drop of TLS every now and then does not buy time. */
static void
slow_handshake_runs_into_the_deadline(void **state)
{
	(void)state;
	int fds[2];
	pair(fds);
	server.stop_on_close = 1;
	server.conn = conn_new(loop, fds[0], server_tls, NULL, 1, 80, &events, &server);
	assert_int_equal(write(fds[1], "\x16\x03\x01\x02\x00\x01\x00", 7), 7);
	loop_run(loop);
	assert_int_equal(server.code, -ERR_TIMEOUT);
	close(fds[1]);
}

/* Cut at every place of handshake and data: an error, never an orderly end, never a hang. */
static void
cut_anywhere(void **state)
{
	(void)state;
	for (size_t at = 1; at < 3000; at += 97) {
		if (at > 1)
			set_up(NULL);
		wire.cut = at;
		server.send_total = 3000;
		join(client_tls, server_tls);
		loop_run(loop);
		assert_true(client.code == -ECONNRESET || client.code == -EPIPE);
		assert_string_not_equal(client.error, "");
		if (at + 97 < 3000)
			tear_down(NULL);
	}
}

static void
damage(void *user)
{
	/* the shape of a record, 17 bytes of nonsense */
	static const char record[] = "\x17\x03\x03\x00\x11"
				     "0123456789abcdefg";
	(void)user;
	assert_int_equal(client.received, 10);
	assert_int_equal(write(wire.fds[0], record, sizeof record - 1), (ssize_t)sizeof record - 1);
}

static void
damaged_record_ends_the_connection(void **state)
{
	(void)state;
	client.stop_on_close = server.keep = 1;
	server.send_total = 10;
	join(client_tls, server_tls);
	timer = timer_new(loop, damage, NULL);
	timer_start(timer, 100, 0);
	loop_run(loop);
	timer_free(timer);
	assert_int_equal(client.code, -ERR_CRYPTO);
	assert_string_not_equal(client.error, "");
}

static void
resume_client(void *user)
{
	(void)user;
	assert_false(server.closed);
	static int waited;
	if (conn_queued(server.conn) < CONN_HIGH_BYTES && ++waited < 100)
		return; /* it has not come to its mark yet */
	timer_stop(timer);
	/* the sender stopped at its mark, and what it sent is in the kernel or in its queue: not
	 * with us */
	assert_in_range(conn_queued(server.conn), CONN_HIGH_BYTES, CONN_HIGH_BYTES + 10007);
	assert_true(client.received < 2 * CONN_IN_MAX_BYTES);
	note(&client, "!");
	conn_resume(client.conn);
}

static void
paused_reader_stops_the_sender(void **state)
{
	(void)state;
	server.send_total = 5 * 1000 * 1000;
	client.pause_once = 1;
	join(client_tls, server_tls);
	timer = timer_new(loop, resume_client, NULL);
	timer_start(timer, 100, 100);
	loop_run(loop);
	timer_free(timer);
	assert_int_equal(client.received, server.send_total);
	assert_non_null(strstr(trace, "c!"));
	assert_int_equal(client.code, -ERR_CLOSED);
}

static void
queue_has_a_maximum(void **state)
{
	(void)state;
	static uint8_t chunk[65536];
	int r = 0;
	join(client_tls, server_tls);
	for (int i = 0; i < 64 && r == 0; i++)
		r = conn_send(client.conn, chunk, sizeof chunk);
	assert_int_equal(r, 0);
	assert_int_equal(conn_queued(client.conn), CONN_OUT_MAX_BYTES);
	assert_int_equal(conn_send(client.conn, "x", 1), -ENOBUFS);
	assert_int_equal(conn_queued(client.conn), CONN_OUT_MAX_BYTES);
}

static void
stop(void *user)
{
	(void)user;
	loop_stop(loop);
}

/* Freed in each kind of callback: no further event on that end, no leak, no use after free
 * (sanitizers look). */
static void
free_in_any_callback(void **state)
{
	(void)state;
	static const char places[] = "rdec";
	for (const char *p = places; *p; p++) {
		if (p != places)
			set_up(NULL);
		client.free_in = *p;
		server.stop_on_close = *p != 'c';
		server.send_total = 100000;
		client.send_total = *p == 'd' || *p == 'r' ? 0 : 1000;
		join(client_tls, server_tls);
		timer = timer_new(loop, stop, NULL);
		timer_start(timer, 2000, 0);
		loop_run(loop);
		timer_free(timer);
		assert_null(client.conn);
		assert_int_equal(client.closed, *p == 'c');
		if (p[1])
			tear_down(NULL);
	}
}

static void
finish_client(void *user)
{
	(void)user;
	assert_int_equal(conn_send(client.conn, "Bye", 3), 0);
	conn_finish(client.conn);
	assert_int_equal(conn_send(client.conn, "x", 1), -ERR_CLOSED);
	timer_free(timer);
	timer = timer_new(loop, stop, NULL);
	timer_start(timer, 50, 0);
}

/* Bye and close, while the other side is still sending: the last words arrive. */
static void
last_words_arrive(void **state)
{
	(void)state;
	int fds[2];
	uint8_t byte, bytes[3000] = {0};
	ssize_t n = 0, m;
	pair(fds);
	client.stop_on_close = 1;
	client.conn = conn_new(loop, fds[0], NULL, NULL, 0, DEADLINE_MS, &events, &client);
	conn_pause(client.conn); /* the peer's bytes lie unread in the kernel */
	assert_int_equal(write(fds[1], bytes, sizeof bytes), (ssize_t)sizeof bytes);
	timer = timer_new(loop, finish_client, NULL);
	timer_start(timer, 20, 0);
	loop_run(loop);
	timer_free(timer);
	while ((m = read(fds[1], &byte, 1)) == 1)
		assert_int_equal(byte, "Bye"[n++]);
	assert_int_equal(m, 0); /* an orderly end, no reset */
	assert_int_equal(n, 3);
	assert_false(client.closed);
	close(fds[1]);
	loop_run(loop);
	assert_int_equal(client.code, -ERR_CLOSED);
	assert_string_equal(trace, "crcc");
}

/* The peer is gone; the call that finds it out does not report it from inside. */
static void
closed_never_comes_from_inside_a_call(void **state)
{
	(void)state;
	int fds[2];
	pair(fds);
	client.stop_on_close = 1;
	client.conn = conn_new(loop, fds[0], NULL, NULL, 0, DEADLINE_MS, &events, &client);
	close(fds[1]);
	conn_send(client.conn, "x", 1);
	conn_finish(client.conn);
	conn_pause(client.conn);
	conn_resume(client.conn);
	assert_false(client.closed);
	loop_run(loop);
	assert_true(client.closed);
}

static void
finish_before_ready_closes(void **state)
{
	(void)state;
	int fds[2];
	pair(fds);
	client.stop_on_close = 1;
	client.conn = conn_new(loop, fds[0], client_tls, HOST, 0, DEADLINE_MS, &events, &client);
	conn_finish(client.conn);
	loop_run(loop);
	assert_int_equal(client.code, -ERR_CLOSED);
	assert_string_equal(trace, "cc");
	close(fds[1]);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(plain),
		TEST(tls),
		TEST(hundred_megabytes),
		TEST(byte_by_byte),
		TEST(untrusted_certificate),
		TEST(expired_certificate),
		TEST(certificate_of_another_host),
		TEST(certificate_of_an_agent),
		TEST(peer_of_tls12),
		TEST(peer_without_alpn),
		TEST(peer_of_another_alpn),
		TEST(peer_without_tls),
		TEST(silent_peer_runs_into_the_deadline),
		TEST(slow_handshake_runs_into_the_deadline),
		TEST(cut_anywhere),
		TEST(damaged_record_ends_the_connection),
		TEST(paused_reader_stops_the_sender),
		TEST(queue_has_a_maximum),
		TEST(free_in_any_callback),
		TEST(last_words_arrive),
		TEST(closed_never_comes_from_inside_a_call),
		TEST(finish_before_ready_closes),
	};
	return cmocka_run_group_tests_name("conn", tests, group_set_up, group_tear_down);
}
