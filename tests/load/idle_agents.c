/*
 * Many waiting agents in one process: each holds a TLS control connection of its own, with a
 * certificate of its own, to the first gate of an organisation file, and answers its pings.
 *
 *   idle_agents ORGANISATION-FILE CA-DIRECTORY
 *
 * Reads totals from stdin, one per line, ascending; answers each with "up N" when so many are
 * welcome. Ends at end of file.
 */
#include <limits.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypto/cert.h"
#include "crypto/orgfile.h"
#include "crypto/tls.h"
#include "net/conn.h"
#include "net/dial.h"
#include "net/frame.h"
#include "outer.pb.h"

enum {
	AGENTS_MAX = 20000,
	DIALLING_MAX = 16, /* at a time: we measure waiting, not a rush */
	DEADLINE_MS = 30000,
};

struct agent {
	struct ssl_ctx_st *tls;
	struct conn *conn;
};

static struct {
	struct loop *loop;
	struct watch *input;
	struct orgfile org;
	struct evp_pkey_st *issuer_key, *key;
	struct x509_st *issuer;
	struct agent *agents;
	size_t started, up, wanted;
	char line[16], host[128];
	size_t line_len;
} load;

static void __attribute__((noreturn)) die(const char *what, int code)
{
	fprintf(stderr, "idle_agents: %s: %s\n", what, err_text(code, ERR_LANG_EN));
	exit(1);
}

static void agents_start(void);

static void
on_ready(void *user)
{
	struct agent *agent = user;
	engawa_Hello hello = {
		.version = 1, .role = engawa_Role_ROLE_AGENT, .build = 1, .locale = "en"};
	hello.instance.size = 16;
	RAND_bytes(hello.instance.bytes, 16);
	frame_send(agent->conn, engawa_OuterType_OUTER_HELLO, engawa_Hello_fields, &hello);
}

static void
on_frame(struct agent *agent, uint8_t type, const uint8_t *payload, size_t len)
{
	engawa_Ping ping;
	engawa_Bye bye;
	if (type == engawa_OuterType_OUTER_WELCOME) {
		load.up++;
		agents_start();
	} else if (type == engawa_OuterType_OUTER_PING &&
		   frame_decode(engawa_Ping_fields, &ping, payload, len) == 0) {
		frame_send(agent->conn, engawa_OuterType_OUTER_PONG, engawa_Pong_fields,
			&(engawa_Pong){ping.id});
	} else if (type == engawa_OuterType_OUTER_BYE &&
		   frame_decode(engawa_Bye_fields, &bye, payload, len) == 0) {
		die("the gate said goodbye", (int)bye.code);
	}
}

static size_t
on_data(void *user, const uint8_t *data, size_t len)
{
	size_t used = 0;
	for (;;) {
		uint8_t type;
		const uint8_t *payload;
		size_t payload_len;
		int r = frame_parse(
			data + used, len - used, FRAME_MAX_BYTES, &type, &payload, &payload_len);
		if (r < 0)
			die("frame", r);
		if (r == 0)
			return used;
		on_frame(user, type, payload, payload_len);
		used += (size_t)r;
	}
}

static void
on_closed(void *user, int code)
{
	struct agent *agent = user;
	die(conn_error(agent->conn), code);
}

static const struct conn_events events = {.ready = on_ready, .data = on_data, .closed = on_closed};

static void
on_dialled(void *user, int fd)
{
	struct agent *agent = user;
	if (fd < 0)
		die("dial", fd);
	agent->conn =
		conn_new(load.loop, fd, agent->tls, load.host, 0, DEADLINE_MS, &events, agent);
}

static void
agent_start(struct agent *agent)
{
	uint8_t id[CERT_AGENT_ID_BYTES];
	char name[2 * sizeof id + 1];
	RAND_bytes(id, sizeof id);
	str_hex(name, id, sizeof id);
	struct cert_request request = {CERT_AGENT, name, load.org.id, NULL, 1};
	struct x509_st *cert = cert_issue(load.issuer_key, load.issuer, load.key, &request);
	agent->tls = cert ? tls_outgoing(&load.org, cert, load.key) : NULL;
	cert_free(cert);
	if (!agent->tls)
		die("certificate", -ERR_CRYPTO);
	dial_start(load.loop, load.org.gates[0].target, NULL, DEADLINE_MS, on_dialled, agent);
}

static void
agents_start(void)
{
	while (load.started < load.wanted && load.started - load.up < DIALLING_MAX)
		agent_start(&load.agents[load.started++]);
	if (load.up == load.wanted)
		printf("up %zu\n", load.up);
}

static void
on_input(void *user, int ready)
{
	(void)user, (void)ready;
	char c;
	if (read(STDIN_FILENO, &c, 1) != 1)
		exit(0); /* the connections go with us */
	if (c != '\n' && load.line_len < sizeof load.line - 1) {
		load.line[load.line_len++] = c;
		return;
	}
	load.line[load.line_len] = '\0';
	load.line_len = 0;
	int64_t wanted;
	if (str_int(load.line, (int64_t)load.wanted, AGENTS_MAX, &wanted) < 0)
		die(load.line, -ERR_SETTING);
	load.wanted = (size_t)wanted;
	agents_start();
}

int
main(int argc, char **argv)
{
	struct conf_error error = {""};
	char path[PATH_MAX], port[8];
	int r;
	if (argc != 3)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if ((r = orgfile_load(argv[1], &load.org, &error)) < 0)
		die(error.text, r);
	if (str_print(path, sizeof path, "%s/issuer.key", argv[2]) < 0 ||
		(r = sign_key_load(path, &load.issuer_key)) < 0)
		die(path, r);
	if (str_print(path, sizeof path, "%s/issuer.pem", argv[2]) < 0 ||
		!(load.issuer = cert_load(path)))
		die(path, -ERR_CRYPTO);
	if ((r = dial_split(
		     load.org.gates[0].target, load.host, sizeof load.host, port, sizeof port)) < 0)
		die("gate", r);
	load.key = sign_key_generate();
	load.agents = mem_array(AGENTS_MAX, sizeof *load.agents);
	if (!load.key || !load.agents)
		die("start", -ERR_CRYPTO);
	load.loop = loop_new();
	load.input = watch_new(load.loop, STDIN_FILENO, on_input, NULL);
	watch_set(load.input, WATCH_READ);
	loop_run(load.loop);
	return 0;
}
