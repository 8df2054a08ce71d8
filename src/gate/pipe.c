/*
 * An end travels like bytes: l reads it (eof), its peer sends it on after what is queued (finish,
 * finished), and the pipe is over when both have ended. A connection that breaks instead ends both
 * at once; what its peer is still owed goes out first.
 */
#include "gate/pipe.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/err.h"
#include "gate/worker.h"

enum {
	DEAD_AFTER_S = 60, /* a peer that vanished without a word: TCP finds out */
};

/* The kernel watches for a vanished peer: in the middle of a login neither side may have anything
 * to say for minutes. */
static void
watch_peer(const struct leg *l)
{
	const int on = 1, idle_s = DEAD_AFTER_S / 2, interval_s = DEAD_AFTER_S / 6, probes = 3,
		  timeout_ms = DEAD_AFTER_S * 1000;
	if (!l->secure)
		return;
	setsockopt(l->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	setsockopt(l->fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
	setsockopt(l->fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
	setsockopt(l->fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
	setsockopt(l->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
}

void
pipe_join(struct worker *w, struct leg *a, struct leg *b)
{
	a->peer = b;
	b->peer = a;
	a->state = b->state = LEG_PIPE;
	leg_deadline(w, a, w->settings.session_silence_s);
	leg_deadline(w, b, w->settings.session_silence_s);
	watch_peer(a);
	watch_peer(b);
	leg_run_later(w, a);
	leg_run_later(w, b);
}

static void
end(struct worker *w, struct leg *l, int code)
{
	leg_end(w, l, code); /* takes the peer, or the session, with it */
}

static void
on_eof(struct worker *w, struct leg *l)
{
	struct leg *p = l->peer;
	l->eof = 1;
	/* a browser's Close ends both directions */
	if (p->eof || l->is_ws) {
		end(w, l, -ERR_CLOSED);
		return;
	}
	leg_finish(w, p);
	leg_deadline(w, l, w->settings.half_closed_s);
	leg_deadline(w, p, w->settings.half_closed_s);
}

/* From a browser: frames are taken off on the way. */
static int
move_unwrapped(struct worker *w, struct leg *l, struct leg *p)
{
	size_t held = l->raw ? l->raw->len : 0, len = 0;
	if (held)
		memcpy(w->raw, l->raw->bytes, held);
	int n = leg_read(w, l, w->raw + held, WORKER_READ_BYTES);
	if (n < 0)
		return n;
	int r = leg_unwrap(w, l, w->raw, held + (size_t)n, w->scratch, &len);
	if (r == 0 && len > 0)
		r = leg_put(w, p, w->scratch, len);
	if (r < 0)
		return r;
	session_count(w, l, len);
	return n;
}

/* From TLS to TLS: opened and sealed in place, and given to the kernel from where it came. */
static int
relay(struct worker *w, struct leg *l, struct leg *p, size_t allowed)
{
	uint8_t *wire;
	size_t len, payload;
	int r = secure_relay(
		l->secure, p->secure, w->relay, sizeof w->relay, allowed, &wire, &len, &payload);
	if (r < 0)
		return leg_read_failed(w, l, r);
	l->heard = w->now;
	r = leg_renew_key(w, l);
	if (r < 0)
		return r;
	/* events come at the edge: whatever comes after this has one of its own. An end that came
	 * before has had its event. */
	if (secure_is_drained(l->secure) && !l->ended)
		l->can_read = 0;
	session_count(w, l, payload);
	if (len > 0)
		leg_wire(
			w, p, wire, len); /* when that fails the pipe is over, and says so itself */
	return payload > 0 ? (int)payload : 1;
}

/* Bytes moved, at least 1; negative as leg_read. */
static int
move(struct worker *w, struct leg *l, struct leg *p, size_t allowed)
{
	if (l->is_ws)
		return move_unwrapped(w, l, p);
	if (l->secure && p->secure && !p->is_ws)
		return relay(w, l, p, allowed);
	int n = leg_read(w, l, w->scratch, WORKER_READ_BYTES);
	if (n <= 0)
		return n;
	session_count(w, l, (size_t)n);
	int r = leg_put(w, p, w->scratch, (size_t)n);
	return r < 0 ? r : n;
}

static int
may_read(struct worker *w, struct leg *l, struct leg *p, size_t *ret_allowed)
{
	size_t high = (size_t)w->settings.pipe_high_bytes, now = pool_high(&w->pool, high);
	if (l->eof || l->throttled || !l->can_read || p->ws_shut)
		return 0;
	if (p->out.len >= now) {
		if (p->out.len < high)
			limit_bite(&w->limits, LIMIT_MEMORY, NULL);
		return 0;
	}
	enum limit which;
	*ret_allowed = session_allowance(w, l, WORKER_TURN_BYTES, &which);
	if (*ret_allowed > 0)
		return 1;
	limit_bite(&w->limits, which, &l->address);
	l->throttled = 1;
	wheel_set(&w->wheel, &l->timer, w->now + 1);
	return 0;
}

void
pipe_run(struct worker *w, struct leg *l)
{
	struct leg *p = l->peer;
	size_t moved = 0, allowed;
	while (moved < WORKER_TURN_BYTES && may_read(w, l, p, &allowed)) {
		int n = move(w, l, p, allowed);
		if (n == -EAGAIN)
			return;
		if (n == -ERR_CLOSED || l->eof) {
			leg_flush(w, p);
			if (l->state == LEG_PIPE)
				on_eof(w, l);
			return;
		}
		if (n == -ERR_PROTOCOL || n == -ERR_TOO_LONG) {
			end(w, l, n);
			return;
		}
		if (n < 0) {
			leg_close(w, l, n);
			return;
		}
		moved += (size_t)n;
		leg_flush(w, p);
		if (l->state != LEG_PIPE)
			return;
	}
	if (moved >= WORKER_TURN_BYTES)
		leg_run_again(w, l);
}

void
pipe_drained(struct worker *w, struct leg *l)
{
	struct leg *p = l->peer;
	size_t low = pool_high(&w->pool, (size_t)w->settings.pipe_high_bytes) / 4;
	if (l->out.len <= low && p->can_read && !p->eof && !p->throttled)
		leg_run_later(w, p);
}

void
pipe_due(struct worker *w, struct leg *l)
{
	const struct leg *p = l->peer;
	if (l->throttled) {
		l->throttled = 0;
		leg_run_later(w, l);
	}
	wheel_tick limit = wheel_ticks(
		l->eof || p->eof ? w->settings.half_closed_s : w->settings.session_silence_s);
	wheel_tick a = w->now - l->heard, b = w->now - p->heard;
	wheel_tick silent = a < b ? a : b;
	if (silent >= limit)
		end(w, l, -ERR_TIMEOUT);
	else
		wheel_set(&w->wheel, &l->timer, w->now + limit - silent);
}
