/*
 * The control process: keeps the connections to the gates, carries knocks to the monitor and codes
 * to the gates, and opens the sockets of sessions (a session's own process may open none). It holds
 * no key and decides nothing.
 */
#include "agent/control.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/role.h"
#include "base/err.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/tls.h"
#include "net/frame.h"
#include "outer.pb.h"

enum {
	SESSION_DIAL_MS = 10000
};

/* The dial of one session's socket. */
struct errand {
	struct note note;
};

uint64_t
control_random(uint64_t limit)
{
	uint64_t v;
	if (RAND_bytes((uint8_t *)&v, sizeof v) != 1)
		abort();
	return limit ? v % limit : 0;
}

struct link *
control_link(struct control *control, size_t gate)
{
	for (size_t i = 0; i < control->link_count; i++)
		if (control->links[i].state == LINK_UP && control->links[i].gate == gate)
			return &control->links[i];
	return NULL;
}

static void
tell(uint16_t type, const struct note *note, int fd)
{
	uint8_t out[64];
	role_send(type, out, note_put(note, out, sizeof out), fd);
}

static void
on_errand(void *user, int fd)
{
	struct errand *errand = user;
	errand->note.code = fd < 0 ? (uint32_t)-fd : 0;
	tell(MSG_DIALED, &errand->note, fd);
	if (fd >= 0)
		close(fd);
	free(errand);
}

static void
dial_session(struct control *c, const struct note *note)
{
	struct errand *errand = mem_new(sizeof *errand);
	errand->note = *note;
	errand->note.rest_len = 0;
	dial_start(c->loop, c->org.gates[note->gate].target, c->proxy, SESSION_DIAL_MS, on_errand,
		errand);
}

static void
refuse(struct control *c, const struct note *note)
{
	engawa_Refuse refuse = {.code = note->code};
	struct link *link = control_link(c, note->gate);
	refuse.session_id.size = SESSION_ID_BYTES;
	memcpy(refuse.session_id.bytes, note->session_id, SESSION_ID_BYTES);
	if (link)
		frame_send(
			link->conn, engawa_OuterType_OUTER_REFUSE, engawa_Refuse_fields, &refuse);
}

static void
send_code(struct control *c, const struct note *note)
{
	engawa_SendCode code = engawa_SendCode_init_zero;
	struct link *link = control_link(c, note->gate);
	struct note failed = *note;
	for (size_t i = 0; !link && i < c->link_count; i++)
		if (c->links[i].state == LINK_UP)
			link = &c->links[i];
	code.session_id.size = SESSION_ID_BYTES;
	memcpy(code.session_id.bytes, note->session_id, SESSION_ID_BYTES);
	if (note->rest_len <= sizeof code.sealed.bytes) {
		code.sealed.size = (pb_size_t)note->rest_len;
		memcpy(code.sealed.bytes, note->rest, note->rest_len);
	}
	if (link && frame_send(link->conn, engawa_OuterType_OUTER_SEND_CODE, engawa_SendCode_fields,
			    &code) == 0)
		return;
	failed.code = ERR_NO_GATE;
	failed.rest_len = 0;
	tell(MSG_CODE_SENT, &failed, -1);
}

/* To any gate: the controller behind them is the same. */
static void
renew(struct control *c, const struct note *note)
{
	engawa_Enrol enrol;
	struct note failed = {.code = ERR_NO_GATE};
	for (size_t i = 0; i < c->link_count; i++)
		if (c->links[i].state == LINK_UP &&
			frame_decode(engawa_Enrol_fields, &enrol, note->rest, note->rest_len) ==
				0 &&
			frame_send(c->links[i].conn, engawa_OuterType_OUTER_ENROL,
				engawa_Enrol_fields, &enrol) == 0)
			return;
	tell(MSG_RENEWED, &failed, -1);
}

/* When there is no connection now: the monitor says it again when there is one. */
static void
session_waits(struct control *c, const struct note *note)
{
	engawa_SessionWaits waits;
	if (frame_decode(engawa_SessionWaits_fields, &waits, note->rest, note->rest_len) < 0)
		return;
	for (size_t i = 0; i < c->link_count; i++)
		if (c->links[i].state == LINK_UP &&
			frame_send(c->links[i].conn, engawa_OuterType_OUTER_SESSION_WAITS,
				engawa_SessionWaits_fields, &waits) == 0)
			return;
}

/* Connections that are made from now on show the new one. */
static void
take_certificate(struct control *c, const uint8_t *der, size_t len)
{
	struct ssl_ctx_st *fresh = role_tls_again(&c->org, der, len);
	if (!fresh)
		_exit(2);
	tls_free(c->tls);
	c->tls = fresh;
}

static void
on_monitor(void *user, int ready)
{
	static uint8_t payload[IPC_PAYLOAD_MAX];
	struct control *c = user;
	struct note note;
	uint16_t type;
	(void)ready;
	int n = ipc_recv(ROLE_CHANNEL, &type, payload, sizeof payload, NULL);
	if (n < 0)
		_exit(0);
	if (type == MSG_CERTIFICATE) {
		take_certificate(c, payload, (size_t)n);
		return;
	}
	if (note_get(payload, (size_t)n, &note) < 0 || note.gate >= c->org.gate_count)
		_exit(2);
	if (type == MSG_DIAL)
		dial_session(c, &note);
	else if (type == MSG_REFUSE)
		refuse(c, &note);
	else if (type == MSG_SEND_CODE)
		send_code(c, &note);
	else if (type == MSG_RENEW)
		renew(c, &note);
	else if (type == MSG_WAITS)
		session_waits(c, &note);
	else
		_exit(2);
}

int
control_main(const struct options *options)
{
	struct control c = {.loop = loop_new()};
	c.tls = role_tls(&c.org);
	if (!c.tls || c.org.gate_count == 0)
		return 2;
	role_expect(MSG_RUN, c.instance, sizeof c.instance, NULL);
	c.proxy = getenv("PROXY");
	role_sandbox(options, "control", SANDBOX_NETWORK);
	struct watch *watch = watch_new(c.loop, ROLE_CHANNEL, on_monitor, &c);
	watch_set(watch, WATCH_READ);
	/* two gates where there are two: one may go away and the office PC stays within reach */
	c.link_count = c.org.gate_count < LINKS_MAX ? c.org.gate_count : LINKS_MAX;
	for (size_t i = 0; i < c.link_count; i++)
		link_init(&c.links[i], &c);
	for (size_t i = 0; i < c.link_count; i++)
		link_start(&c.links[i]);
	loop_run(c.loop);
	return 0;
}
