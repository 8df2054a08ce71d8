#include "gate/leg.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "gate/door.h"
#include "gate/order.h"
#include "gate/roles.h"
#include "gate/secure.h"
#include "gate/worker.h"

int
leg_watch(struct worker *w, struct leg *l)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = l};
	return epoll_ctl(w->epoll, EPOLL_CTL_ADD, l->fd, &event) < 0 ? -errno : 0;
}

struct leg *
leg_new(struct worker *w, enum leg_kind kind, int fd, struct secure *secure,
	const struct address *address)
{
	struct leg *l = fd >= 0 && (size_t)fd < w->by_fd_count ? mem_array(1, sizeof *l) : NULL;
	if (l) {
		l->kind = (uint8_t)kind;
		l->state = secure ? LEG_HANDSHAKE : LEG_PIPE;
		l->fd = fd;
		l->secure = secure;
		l->address = *address;
		l->opened = l->heard = l->pinged = w->now;
		l->can_read = l->can_write = 1;
	}
	if (!l || leg_watch(w, l) < 0) {
		free(l);
		secure_free(secure);
		close(fd);
		return NULL;
	}
	leg_adopt(w, l);
	return l;
}

void
leg_adopt(struct worker *w, struct leg *l)
{
	l->serial = ++w->serial;
	w->by_fd[l->fd] = l;
	w->leg_count++;
}

struct leg *
leg_find(struct worker *w, int fd, uint32_t serial)
{
	struct leg *l = fd >= 0 && (size_t)fd < w->by_fd_count ? w->by_fd[fd] : NULL;
	return l && l->serial == serial && l->state < LEG_CLOSING ? l : NULL;
}

static void
drop_input(struct leg *l)
{
	mem_wipe_free(l->in, l->in ? sizeof *l->in + l->in->len : 0);
	mem_wipe_free(l->raw, l->raw ? sizeof *l->raw + l->raw->len : 0);
	l->in = l->raw = NULL;
}

/* Those whose end is told and counted, while the peer still has something to take. */
static void
count_closing(struct worker *w, const struct leg *l, int by)
{
	if (l->kind == LEG_NATIVE || l->kind == LEG_BROWSER)
		atomic_fetch_add_explicit(
			&w->limits.mine->closing, (uint32_t)by, memory_order_relaxed);
}

void
leg_close(struct worker *w, struct leg *l, int code)
{
	enum leg_state was = l->state;
	if (was == LEG_DEAD)
		return;
	l->state = LEG_DEAD;
	if (was == LEG_CLOSING)
		count_closing(w, l, -1);
	else
		roles_gone(w, l, was, code);
	if (l->kind == LEG_NATIVE || l->kind == LEG_BROWSER) {
		int half_open = l->is_half_open;
		if (half_open)
			door_opened(w, l);
		if (l->is_known)
			limit_known(&w->limits, &l->address, 0);
		limit_closed(&w->limits, &l->address);
	} else if (l->kind == LEG_SPLICE) {
		limit_give(&w->limits, LIMIT_SPLICE);
	}
	wheel_clear(&l->timer);
	queue_clear(&w->pool, &l->out);
	drop_input(l);
	secure_free(l->secure);
	l->secure = NULL;
	w->by_fd[l->fd] = NULL;
	w->leg_count--;
	close(l->fd); /* leaves the epoll set too */
	l->dead_next = w->dead;
	w->dead = l;
}

/* Onto the queue as wire bytes: TLS records, or the bytes themselves. 0 or negative. */
static int
emit(struct worker *w, struct leg *l, const uint8_t *data, size_t len)
{
	if (!l->secure)
		return queue_add(&w->pool, &l->out, data, len);
	while (len > 0) {
		size_t part = len < SECURE_READ_BYTES ? len : SECURE_READ_BYTES, room;
		uint8_t *to = queue_reserve(&w->pool, &l->out, part + SECURE_ROOM_BYTES, &room);
		if (!to)
			return -ENOMEM;
		int n = secure_wrap(l->secure, data, part, to);
		queue_commit(&w->pool, &l->out, n < 0 ? 0 : (size_t)n);
		if (n < 0)
			return n;
		data += part;
		len -= part;
	}
	return 0;
}

/* One WebSocket message; header and a short payload share a record. */
static int
emit_message(struct worker *w, struct leg *l, uint8_t op, const uint8_t *data, size_t len)
{
	uint8_t message[WS_HEADER_MAX_BYTES + 1024];
	size_t n = ws_header(message, op, len), first = len < 1024 ? len : 1024;
	memcpy(message + n, data, first);
	int r = emit(w, l, message, n + first);
	return r < 0 ? r : emit(w, l, data + first, len - first);
}

