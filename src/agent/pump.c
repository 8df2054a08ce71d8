/*
 * The pump: one session's outer TLS connection for its whole life, and behind it one process after
 * the other. It sees ciphertext of the inner channel only, holds no key (TLS signatures are made by
 * the monitor) and may open nothing.
 *
 *     hello ─▶ answer ─▶ first ─▶ idle ─attach─▶ moving ─attach─▶ held ─first side closed─▶ moving
 * ─side closed─▶ flush, end
 *
 * While held, bytes of the client wait in the connection: they belong to the process that comes
 * (docs/protocol.md 5).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/message.h"
#include "agent/role.h"
#include "base/buf.h"
#include "base/build.h"
#include "base/err.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/wire.h"
#include "crypto/orgfile.h"
#include "net/conn.h"
#include "net/dial.h"
#include "net/frame.h"
#include "outer.pb.h"

enum {
	PROTOCOL_VERSION = 1,
	JOIN_MS = 10000, /* TLS, Hello and Joined */
	SIDE_MAX_BYTES = 256 * 1024,
	READ_BYTES = 32 * 1024,
};

enum state {
	PUMP_TLS,
	PUMP_HELLO,
	PUMP_ANSWER,
	PUMP_FIRST,
	PUMP_IDLE,
	PUMP_MOVING,
	PUMP_HELD,
	PUMP_ENDING
};

struct pump {
	struct loop *loop;
	struct conn *conn;
	struct timer *deadline;
	struct note note;
	enum state state;
	int side, next; /* stream sockets, -1 = none */
	struct watch *watch;
	struct buf to_side;
};

static void
end(struct pump *p, int code)
{
	uint8_t out[64], counts[16];
	struct note note = p->note;
	struct wr w = wr_init(counts, sizeof counts);
	wr_u64(&w, p->conn ? conn_bytes_in(p->conn) : 0);
	wr_u64(&w, p->conn ? conn_bytes_out(p->conn) : 0);
	note.code = (uint32_t)-code;
	note.rest = counts;
	note.rest_len = w.len;
	/* the client's last words, as far as they go at once */
	if (p->side >= 0 && buf_len(&p->to_side))
		send(p->side, buf_data(&p->to_side), buf_len(&p->to_side),
			MSG_NOSIGNAL | MSG_DONTWAIT);
	if (p->conn && conn_error(p->conn)[0])
		LOG(INFO, "pump.error", F_STR("detail", conn_error(p->conn)));
	role_send(MSG_PUMP_ENDED, out, note_put(&note, out, sizeof out), -1);
	_exit(0);
}

static int
on_hello(struct pump *p, const uint8_t *payload, size_t len)
{
	engawa_Hello hello;
	engawa_Answer answer = engawa_Answer_init_zero;
	if (frame_decode(engawa_Hello_fields, &hello, payload, len) < 0)
		return -ERR_PROTOCOL;
	if (hello.version != PROTOCOL_VERSION)
		return -ERR_VERSION;
	answer.session_id.size = SESSION_ID_BYTES;
	memcpy(answer.session_id.bytes, p->note.session_id, SESSION_ID_BYTES);
	p->state = PUMP_ANSWER;
	return frame_send(p->conn, engawa_OuterType_OUTER_ANSWER, engawa_Answer_fields, &answer);
}

static int
on_joined(struct pump *p, const uint8_t *payload, size_t len)
{
	engawa_Joined joined;
	if (frame_decode(engawa_Joined_fields, &joined, payload, len) < 0 ||
		joined.session_id.size != SESSION_ID_BYTES ||
		memcmp(joined.session_id.bytes, p->note.session_id, SESSION_ID_BYTES) != 0)
		return -ERR_PROTOCOL;
	timer_stop(p->deadline);
	p->state = PUMP_FIRST;
	role_send(MSG_JOINED, NULL, 0, -1);
	return 0;
}

/* One frame of the gate. Returns bytes used, 0 for more, negative. */
static int
take_frame(struct pump *p, const uint8_t *data, size_t len)
{
	const uint8_t *payload;
	size_t payload_len;
	uint8_t type;
	engawa_Bye bye;
	int used = frame_parse(data, len, FRAME_FIRST_MAX_BYTES, &type, &payload, &payload_len),
	    r = -ERR_PROTOCOL;
	if (used <= 0)
		return used;
	if (type == engawa_OuterType_OUTER_HELLO && p->state == PUMP_HELLO)
		r = on_hello(p, payload, payload_len);
	else if (type == engawa_OuterType_OUTER_JOINED && p->state == PUMP_ANSWER)
		r = on_joined(p, payload, payload_len);
	else if (type == engawa_OuterType_OUTER_BYE &&
		 frame_decode(engawa_Bye_fields, &bye, payload, payload_len) == 0)
		r = bye.code > 0 && bye.code < 100000 ? -(int)bye.code : -ERR_PROTOCOL;
	return r < 0 ? r : used;
}

static void
side_events(struct pump *p)
{
	if (!p->watch)
		return;
	int room = conn_queued(p->conn) < CONN_HIGH_BYTES;
	watch_set(p->watch, (room ? WATCH_READ : 0) | (buf_len(&p->to_side) ? WATCH_WRITE : 0));
}

static size_t
to_side(struct pump *p, const uint8_t *data, size_t len)
{
	size_t n = len < buf_room(&p->to_side) ? len : buf_room(&p->to_side);
	if (n > 0 && buf_add(&p->to_side, data, n) < 0)
		end(p, -ENOMEM);
	if (n < len)
		conn_pause(p->conn);
	side_events(p);
	return n;
}

