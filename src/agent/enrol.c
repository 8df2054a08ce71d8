#include "agent/enrol.h"

#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/own_certificate.h"
#include "agent/usermode.h"
#include "base/build.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "crypto/orgtrust.h"
#include "crypto/tls.h"
#include "net/conn.h"
#include "net/dial.h"
#include "net/frame.h"

enum {
	DIAL_MS = 10000,
	ALL_MS = 60000,
	PROTOCOL_VERSION = 1
};

struct enrol {
	const struct options *options;
	struct loop *loop;
	struct keys keys;
	struct ssl_ctx_st *tls;
	struct conn *conn;
	size_t gate;
	int has_hello, result, done;
	engawa_Enrolled enrolled;
};

static void
stop(struct enrol *e, int result)
{
	if (e->done)
		return;
	e->done = 1;
	e->result = result;
	loop_stop(e->loop);
}

static int
send_enrol(struct enrol *e)
{
	engawa_Enrol msg;
	int r = own_certificate_request(&e->keys, e->options->code, &msg);
	return r < 0 ? r
		     : frame_send(e->conn, engawa_OuterType_OUTER_ENROL, engawa_Enrol_fields, &msg);
}

static int
take_frame(struct enrol *e, uint8_t type, const uint8_t *payload, size_t len)
{
	engawa_Hello hello;
	engawa_Bye bye;
	if (type == engawa_OuterType_OUTER_BYE &&
		frame_decode(engawa_Bye_fields, &bye, payload, len) == 0)
		return bye.code >= 200 && bye.code < 100000 ? -(int)bye.code : -ERR_PROTOCOL;
	if (type == engawa_OuterType_OUTER_HELLO && !e->has_hello) {
		if (frame_decode(engawa_Hello_fields, &hello, payload, len) < 0)
			return -ERR_PROTOCOL;
		e->has_hello = 1;
		return hello.version == PROTOCOL_VERSION ? send_enrol(e) : -ERR_VERSION;
	}
	if (type == engawa_OuterType_OUTER_ENROLLED && e->has_hello &&
		frame_decode(engawa_Enrolled_fields, &e->enrolled, payload, len) == 0) {
		stop(e, e->enrolled.code < 100000 ? -(int)e->enrolled.code : -ERR_PROTOCOL);
		return 0;
	}
	return -ERR_PROTOCOL;
}

static size_t
on_data(void *user, const uint8_t *data, size_t len)
{
	struct enrol *e = user;
	const uint8_t *payload;
	size_t payload_len;
	uint8_t type;
	int used = e->done ? 0
			   : frame_parse(data, len, FRAME_FIRST_MAX_BYTES, &type, &payload,
				     &payload_len);
	if (used <= 0) {
		if (used < 0)
			stop(e, used);
		return 0;
	}
	int r = take_frame(e, type, payload, payload_len);
	if (r < 0)
		stop(e, r);
	return (size_t)used;
}

static void
on_ready(void *user)
{
	struct enrol *e = user;
	engawa_Hello hello = {.version = PROTOCOL_VERSION,
		.role = engawa_Role_ROLE_ENROL,
		.build = BUILD,
		.locale = "ja"};
	frame_send(e->conn, engawa_OuterType_OUTER_HELLO, engawa_Hello_fields, &hello);
}

static void
on_closed(void *user, int code)
{
	struct enrol *e = user;
	if (conn_error(e->conn)[0])
		fprintf(stderr, "engawa-agent: %s\n", conn_error(e->conn));
	stop(e, code);
}

static void try_gate(struct enrol *e);

static void
on_dial(void *user, int fd)
{
	static const struct conn_events events = {
		.ready = on_ready, .data = on_data, .closed = on_closed};
	struct enrol *e = user;
	char host[128], port[16];
	if (fd >= 0 && dial_split(e->keys.org.gates[e->gate].target, host, sizeof host, port,
			       sizeof port) == 0)
		e->conn = conn_new(e->loop, fd, e->tls, host, 0, DIAL_MS, &events, e);
	else if (++e->gate < e->keys.org.gate_count)
		try_gate(e);
	else
		stop(e, fd);
}

static void
try_gate(struct enrol *e)
{
	dial_start(
		e->loop, e->keys.org.gates[e->gate].target, e->options->proxy, DIAL_MS, on_dial, e);
}

static void
on_deadline(void *user)
{
	stop(user, -ERR_TIMEOUT);
}

static int
save_organisation(const struct options *o, const struct keys *keys)
{
	char path[PATH_MAX];
	int r = state_path(o, "organisation", path, sizeof path);
	return r < 0 ? r : conf_write_file(path, keys->org_text, keys->org_len, 0600);
}

/* The two files are there whole or not at all: the certificate last. */
static int
save(struct enrol *e)
{
	const engawa_Enrolled *m = &e->enrolled;
	int r = own_certificate_take(&e->keys, m->certificate.bytes, m->certificate.size, wall_s());
	if (r == 0 && (m->agent_id.size != sizeof e->keys.agent_id ||
			      memcmp(e->keys.agent_id, m->agent_id.bytes, m->agent_id.size) != 0))
		r = -ERR_CERT_UNTRUSTED;
	if (r == 0)
		r = save_organisation(e->options, &e->keys);
	return r < 0 ? r : own_certificate_save(e->options, &e->keys);
}