/* Our Close frame, once. Without memory the connection just ends. */
static void
shut_ws(struct worker *w, struct leg *l, uint16_t status)
{
	uint8_t frame[4];
	if (!l->is_ws || l->ws_shut)
		return;
	(void)emit(w, l, frame, ws_close(frame, status));
	l->ws_shut = 1;
}

void
leg_end(struct worker *w, struct leg *l, int code)
{
	enum leg_state was = l->state;
	if (was >= LEG_CLOSING)
		return;
	if (was == LEG_HANDSHAKE || was == LEG_MOVING) {
		leg_close(w, l, code);
		return;
	}
	l->state = LEG_CLOSING;
	count_closing(w, l, 1);
	roles_gone(w, l, was, code);
	drop_input(l);
	shut_ws(w, l,
		code == -ERR_PROTOCOL   ? WS_CLOSE_PROTOCOL
		: code == -ERR_TOO_LONG ? WS_CLOSE_TOO_BIG
					: WS_CLOSE_NORMAL);
	leg_finish(w, l);
	if (l->is_ws)
		l->finished = 0;       /* the Close frame was not the end: TLS's comes now */
	l->heard = l->pinged = w->now; /* since when: roles.c */
	leg_deadline(w, l, LINGER_S);
	leg_run_later(w, l);
}

void
leg_bye(struct worker *w, struct leg *l, int code)
{
	const engawa_Hello hello = {.version = 1, .role = engawa_Role_ROLE_GATE};
	engawa_Bye bye = {.code = (uint32_t)(code < 0 ? -code : code)};
	int frames = l->state == LEG_HELLO || l->state == LEG_READY || l->state == LEG_ASKING ||
		     l->state == LEG_KNOCKING;
	if (frames && l->kind != LEG_LINK) {
		if (!l->greeted)
			leg_frame(w, l, engawa_OuterType_OUTER_HELLO, engawa_Hello_fields, &hello);
		leg_frame(w, l, engawa_OuterType_OUTER_BYE, engawa_Bye_fields, &bye);
	}
	leg_end(w, l, code);
}

void
leg_reap(struct worker *w)
{
	/* a dead leg in the run queue is freed when its turn has passed */
	struct leg **at = &w->dead;
	while (*at) {
		struct leg *l = *at;
		if (l->in_run) {
			at = &l->dead_next;
			continue;
		}
		*at = l->dead_next;
		free(l);
	}
}

static void
enqueue(struct leg *l, struct leg **head, struct leg **tail)
{
	if (l->in_run || l->state == LEG_DEAD)
		return;
	l->in_run = 1;
	l->run_next = NULL;
	if (*tail)
		(*tail)->run_next = l;
	else
		*head = l;
	*tail = l;
}

void
leg_run_later(struct worker *w, struct leg *l)
{
	enqueue(l, &w->run_head, &w->run_tail);
}

void
leg_run_again(struct worker *w, struct leg *l)
{
	enqueue(l, &w->late_head, &w->late_tail);
}

void
leg_run_last(struct worker *w, struct leg *l)
{
	enqueue(l, &w->last_head, &w->last_tail);
}

void
leg_deadline(struct worker *w, struct leg *l, int64_t seconds)
{
	wheel_set(&w->wheel, &l->timer, w->now + wheel_ticks(seconds));
}

void
leg_finish(struct worker *w, struct leg *l)
{
	shut_ws(w, l, WS_CLOSE_NORMAL);
	l->finish = 1;
	leg_run_later(w, l);
}

int
leg_put(struct worker *w, struct leg *l, const void *data, size_t len)
{
	return l->is_ws ? emit_message(w, l, WS_OP_BINARY, data, len) : emit(w, l, data, len);
}

int
leg_send(struct worker *w, struct leg *l, const void *data, size_t len)
{
	if (l->state >= LEG_CLOSING || l->ws_shut)
		return -ERR_CLOSED;
	size_t max = l->kind == LEG_LINK ? LINK_QUEUE_MAX_BYTES : LIMIT_QUEUE_MAX_BYTES;
	if (l->state != LEG_PIPE && l->out.len + len > max) {
		limit_bite(&w->limits, LIMIT_QUEUE, &l->address);
		leg_close(w, l, -ERR_SLOW);
		return -ERR_SLOW;
	}
	int r = leg_put(w, l, data, len);
	if (r < 0)
		leg_close(w, l, r);
	else
		leg_run_later(w, l); /* several frames of one turn leave together */
	return r;
}

