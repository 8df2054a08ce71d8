#include "ends.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypto/cert.h"
#include "crypto/ticket.h"
#include "crypto/tls.h"
#include "crypto/tlsexport.h"
#include "net/dial.h"
#include "net/frame.h"
#include "outer.pb.h"

enum {
	DEADLINE_S = 10,
	BACKLOG = 512,
};

struct relay {
	SSL_CTX *client, *agent; /* NULL: plain */
	uint16_t port;
	int listener; /* -1: the agent connects too */
	/* a gate: */
	int is_gate;
	struct orgfile org;
	struct evp_pkey_st *ticket_key;
	uint8_t agent_id[CERT_AGENT_ID_BYTES];
	struct end control;
};

void
ends_die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int
connected(uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct timeval deadline = {.tv_sec = DEADLINE_S};
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
		ends_die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof deadline);
	return fd;
}

static SSL *
tls_new(SSL_CTX *ctx, int fd, const char *host)
{
	SSL *ssl = SSL_new(ctx);
	if (!ssl || SSL_set_fd(ssl, fd) != 1)
		ends_die("SSL_new");
	if (host && (SSL_set_tlsext_host_name(ssl, host) != 1 || SSL_set1_host(ssl, host) != 1))
		ends_die(host);
	return ssl;
}

void
end_write(struct end *end, const void *data, size_t len)
{
	ssize_t n = end->ssl ? SSL_write(end->ssl, data, (int)len)
			     : send(end->fd, data, len, MSG_NOSIGNAL);
	if (n != (ssize_t)len)
		ends_die("write");
	end->sent++;
}

void
end_read(struct end *end, void *data, size_t len)
{
	size_t have = 0;
	while (have < len) {
		uint8_t *to = (uint8_t *)data + have;
		ssize_t n = end->ssl ? SSL_read(end->ssl, to, (int)(len - have))
				     : recv(end->fd, to, len - have, 0);
		if (n <= 0)
			ends_die("read");
		have += (size_t)n;
	}
}

void
end_export(struct end *end, struct tlsrec *ret_rec)
{
	if (tlsexport_take(end->ssl, ret_rec) < 0)
		ends_die("tlsexport");
	if (!SSL_is_server(end->ssl)) {
		struct tlsrec_key in = ret_rec->out;
		ret_rec->out = ret_rec->in;
		ret_rec->in = in;
	}
	ret_rec->out.seq = end->sent;
	ret_rec->in.seq = end->got;
}

/* --- a gate -------------------------------------------------------------------------------- */

static void
frame_write(struct end *end, uint8_t type, const pb_msgdesc_t *fields, const void *msg)
{
	uint8_t frame[FRAME_HEADER_BYTES + 8192];
	int len = frame_encode(type, fields, msg, frame, sizeof frame);
	if (len < 0)
		ends_die("frame");
	end_write(end, frame, (size_t)len);
}

/* Reads frames up to the first one of this type. */
static void
frame_wait(struct end *end, uint8_t type)
{
	uint8_t frame[FRAME_HEADER_BYTES + FRAME_MAX_BYTES];
	engawa_Bye bye;
	do {
		end_read(end, frame, FRAME_HEADER_BYTES);
		size_t len = (size_t)frame[1] << 16 | (size_t)frame[2] << 8 | frame[3];
		if (len > FRAME_MAX_BYTES)
			ends_die("frame");
		end_read(end, frame + FRAME_HEADER_BYTES, len);
		if (frame[0] == engawa_OuterType_OUTER_BYE &&
			frame_decode(engawa_Bye_fields, &bye, frame + FRAME_HEADER_BYTES, len) ==
				0) {
			fprintf(stderr, "load: %s\n", err_text((int)bye.code, ERR_LANG_EN));
			exit(1);
		}
	} while (frame[0] != type);
}

static void
count_record(int write_p, int version, int content_type, const void *buf, size_t len, SSL *ssl,
	void *arg)
{
	(void)version, (void)buf, (void)len, (void)ssl;
	struct end *end = arg;
	end->got += !write_p && content_type == SSL3_RT_HEADER;
}

static void
gate_dial(struct relay *relay, struct end *end, SSL_CTX *ctx, engawa_Role role)
{
	engawa_Hello hello = {.version = 1, .role = role, .build = 1, .locale = "en"};
	end->fd = connected(relay->port);
	end->ssl = tls_new(ctx, end->fd, "localhost");
	end->sent = end->got = 0;
	if (SSL_connect(end->ssl) != 1)
		ends_die("TLS");
	SSL_set_msg_callback(end->ssl, count_record);
	SSL_set_msg_callback_arg(end->ssl, end);
	if (role == engawa_Role_ROLE_AGENT) {
		hello.instance.size = 16;
		RAND_bytes(hello.instance.bytes, 16);
	}
	frame_write(end, engawa_OuterType_OUTER_HELLO, engawa_Hello_fields, &hello);
}

