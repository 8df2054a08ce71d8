/*
 * One session through a gate: an agent that sends as fast as it can, a client that throws away what
 * it gets. Both are made here, with a certificate of the CA and a ticket of the ticket key; no
 * controller is needed.
 *
 *   pipe ORGANISATION-FILE CA-DIRECTORY MEGABYTES
 *
 * Prints "joined", waits for a line on stdin, then moves the bytes and prints "SECONDS" they took.
 */
#include <limits.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "crypto/cert.h"
#include "crypto/ticket.h"
#include "crypto/tls.h"
#include "net/conn.h"
#include "net/dial.h"
#include "net/frame.h"
#include "outer.pb.h"

enum {
	DEADLINE_MS = 30000,
	CHUNK_BYTES = 65536
};

struct leg {
	const char *name;
	struct conn *conn;
	struct ssl_ctx_st *tls;
	void (*greet)(struct leg *leg);
	void (*on_frame)(struct leg *leg, uint8_t type, const uint8_t *payload, size_t len);
	int joined;
};

static struct {
	struct loop *loop;
	struct orgfile org;
	struct leg control, agent, client;
	uint8_t agent_id[CERT_AGENT_ID_BYTES], session_id[16];
	uint8_t ticket[TICKET_MAX_BYTES];
	size_t ticket_len;
	uint64_t wanted, sent, received;
	struct mono begin;
} load;

static void __attribute__((noreturn)) die(const char *what, int code)
{
	fprintf(stderr, "pipe: %s: %s\n", what, err_text(code, ERR_LANG_EN));
	exit(1);
}

static void
say_hello(struct leg *leg, engawa_Role role)
{
	engawa_Hello hello = {.version = 1, .role = role, .build = 1, .locale = "en"};
	if (role == engawa_Role_ROLE_AGENT) {
		hello.instance.size = 16;
		RAND_bytes(hello.instance.bytes, 16);
	}
	frame_send(leg->conn, engawa_OuterType_OUTER_HELLO, engawa_Hello_fields, &hello);
}

static void
send_more(void)
{
	static uint8_t chunk[CHUNK_BYTES];
	while (load.sent < load.wanted && conn_queued(load.agent.conn) < CONN_HIGH_BYTES) {
		conn_send(load.agent.conn, chunk, sizeof chunk);
		load.sent += sizeof chunk;
	}
}

static void
on_drained(void *user)
{
	if (user == &load.agent && load.agent.joined && load.client.joined)
		send_more();
}

static void
on_joined(struct leg *leg)
{
	leg->joined = 1;
	if (!load.agent.joined || !load.client.joined)
		return;
	printf("joined\n");
	if (getchar() == EOF)
		exit(0);
	load.begin = mono_now();
	send_more();
}

static size_t
on_data(void *user, const uint8_t *data, size_t len)
{
	struct leg *leg = user;
	size_t used = 0;
	while (!leg->joined) {
		uint8_t type;
		const uint8_t *payload;
		size_t payload_len;
		int r = frame_parse(
			data + used, len - used, FRAME_MAX_BYTES, &type, &payload, &payload_len);
		if (r < 0)
			die(leg->name, r);
		if (r == 0)
			return used;
		engawa_Bye bye;
		if (type == engawa_OuterType_OUTER_BYE)
			die(leg->name,
				frame_decode(engawa_Bye_fields, &bye, payload, payload_len) == 0
					? (int)bye.code
					: 0);
		used += (size_t)r;
		leg->on_frame(leg, type, payload, payload_len);
	}
	load.received += len - used;
	if (load.received >= load.wanted) {
		printf("%.6f\n", (double)(mono_now().ns - load.begin.ns) / 1e9);
		exit(0);
	}
	return len;
}

static void
on_ready(void *user)
{
	struct leg *leg = user;
	leg->greet(leg);
}

static void
on_closed(void *user, int code)
{
	die(((struct leg *)user)->name, code);
}

static void
on_dialled(void *user, int fd)
{
	static const struct conn_events events = {on_ready, on_data, on_drained, on_closed};
	struct leg *leg = user;
	char host[128], port[8];
	int r = fd < 0 ? fd
		       : dial_split(load.org.gates[0].target, host, sizeof host, port, sizeof port);
	if (r < 0)
		die(leg->name, r);
	leg->conn = conn_new(load.loop, fd, leg->tls, host, 0, DEADLINE_MS, &events, leg);
}

static void
dial(struct leg *leg)
{
	dial_start(load.loop, load.org.gates[0].target, NULL, DEADLINE_MS, on_dialled, leg);
}

static void
greet_control(struct leg *leg)
{
	say_hello(leg, engawa_Role_ROLE_AGENT);
}

static void
control_frame(struct leg *leg, uint8_t type, const uint8_t *payload, size_t len)
{
	engawa_Ping ping;
	if (type == engawa_OuterType_OUTER_WELCOME)
		dial(&load.client);
	else if (type == engawa_OuterType_OUTER_KNOCK)
		dial(&load.agent);
	else if (type == engawa_OuterType_OUTER_PING &&
		 frame_decode(engawa_Ping_fields, &ping, payload, len) == 0)
		frame_send(leg->conn, engawa_OuterType_OUTER_PONG, engawa_Pong_fields,
			&(engawa_Pong){ping.id});
}