int
leg_frame(
	struct worker *w, struct leg *l, uint8_t type, const pb_msgdesc_t *fields, const void *msg)
{
	uint8_t frame[FRAME_HEADER_BYTES + 8192]; /* the longest message of outer.proto and
						     link.proto that we send is below */
	int len = frame_encode(type, fields, msg, frame, sizeof frame);
	if (len < 0) {
		leg_close(w, l, len);
		return len;
	}
	int r = leg_send(w, l, frame, (size_t)len);
	mem_wipe(frame, (size_t)len);
	return r;
}

/* Bytes that the kernel took; -EAGAIN. */
static int
transmit(struct leg *l, const uint8_t *wire, size_t len)
{
	ssize_t n = send(l->fd, wire, len, MSG_NOSIGNAL);
	if (n >= 0)
		return (int)n;
	if (errno != EINTR && errno != EWOULDBLOCK)
		return -errno;
	l->can_write = 0;
	return -EAGAIN;
}

/* The queue is empty and our direction is over. */
static void
finish_now(struct worker *w, struct leg *l)
{
	uint8_t goodbye[SECURE_ALERT_BYTES];
	l->finished = 1;
	if (l->is_ws && l->state != LEG_CLOSING)
		return;
	if (l->secure)
		(void)queue_add(&w->pool, &l->out, goodbye, secure_goodbye(l->secure, goodbye));
	else if (shutdown(l->fd, SHUT_WR) < 0)
		leg_close(w, l, -errno);
}

int
leg_wire(struct worker *w, struct leg *l, const uint8_t *wire, size_t len)
{
	int n = l->out.len == 0 && l->can_write ? transmit(l, wire, len) : -EAGAIN;
	size_t sent = n > 0 ? (size_t)n : 0;
	int r = n < 0 && n != -EAGAIN ? n : queue_add(&w->pool, &l->out, wire + sent, len - sent);
	if (r < 0)
		leg_close(w, l, r);
	return r;
}

static int
drain(struct worker *w, struct leg *l)
{
	size_t len;
	const uint8_t *data;
	int moved = 0;
	while (l->can_write && (data = queue_front(&l->out, &len), len > 0)) {
		int n = transmit(l, data, len);
		if (n == -EAGAIN)
			break;
		if (n <= 0) {
			leg_close(w, l, n < 0 ? n : -ECONNRESET);
			return n;
		}
		queue_drop(&w->pool, &l->out, (size_t)n);
		moved = 1;
	}
	if (moved && l->state == LEG_CLOSING)
		l->heard = w->now; /* it still takes what it is owed */
	return 0;
}

void
leg_flush(struct worker *w, struct leg *l)
{
	if (l->state == LEG_HANDSHAKE || l->state == LEG_DEAD || drain(w, l) < 0)
		return;
	if (l->out.len > 0 || !l->finish || l->finished)
		return;
	finish_now(w, l);
	if (l->state != LEG_DEAD)
		drain(w, l);
}

void
leg_closing(struct worker *w, struct leg *l)
{
	leg_flush(w, l);
	if (l->state == LEG_DEAD || !l->finished || l->out.len > 0)
		return;
	/* our FIN, then the peer's: closing with unread bytes would reset the connection and take
	 * the last frame with it */
	shutdown(l->fd, SHUT_WR);
	for (int i = 0; i < WORKER_TURN_BYTES / WORKER_READ_BYTES; i++) {
		int n = l->eof ? -ERR_CLOSED : leg_read(w, l, w->scratch, WORKER_READ_BYTES);
		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			leg_close(w, l, -ERR_CLOSED);
			return;
		}
	}
	leg_close(w, l, -ERR_CLOSED); /* it talks and does not listen */
}

/* The alert that a broken record earns, as far as the kernel takes it now. */
static void
tell_alert(struct worker *w, struct leg *l)
{
	uint8_t alert[SECURE_ALERT_BYTES];
	size_t len = secure_alert(l->secure, alert);
	if (len > 0 && queue_add(&w->pool, &l->out, alert, len) == 0)
		drain(w, l);
}

int
leg_read_failed(struct worker *w, struct leg *l, int code)
{
	if (code == -EAGAIN)
		l->can_read = 0;
	else if ((code == -ERR_CRYPTO || code == -ERR_KEY_WORN) && l->secure)
		tell_alert(w, l);
	return code;
}