static void
path_of(char path[static PATH_MAX], const char *dir, const char *name)
{
	if (str_print(path, PATH_MAX, "%s/%s", dir, name) < 0)
		ends_die(dir);
}

static struct evp_pkey_st *
key_of(const char *dir, const char *name)
{
	char path[PATH_MAX];
	struct evp_pkey_st *key;
	path_of(path, dir, name);
	if (sign_key_load(path, &key) < 0)
		ends_die(path);
	return key;
}

static SSL_CTX *
prepared(SSL_CTX *ctx)
{
	if (!ctx || tlsexport_prepare(ctx) < 0)
		ends_die("context");
	return ctx;
}

/* Contexts of an agent and a client of the organisation; relay->port is the gate's. */
static void
gate_prepare(struct relay *relay, const char *org, const char *ca)
{
	struct conf_error error = {""};
	char path[PATH_MAX], host[128], port[8], name[2 * sizeof relay->agent_id + 1];
	int64_t number;
	if (orgfile_load(org, &relay->org, &error) < 0 ||
		dial_split(relay->org.gates[0].target, host, sizeof host, port, sizeof port) < 0 ||
		str_int(port, 1, UINT16_MAX, &number) < 0)
		ends_die(org);
	relay->is_gate = 1;
	relay->port = (uint16_t)number;
	relay->ticket_key = key_of(ca, "ticket.key");
	RAND_bytes(relay->agent_id, sizeof relay->agent_id);
	str_hex(name, relay->agent_id, sizeof relay->agent_id);
	struct cert_request request = {CERT_AGENT, name, relay->org.id, NULL, 1};
	struct evp_pkey_st *key = sign_key_generate();
	path_of(path, ca, "issuer.pem");
	struct x509_st *issuer = cert_load(path);
	struct x509_st *cert =
		issuer && key ? cert_issue(key_of(ca, "issuer.key"), issuer, key, &request) : NULL;
	if (!cert)
		ends_die("certificate");
	relay->agent = prepared(tls_outgoing(&relay->org, cert, key));
	relay->client = prepared(tls_outgoing(&relay->org, NULL, NULL));
}

static void
gate_join(struct relay *relay, struct end *client, const uint8_t session_id[static 16])
{
	uint64_t now_s = wall_s();
	uint8_t ticket[TICKET_MAX_BYTES];
	size_t len;
	engawa_TicketBody body = {.session_id.size = 16,
		.agent_id.size = 16,
		.agent_key.size = 32,
		.device_hash.size = 32,
		.client_address = "127.0.0.1",
		.gates_count = 1,
		.issued_s = now_s,
		.not_after_s = now_s + TICKET_LIFE_S};
	memcpy(body.session_id.bytes, session_id, 16);
	memcpy(body.agent_id.bytes, relay->agent_id, 16);
	str_copy(body.organisation, sizeof body.organisation, relay->org.id);
	str_copy(body.gates[0], sizeof body.gates[0], relay->org.gates[0].name);
	if (ticket_issue(relay->ticket_key, &body, ticket, sizeof ticket, &len) < 0)
		ends_die("ticket");
	engawa_Join join = {.ticket.size = (pb_size_t)len};
	memcpy(join.ticket.bytes, ticket, len);
	frame_write(client, engawa_OuterType_OUTER_JOIN, engawa_Join_fields, &join);
}

static void
gate_session(struct relay *relay, struct ends *ends)
{
	engawa_Answer answer = {.session_id.size = 16};
	RAND_bytes(answer.session_id.bytes, 16);
	gate_dial(relay, &ends->client, relay->client, engawa_Role_ROLE_CLIENT);
	frame_wait(&ends->client, engawa_OuterType_OUTER_HELLO);
	gate_join(relay, &ends->client, answer.session_id.bytes);
	frame_wait(&relay->control, engawa_OuterType_OUTER_KNOCK);
	gate_dial(relay, &ends->agent, relay->agent, engawa_Role_ROLE_AGENT_SESSION);
	frame_wait(&ends->agent, engawa_OuterType_OUTER_HELLO);
	frame_write(&ends->agent, engawa_OuterType_OUTER_ANSWER, engawa_Answer_fields, &answer);
	frame_wait(&ends->agent, engawa_OuterType_OUTER_JOINED);
	frame_wait(&ends->client, engawa_OuterType_OUTER_JOINED);
}

/* --- others -------------------------------------------------------------------------------- */

