/*
 * Many waiting agents in one process: each holds a TLS control connection of its own, with a
 * certificate of its own, to the first gate of an organisation file, and answers its pings. A
 * connection that ends is made anew. After the handshake an agent here is a descriptor and two
 * keys, so that half a million fit into a machine beside the gate that they wait at.
 *
 *   idle_agents ORGANISATION-FILE CA-DIRECTORY [SOURCE-ADDRESS]
 *
 * Reads totals from stdin, one per line, ascending; answers each with "up N" when so many are
 * welcome; a "?" with "held N ended M": how many are welcome now, how many connections have ended
 * so far. Ends at end of file.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/wire.h"
#include "crypto/cert.h"
#include "crypto/orgfile.h"
#include "crypto/tls.h"
#include "crypto/tlsexport.h"
#include "net/dial.h"
#include "net/frame.h"
#include "outer.pb.h"

enum {
	AGENTS_MAX = 20000,
	DEADLINE_S = 60,   /* of one handshake: when all agents of a gate come at once */
	AGAIN_MS = 1000,   /* between two tries of an agent whose gate is gone */
	FRAMES_MAX = 1024, /* bytes of frames in a record: pings are small */
	EVENTS_MAX = 256,
	SLICE_MS = 200,
};

struct agent {
	uint8_t id[16], instance[16];
	struct tlsrec rec;
	struct mono not_before;
	int fd; /* -1: to be connected */
	uint8_t welcome;
};

static struct {
	int epoll;
	struct orgfile org;
	struct evp_pkey_st *issuer_key, *key;
	struct x509_st *issuer;
	SSL_CTX *tls;
	struct tlsrec_crypto *crypto;
	struct sockaddr_in gate, source;
	struct agent *agents;
	size_t wanted, up, next;
	uint64_t ended;
	int asked; /* for a total that is not reached yet */
	char line[16], host[128];
	size_t line_len;
} load;

static void __attribute__((noreturn)) die(const char *what, int code)
{
	fprintf(stderr, "idle_agents: %s: %s\n", what, err_text(code, ERR_LANG_EN));
	exit(1);
}

static struct x509_st *
certificate(const struct agent *agent)
{
	char name[2 * sizeof agent->id + 1];
	str_hex(name, agent->id, sizeof agent->id);
	struct cert_request request = {CERT_AGENT, name, load.org.id, NULL, 1};
	struct x509_st *cert = cert_issue(load.issuer_key, load.issuer, load.key, &request);
	if (!cert)
		die("certificate", -ERR_CRYPTO);
	return cert;
}