int
leg_renew_key(struct worker *w, struct leg *l)
{
	size_t room;
	/* behind our close_notify nothing may follow */
	if (!l->secure || !secure_ask_due(l->secure) || l->finished || l->state >= LEG_CLOSING)
		return 0;
	uint8_t *to = queue_reserve(&w->pool, &l->out, SECURE_ASK_BYTES, &room);
	if (!to)
		return 0; /* after the next record, then */
	int n = secure_ask(l->secure, to);
	queue_commit(&w->pool, &l->out, n < 0 ? 0 : (size_t)n);
	leg_run_later(w, l);
	return n < 0 ? n : 0;
}

int
leg_read(struct worker *w, struct leg *l, void *out, size_t cap)
{
	if (!l->can_read)
		return -EAGAIN;
	int n;
	if (l->secure) {
		n = secure_read(l->secure, out, cap);
	} else {
		ssize_t got = recv(l->fd, out, cap, 0);
		n = got > 0                                  ? (int)got
		    : got == 0                               ? -ERR_CLOSED
		    : errno == EINTR || errno == EWOULDBLOCK ? -EAGAIN
							     : -errno;
	}
	if (n < 0)
		return leg_read_failed(w, l, n);
	if (l->state != LEG_CLOSING)
		l->heard = w->now;
	int r = leg_renew_key(w, l);
	return r < 0 ? r : n;
}

static int
hold(struct held **held, const uint8_t *data, size_t len)
{
	struct held *old = *held;
	struct held *h = NULL;
	if (len > 0) {
		h = malloc(sizeof *h + len);
		if (!h)
			return -ENOMEM;
		h->len = (uint32_t)len;
		memcpy(h->bytes, data, len);
	}
	mem_wipe_free(old, old ? sizeof *old + old->len : 0);
	*held = h;
	return 0;
}

int
leg_hold(struct worker *w, struct leg *l, const uint8_t *data, size_t len)
{
	(void)w;
	return hold(&l->in, data, len);
}

static int
answer_control(struct worker *w, struct leg *l, const struct ws_event *event)
{
	if (event->kind == WS_CLOSE)
		l->eof = 1;
	if (event->kind != WS_PING || l->ws_shut)
		return 0;
	if (l->out.len > LIMIT_QUEUE_MAX_BYTES)
		return 0; /* RFC 6455 5.5.3: a later ping may be answered instead */
	int r = emit_message(w, l, WS_OP_PONG, event->data, event->len);
	if (r == 0)
		leg_run_later(w, l);
	return r;
}

int
leg_unwrap(
	struct worker *w, struct leg *l, uint8_t *data, size_t len, uint8_t *out, size_t *ret_len)
{
	struct ws_event event;
	size_t used = 0, got = 0;
	while (used < len && !l->eof) {
		int n = ws_read(&l->entry.ws, data + used, len - used, &event);
		if (n < 0)
			return n;
		if (n == 0)
			break;
		used += (size_t)n;
		if (event.kind == WS_DATA) {
			memmove(out + got, event.data, event.len);
			got += event.len;
			continue;
		}
		int r = answer_control(w, l, &event);
		if (r < 0)
			return r;
	}
	int r = hold(&l->raw, data + used, l->eof ? 0 : len - used);
	if (r == 0)
		*ret_len = got;
	return r;
}

/* Bytes of a browser: the held piece of a frame, then what came. */
static int
take_raw(struct worker *w, struct leg *l, uint8_t *out, size_t *ret_len)
{
	size_t held = l->raw ? l->raw->len : 0;
	if (held > WS_HELD_MAX_BYTES)
		return -ERR_PROTOCOL;
	if (held)
		memcpy(w->raw, l->raw->bytes, held);
	int n = leg_read(w, l, w->raw + held, sizeof w->raw - held);
	return n < 0 ? n : leg_unwrap(w, l, w->raw, held + (size_t)n, out, ret_len);
}

int
leg_take(struct worker *w, struct leg *l, uint8_t **ret_data, size_t *ret_len)
{
	size_t held = l->in ? l->in->len : 0, got = 0;
	if (held + sizeof w->raw > sizeof w->scratch)
		return -ERR_TOO_LONG;
	if (held)
		memcpy(w->scratch, l->in->bytes, held);
	if (l->is_ws) {
		int r = take_raw(w, l, w->scratch + held, &got);
		if (r < 0)
			return r;
	} else {
		int n = leg_read(w, l, w->scratch + held, WORKER_READ_BYTES);
		if (n < 0)
			return n;
		got = (size_t)n;
	}
	*ret_data = w->scratch;
	*ret_len = held + got;
	return 0;
}