static size_t
on_data(void *user, const uint8_t *data, size_t len)
{
	struct pump *p = user;
	size_t used = 0;
	while (p->state == PUMP_HELLO || p->state == PUMP_ANSWER) {
		int r = take_frame(p, data + used, len - used);
		if (r < 0)
			end(p, r);
		if (r == 0)
			return used;
		used += (size_t)r;
	}
	if (p->state == PUMP_FIRST && len - used >= FIRST_BYTES) {
		role_send(MSG_FIRST, data + used, FIRST_BYTES, -1);
		used += FIRST_BYTES;
		p->state = PUMP_IDLE;
	}
	if (p->state == PUMP_IDLE || p->state == PUMP_HELD)
		conn_pause(p->conn);
	if (p->state == PUMP_MOVING)
		used += to_side(p, data + used, len - used);
	return used;
}

static void
on_ready(void *user)
{
	struct pump *p = user;
	engawa_Hello hello = {.version = PROTOCOL_VERSION,
		.role = engawa_Role_ROLE_AGENT_SESSION,
		.build = BUILD,
		.locale = "ja"};
	p->state = PUMP_HELLO;
	frame_send(p->conn, engawa_OuterType_OUTER_HELLO, engawa_Hello_fields, &hello);
}

static void
on_drained(void *user)
{
	side_events(user);
}

static void
on_closed(void *user, int code)
{
	end(user, code);
}

static const struct conn_events conn_events = {
	.ready = on_ready, .data = on_data, .drained = on_drained, .closed = on_closed};

static void on_side(void *user, int ready);

static void
attach(struct pump *p, int fd)
{
	p->side = fd;
	p->watch = watch_new(p->loop, fd, on_side, p);
	p->state = PUMP_MOVING;
	side_events(p);
	conn_resume(p->conn);
}

/* The process behind us has closed: everything it wrote is in the connection's queue already. */
static void
side_closed(struct pump *p)
{
	watch_free(p->watch);
	p->watch = NULL;
	close(p->side);
	p->side = -1;
	if (p->state != PUMP_HELD) {
		p->state = PUMP_ENDING;
		conn_finish(p->conn);
		return;
	}
	/* what the client sent out of turn to the process that is gone is nobody's */
	buf_drop(&p->to_side, buf_len(&p->to_side));
	int fd = p->next;
	p->next = -1;
	role_send(MSG_SWITCHED, NULL, 0, -1);
	attach(p, fd);
}

static int
from_side(struct pump *p)
{
	uint8_t bytes[READ_BYTES];
	ssize_t n = recv(p->side, bytes, sizeof bytes, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ERR_CLOSED;
	return conn_send(p->conn, bytes, (size_t)n);
}

static void
on_side(void *user, int ready)
{
	struct pump *p = user;
	if (ready & WATCH_READ && from_side(p) < 0) {
		side_closed(p);
		return;
	}
	if (ready & WATCH_WRITE && buf_len(&p->to_side)) {
		ssize_t n =
			send(p->side, buf_data(&p->to_side), buf_len(&p->to_side), MSG_NOSIGNAL);
		if (n > 0)
			buf_drop(&p->to_side, (size_t)n);
		/* a closed peer shows as end of file, after its last bytes */
		else if (errno == EPIPE || errno == ECONNRESET)
			buf_drop(&p->to_side, buf_len(&p->to_side));
		if (p->state == PUMP_MOVING && buf_len(&p->to_side) == 0)
			conn_resume(p->conn);
	}
	side_events(p);
}

static void
on_attach(struct pump *p, int fd)
{
	fcntl(fd, F_SETFL, O_NONBLOCK);
	if (p->state == PUMP_IDLE) {
		attach(p, fd);
	} else if (p->state == PUMP_MOVING && p->next < 0) {
		p->next = fd;
		p->state = PUMP_HELD;
		conn_pause(p->conn);
		role_send(MSG_HELD, NULL, 0, -1);
	} else {
		_exit(2);
	}
}

static void
on_monitor(void *user, int ready)
{
	struct pump *p = user;
	uint8_t payload[MESSAGE_MAX_BYTES];
	uint16_t type;
	int fd;
	(void)ready;
	int n = ipc_recv(ROLE_CHANNEL, &type, payload, sizeof payload, &fd);
	if (n < 0)
		_exit(0);
	if (type == MSG_SECOND && p->state == PUMP_IDLE)
		conn_send(p->conn, payload, (size_t)n);
	else if (type == MSG_ATTACH && fd >= 0)
		on_attach(p, fd);
	else
		_exit(2);
}

static void
on_deadline(void *user)
{
	end(user, -ERR_TIMEOUT);
}

int
pump_main(const struct options *options)
{
	struct pump p = {.loop = loop_new(), .side = -1, .next = -1};
	struct orgfile org;
	uint8_t run[64];
	char host[128], port[16];
	int fd;
	struct ssl_ctx_st *tls = role_tls(&org);
	size_t len = role_expect(MSG_RUN, run, sizeof run, &fd);
	if (!tls || note_get(run, len, &p.note) < 0 || p.note.gate >= org.gate_count || fd < 0 ||
		dial_split(org.gates[p.note.gate].target, host, sizeof host, port, sizeof port) < 0)
		return 2;
	role_sandbox(options, "pump", SANDBOX_IO);
	p.note.rest_len = 0;
	buf_init(&p.to_side, SIDE_MAX_BYTES);
	p.deadline = timer_new(p.loop, on_deadline, &p);
	timer_start(p.deadline, JOIN_MS, 0);
	struct watch *watch = watch_new(p.loop, ROLE_CHANNEL, on_monitor, &p);
	watch_set(watch, WATCH_READ);
	p.conn = conn_new(p.loop, fd, tls, host, 0, JOIN_MS, &conn_events, &p);
	loop_run(p.loop);
	return 0;
}