static int
ask(struct enrol *e)
{
	e->loop = loop_new();
	e->tls = tls_outgoing(&e->keys.org, NULL, NULL);
	if (!e->tls)
		return -ERR_CRYPTO;
	struct timer *deadline = timer_new(e->loop, on_deadline, e);
	timer_start(deadline, ALL_MS, 0);
	try_gate(e);
	loop_run(e->loop);
	timer_free(deadline);
	conn_free(e->conn);
	tls_free(e->tls);
	return e->result;
}

/* The organisation file that was named, when it is to be trusted. */
static int
take_organisation(
	const struct options *o, enum err_lang lang, struct keys *keys, struct conf_error *error)
{
	char path[PATH_MAX];
	int r = conf_read_file(o->org, ORGFILE_MAX_BYTES, &keys->org_text, &keys->org_len);
	if (r == 0)
		r = orgfile_parse(keys->org_text, keys->org_len, wall_s(), &keys->org, error);
	if (r == 0)
		r = state_path(o, "organisation.known", path, sizeof path);
	if (r < 0)
		return r;
	r = org_trust(path, &keys->org, o->org_fingerprint, lang);
	if (r == -ERR_ORG_CHANGED || r == -ERR_SETTING)
		snprintf(error->text, sizeof error->text, "%.200s", path);
	return r;
}

/* A certificate that has expired is no reason against another one: the keys stay, and with them the
 * terminal ID. */
static int
is_good(const char *path)
{
	uint64_t from_s, until_s;
	struct x509_st *cert = access(path, F_OK) == 0 ? cert_load(path) : NULL;
	int good = access(path, F_OK) == 0 &&
		   (!cert || cert_times(cert, &from_s, &until_s) < 0 || wall_s() <= until_s);
	cert_free(cert);
	return good;
}

static int
prepare(struct enrol *e, enum err_lang lang, struct conf_error *error)
{
	const struct options *o = e->options;
	char path[PATH_MAX];
	if (!o->org || !o->code) {
		snprintf(error->text, sizeof error->text, "enrol needs --org FILE and --code CODE");
		return -ERR_SETTING;
	}
	int r = usermode_allowed();
	if (r < 0)
		return r;
	if (mkdir(o->state_directory, 0700) < 0 && errno != EEXIST)
		return -errno;
	r = state_path(o, "certificate", path, sizeof path);
	if (r == 0 && is_good(path))
		return -ERR_EXISTS;
	if (r == 0)
		r = take_organisation(o, lang, &e->keys, error);
	return r < 0 ? r : keys_open(o, 1, &e->keys);
}

static void
tell_failure(int r, enum err_lang lang, const struct conf_error *error)
{
	const struct err_entry *entry = err_find(r);
	fprintf(stderr, "engawa-agent: %s%s%s\n", err_text(r, lang), error->text[0] ? ": " : "",
		error->text);
	if (entry)
		fprintf(stderr, "        %s (EW-%d)\n", entry->next[lang], entry->number);
}

int
enrol_main(const struct options *options)
{
	struct enrol *e = mem_new(sizeof *e);
	struct conf_error error = {""};
	char id[TERMINAL_ID_TEXT_SIZE];
	enum err_lang lang = err_lang(setlocale(LC_MESSAGES, ""));
	e->options = options;
	umask(077);
	int r = prepare(e, lang, &error);
	if (r == 0)
		r = ask(e);
	if (r == 0)
		r = save(e);
	if (r < 0) {
		tell_failure(r, lang, &error);
	} else {
		terminal_id_format(e->keys.terminal_id, id);
		printf("%s\n", id);
		if (e->enrolled.pending)
			fprintf(stderr, "engawa-agent: %s\n", err_text(ERR_PENDING, lang));
	}
	keys_fini(&e->keys);
	free(e);
	return r < 0 ? 1 : 0;
}

int
organisation_main(const struct options *options)
{
	struct keys keys = {.org_text = NULL};
	struct conf_error error = {""};
	char path[PATH_MAX];
	enum err_lang lang = err_lang(setlocale(LC_MESSAGES, ""));
	umask(077);
	int r = options->org ? state_path(options, "certificate", path, sizeof path) : -ERR_SETTING;
	if (r == -ERR_SETTING)
		snprintf(error.text, sizeof error.text, "organisation needs --org FILE");
	if (r == 0 && access(path, F_OK) < 0)
		r = -ERR_NOT_ENROLLED;
	if (r == 0)
		r = take_organisation(options, lang, &keys, &error);
	if (r == 0)
		r = save_organisation(options, &keys);
	if (r < 0)
		tell_failure(r, lang, &error);
	keys_fini(&keys);
	return r < 0 ? 1 : 0;
}