static int
connected(void)
{
	const struct timeval limit = {.tv_sec = DEADLINE_S};
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket", -errno);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	/* the port is chosen with the other end known: each source has as many as each gate */
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	if ((load.source.sin_addr.s_addr &&
		    bind(fd, (const struct sockaddr *)&load.source, sizeof load.source) < 0) ||
		connect(fd, (const struct sockaddr *)&load.gate, sizeof load.gate) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* TLS keys of an agent's connection as it is after the handshake. 0 or -1. */
static int
shake_hands(struct agent *agent, int fd)
{
	SSL *ssl = SSL_new(load.tls);
	struct x509_st *cert = certificate(agent);
	int ok = ssl && SSL_use_certificate(ssl, cert) == 1 && SSL_set_fd(ssl, fd) == 1 &&
		 SSL_set1_host(ssl, load.host) == 1 &&
		 SSL_set_tlsext_host_name(ssl, load.host) == 1 && SSL_connect(ssl) == 1 &&
		 tlsexport_take(ssl, &agent->rec) == 0;
	cert_free(cert);
	if (ssl)
		SSL_set_quiet_shutdown(ssl, 1);
	SSL_free(ssl);
	struct tlsrec_key in = agent->rec.out; /* we are the client */
	agent->rec.out = agent->rec.in;
	agent->rec.in = in;
	return ok ? 0 : -1;
}

static void
drop(struct agent *agent)
{
	close(agent->fd);
	agent->fd = -1;
	load.up -= agent->welcome;
	agent->welcome = 0;
	load.ended++;
	agent->not_before = mono_add_ms(mono_now(), AGAIN_MS);
}

static void
send_frame(struct agent *agent, uint8_t type, const pb_msgdesc_t *fields, const void *msg)
{
	uint8_t frame[FRAMES_MAX], wire[FRAMES_MAX + TLSREC_OVERHEAD_BYTES];
	int len = frame_encode(type, fields, msg, frame, sizeof frame);
	int n = len < 0 ? len : tlsrec_seal(&agent->rec, load.crypto, frame, (size_t)len, wire);
	if (n < 0)
		die("frame", n);
	if (send(agent->fd, wire, (size_t)n, MSG_NOSIGNAL) != n)
		drop(agent);
}

static void
on_frame(struct agent *agent, uint8_t type, const uint8_t *payload, size_t len)
{
	engawa_Ping ping;
	if (type == engawa_OuterType_OUTER_WELCOME && !agent->welcome) {
		agent->welcome = 1;
		load.up++;
	} else if (type == engawa_OuterType_OUTER_PING &&
		   frame_decode(engawa_Ping_fields, &ping, payload, len) == 0) {
		send_frame(agent, engawa_OuterType_OUTER_PONG, engawa_Pong_fields,
			&(engawa_Pong){ping.id});
	}
}

/* One record, when it is there whole: nothing is kept for an agent. 1, 0, or -1 at the end. */
static int
one_record(struct agent *agent)
{
	uint8_t record[TLSREC_WIRE_MAX_BYTES], *data;
	size_t len, payload_len;
	ssize_t have = recv(agent->fd, record, sizeof record, MSG_PEEK | MSG_DONTWAIT);
	if (have <= 0)
		return have < 0 && errno == EWOULDBLOCK ? 0 : -1;
	int want = tlsrec_length(record, (size_t)have);
	if (want <= 0 || want > have)
		return want < 0 ? -1 : 0;
	if (recv(agent->fd, record, (size_t)want, MSG_DONTWAIT) != want ||
		tlsrec_open(&agent->rec, load.crypto, record, (size_t)want, &data, &len) != 0 ||
		agent->rec.closed)
		return -1;
	while (len > 0 && agent->fd >= 0) {
		uint8_t type;
		const uint8_t *payload;
		int used = frame_parse(data, len, FRAME_MAX_BYTES, &type, &payload, &payload_len);
		if (used <= 0)
			die("frame", -ERR_PROTOCOL); /* the gate puts whole frames into a record */
		on_frame(agent, type, payload, payload_len);
		data += used;
		len -= (size_t)used;
	}
	return agent->fd >= 0;
}

static void
read_some(struct agent *agent)
{
	int r = agent->fd >= 0;
	while (r > 0)
		r = one_record(agent);
	if (r < 0)
		drop(agent);
}

static void
start(struct agent *agent)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = agent};
	engawa_Hello hello = {
		.version = 1, .role = engawa_Role_ROLE_AGENT, .build = 1, .locale = "en"};
	hello.instance.size = sizeof agent->instance;
	memcpy(hello.instance.bytes, agent->instance, sizeof agent->instance);
	int fd = connected();
	if (fd >= 0 && shake_hands(agent, fd) < 0) {
		close(fd);
		fd = -1;
	}
	agent->not_before = mono_add_ms(mono_now(), AGAIN_MS);
	if (fd < 0)
		return;
	agent->fd = fd;
	if (epoll_ctl(load.epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		die("epoll", -errno);
	send_frame(agent, engawa_OuterType_OUTER_HELLO, engawa_Hello_fields, &hello);
}

/* One agent that is not connected; 0 when there is none whose time has come. */
static int
start_one(void)
{
	struct mono now = mono_now();
	for (size_t i = 0; i < load.wanted; i++) {
		struct agent *agent = &load.agents[load.next++ % load.wanted];
		if (agent->fd < 0 && !mono_before(now, agent->not_before)) {
			start(agent);
			return 1;
		}
	}
	return 0;
}

static void
on_line(void)
{
	int64_t wanted;
	if (strcmp(load.line, "?") == 0) {
		printf("held %zu ended %llu\n", load.up, (unsigned long long)load.ended);
		return;
	}
	if (str_int(load.line, (int64_t)load.wanted, AGENTS_MAX, &wanted) < 0)
		die(load.line, -ERR_SETTING);
	for (size_t i = load.wanted; i < (size_t)wanted; i++) {
		struct agent *agent = &load.agents[i];
		RAND_bytes(agent->id, sizeof agent->id);
		RAND_bytes(agent->instance, sizeof agent->instance);
		agent->fd = -1;
	}
	load.wanted = (size_t)wanted;
	load.asked = 1;
}

static void
on_input(void)
{
	char c;
	if (read(STDIN_FILENO, &c, 1) != 1)
		exit(0); /* the connections go with us */
	if (c != '\n' && load.line_len < sizeof load.line - 1) {
		load.line[load.line_len++] = c;
		return;
	}
	load.line[load.line_len] = '\0';
	load.line_len = 0;
	on_line();
}

static void __attribute__((noreturn)) run(void)
{
	struct epoll_event events[EVENTS_MAX];
	for (;;) {
		int busy = load.up < load.wanted && start_one();
		int n = epoll_wait(load.epoll, events, EVENTS_MAX, busy ? 0 : SLICE_MS);
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				read_some(events[i].data.ptr);
			else
				on_input();
		}
		if (load.asked && load.up == load.wanted) {
			load.asked = 0;
			printf("up %zu\n", load.up);
		}
	}
}

static void
make_tls(const char *ca)
{
	static const struct agent nobody;
	char path[PATH_MAX];
	int r;
	if (str_print(path, sizeof path, "%s/issuer.key", ca) < 0 ||
		(r = sign_key_load(path, &load.issuer_key)) < 0)
		die(path, -ERR_CRYPTO);
	if (str_print(path, sizeof path, "%s/issuer.pem", ca) < 0 ||
		!(load.issuer = cert_load(path)))
		die(path, -ERR_CRYPTO);
	load.key = sign_key_generate();
	load.crypto = tlsrec_crypto_new();
	struct x509_st *cert = load.key ? certificate(&nobody) : NULL;
	load.tls = cert ? tls_outgoing(&load.org, cert, load.key) : NULL;
	cert_free(cert);
	if (!load.tls || !load.crypto || tlsexport_prepare(load.tls) < 0)
		die("TLS", -ERR_CRYPTO);
}

int
main(int argc, char **argv)
{
	struct conf_error error = {""};
	char port[8];
	int64_t number;
	int r;
	if (argc != 3 && argc != 4)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if ((r = orgfile_load(argv[1], &load.org, &error)) < 0)
		die(error.text, r);
	if ((r = dial_split(load.org.gates[0].target, load.host, sizeof load.host, port,
		     sizeof port)) < 0 ||
		(r = str_int(port, 1, UINT16_MAX, &number)) < 0)
		die("gate", r);
	load.gate = (struct sockaddr_in){.sin_family = AF_INET,
		.sin_port = htons((uint16_t)number),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	load.source.sin_family = AF_INET;
	if (argc == 4 && inet_pton(AF_INET, argv[3], &load.source.sin_addr) != 1)
		die(argv[3], -ERR_SETTING);
	make_tls(argv[2]);
	load.agents = mem_array(AGENTS_MAX, sizeof *load.agents);
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN};
	if (!load.agents || load.epoll < 0 ||
		epoll_ctl(load.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event) < 0)
		die("start", -errno);
	run();
}