static SSL_CTX *
plain_profile(const SSL_METHOD *method, const char *pem)
{
	SSL_CTX *ctx = SSL_CTX_new(method);
	if (!ctx || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
		SSL_CTX_set_ciphersuites(ctx, "TLS_AES_256_GCM_SHA384") != 1 ||
		(pem && (SSL_CTX_use_certificate_chain_file(ctx, pem) != 1 ||
				SSL_CTX_use_PrivateKey_file(ctx, pem, SSL_FILETYPE_PEM) != 1)))
		ends_die("context");
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	return prepared(ctx);
}

static int
listening(uint16_t port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, BACKLOG) < 0)
		ends_die("listen");
	return fd;
}

static void
unblock(int fd, int nonblocking)
{
	int flags = fcntl(fd, F_GETFL);
	if (fcntl(fd, F_SETFL, nonblocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) < 0)
		ends_die("fcntl");
}

/* One step of a handshake: 1 when there is more to do. */
static int
step(SSL *ssl)
{
	if (!ssl || SSL_is_init_finished(ssl))
		return 0;
	int n = SSL_do_handshake(ssl);
	int why = SSL_get_error(ssl, n);
	if (n != 1 && why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
		ends_die("TLS");
	return n != 1;
}

static int
step_accept(struct relay *relay, struct end *agent)
{
	const int on = 1;
	agent->fd = accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (agent->fd < 0)
		return 1;
	setsockopt(agent->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (relay->agent) {
		agent->ssl = tls_new(relay->agent, agent->fd, NULL);
		SSL_set_accept_state(agent->ssl);
	}
	return relay->agent != NULL;
}

static void
dial_end(struct relay *relay, struct end *end, SSL_CTX *ctx)
{
	*end = (struct end){.fd = connected(relay->port)};
	unblock(end->fd, 1);
	if (ctx) {
		end->ssl = tls_new(ctx, end->fd, NULL);
		SSL_set_connect_state(end->ssl);
	}
}

static void
other_session(struct relay *relay, struct ends *ends)
{
	struct mono until = mono_add_ms(mono_now(), DEADLINE_S * 1000);
	dial_end(relay, &ends->client, relay->client);
	ends->agent = (struct end){.fd = -1};
	if (relay->listener < 0)
		dial_end(relay, &ends->agent, relay->agent);
	for (;;) {
		int more = step(ends->client.ssl);
		more |= ends->agent.fd < 0 ? step_accept(relay, &ends->agent)
					   : step(ends->agent.ssl);
		if (!more)
			break;
		struct pollfd fds[] = {{ends->client.fd, POLLIN, 0},
			{ends->agent.fd < 0 ? relay->listener : ends->agent.fd, POLLIN, 0}};
		if (poll(fds, 2, 1) < 0 || !mono_before(mono_now(), until))
			ends_die("session");
	}
	unblock(ends->client.fd, 0);
	unblock(ends->agent.fd, 0);
}

static uint16_t
port_of(const char *text)
{
	int64_t port;
	if (str_int(text, 1, UINT16_MAX, &port) < 0)
		ends_die(text);
	return (uint16_t)port;
}

struct relay *
relay_open(int argc, char **argv)
{
	struct relay *relay = mem_new(sizeof *relay);
	relay->listener = -1;
	if (argc == 3 && strcmp(argv[0], "engawa") == 0) {
		gate_prepare(relay, argv[1], argv[2]);
		gate_dial(relay, &relay->control, relay->agent, engawa_Role_ROLE_AGENT);
		frame_wait(&relay->control, engawa_OuterType_OUTER_WELCOME);
		return relay;
	}
	if (argc == 4 && strcmp(argv[0], "agent") == 0) {
		gate_prepare(relay, argv[2], argv[3]);
		relay->port = port_of(argv[1]);
		return relay;
	}
	int pair = argc == 3 && strcmp(argv[0], "pair") == 0;
	int tls = argc == 4 && strcmp(argv[0], "tls") == 0;
	int plain = argc == 3 && strcmp(argv[0], "plain") == 0;
	if (!pair && !tls && !plain)
		ends_die("which relay?");
	relay->port = port_of(argv[1]);
	if (!pair)
		relay->listener = listening(port_of(argv[2]));
	if (!plain)
		relay->client = plain_profile(TLS_client_method(), NULL);
	if (pair)
		relay->agent = relay->client;
	else if (tls)
		relay->agent = plain_profile(TLS_server_method(), argv[3]);
	return relay;
}

void
relay_session(struct relay *relay, struct ends *ret_ends)
{
	if (relay->is_gate)
		gate_session(relay, ret_ends);
	else
		other_session(relay, ret_ends);
}

void
relay_done(struct relay *relay)
{
	if (relay->listener >= 0)
		close(relay->listener);
	relay->listener = -1;
}

void
relay_greet(struct relay *relay)
{
	uint8_t first;
	struct end end;
	gate_dial(relay, &end, relay->agent, engawa_Role_ROLE_AGENT);
	end_read(&end, &first, 1);
	SSL_free(end.ssl);
	close(end.fd);
}