static void
greet_agent(struct leg *leg)
{
	say_hello(leg, engawa_Role_ROLE_AGENT_SESSION);
}

static void
agent_frame(struct leg *leg, uint8_t type, const uint8_t *payload, size_t len)
{
	(void)payload, (void)len;
	engawa_Answer answer = {.session_id.size = sizeof load.session_id};
	memcpy(answer.session_id.bytes, load.session_id, sizeof load.session_id);
	if (type == engawa_OuterType_OUTER_HELLO)
		frame_send(leg->conn, engawa_OuterType_OUTER_ANSWER, engawa_Answer_fields, &answer);
	else if (type == engawa_OuterType_OUTER_JOINED)
		on_joined(leg);
}

static void
greet_client(struct leg *leg)
{
	say_hello(leg, engawa_Role_ROLE_CLIENT);
}

static void
client_frame(struct leg *leg, uint8_t type, const uint8_t *payload, size_t len)
{
	(void)payload, (void)len;
	engawa_Join join = {.ticket.size = (pb_size_t)load.ticket_len};
	memcpy(join.ticket.bytes, load.ticket, load.ticket_len);
	if (type == engawa_OuterType_OUTER_HELLO)
		frame_send(leg->conn, engawa_OuterType_OUTER_JOIN, engawa_Join_fields, &join);
	else if (type == engawa_OuterType_OUTER_JOINED)
		on_joined(leg);
}

/* A key of the CA directory. */
static struct evp_pkey_st *
key_of(const char *dir, const char *name)
{
	char path[PATH_MAX];
	struct evp_pkey_st *key;
	int r = str_print(path, sizeof path, "%s/%s", dir, name);
	if (r == 0)
		r = sign_key_load(path, &key);
	if (r < 0)
		die(name, r);
	return key;
}

static struct ssl_ctx_st *
agent_tls(const char *ca)
{
	char path[PATH_MAX], name[2 * sizeof load.agent_id + 1];
	struct evp_pkey_st *issuer_key = key_of(ca, "issuer.key"), *key = sign_key_generate();
	str_hex(name, load.agent_id, sizeof load.agent_id);
	struct cert_request request = {CERT_AGENT, name, load.org.id, NULL, 1};
	struct x509_st *issuer =
		str_print(path, sizeof path, "%s/issuer.pem", ca) == 0 ? cert_load(path) : NULL;
	struct x509_st *cert = issuer && key ? cert_issue(issuer_key, issuer, key, &request) : NULL;
	struct ssl_ctx_st *tls = cert ? tls_outgoing(&load.org, cert, key) : NULL;
	if (!tls)
		die("certificate", -ERR_CRYPTO);
	return tls;
}

static void
make_ticket(const char *ca)
{
	uint64_t now_s = wall_s();
	engawa_TicketBody body = {.session_id.size = 16,
		.agent_id.size = 16,
		.agent_key.size = 32,
		.device_hash.size = 32,
		.client_address = "127.0.0.1",
		.gates_count = 1,
		.issued_s = now_s,
		.not_after_s = now_s + TICKET_LIFE_S};
	memcpy(body.session_id.bytes, load.session_id, 16);
	memcpy(body.agent_id.bytes, load.agent_id, 16);
	str_copy(body.organisation, sizeof body.organisation, load.org.id);
	str_copy(body.gates[0], sizeof body.gates[0], load.org.gates[0].name);
	int r = ticket_issue(
		key_of(ca, "ticket.key"), &body, load.ticket, sizeof load.ticket, &load.ticket_len);
	if (r < 0)
		die("ticket", r);
}

int
main(int argc, char **argv)
{
	struct conf_error error = {""};
	int64_t megabytes;
	if (argc != 4 || str_int(argv[3], 1, 1000000, &megabytes) < 0)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	load.wanted = (uint64_t)megabytes * 1000000;
	int r = orgfile_load(argv[1], &load.org, &error);
	if (r < 0)
		die(error.text, r);
	RAND_bytes(load.agent_id, sizeof load.agent_id);
	RAND_bytes(load.session_id, sizeof load.session_id);
	struct ssl_ctx_st *tls = agent_tls(argv[2]);
	load.control = (struct leg){
		.name = "control", .tls = tls, .greet = greet_control, .on_frame = control_frame};
	load.agent = (struct leg){
		.name = "agent", .tls = tls, .greet = greet_agent, .on_frame = agent_frame};
	load.client = (struct leg){.name = "client",
		.tls = tls_outgoing(&load.org, NULL, NULL),
		.greet = greet_client,
		.on_frame = client_frame};
	make_ticket(argv[2]);
	load.loop = loop_new();
	dial(&load.control);
	loop_run(load.loop);
	return 0;
}
