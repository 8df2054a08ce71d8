#include "gate/move.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/err.h"
#include "base/ipc.h"
#include "base/mem.h"
#include "gate/door.h"
#include "gate/handover.h"
#include "gate/order.h"
#include "gate/worker.h"

enum {
	/* the other half may be on its way to the parent when we ask: a tick later it is there */
	TRIES = 2,
};

struct move_out {
	struct move_out *next;
	int fd;
	uint32_t serial, number, to; /* to: 0 until the parent says */
	uint8_t kind, id[16];
	uint8_t tries, sent;
};

struct move_in {
	struct move_in *next;
	uint32_t number, from;
	struct leg *leg;
};

int
move_start(struct worker *w, struct leg *l, enum tell_kind kind, const uint8_t id[static 16])
{
	if (leave_defer(w, l) == 0)
		return 0; /* whoever it is may be with the new program already */
	if (w->seat.seats < 2 || l->moved)
		return -ERR_NOT_FOUND;
	struct move_out *m = mem_array(1, sizeof *m);
	if (!m)
		return -ERR_TOO_MANY;
	m->fd = l->fd;
	m->serial = l->serial;
	m->number = ++w->moves.next;
	m->kind = (uint8_t)kind;
	memcpy(m->id, id, sizeof m->id);
	m->next = w->moves.out;
	w->moves.out = m;
	l->state = LEG_MOVING;
	l->moved = 1;
	wheel_clear(&l->timer);
	leg_run_later(w, l);
	return 0;
}

/* 0, -EAGAIN (a tick later), -ERR_TOO_LONG. */
static int
send_hand(struct worker *w, const struct move_out *m, const struct leg *l)
{
	static uint8_t message[sizeof(struct tell_hand) + HANDOVER_MAX_BYTES];
	struct tell_hand hand = {.kind = m->kind, .number = m->number};
	memcpy(hand.id, m->id, sizeof hand.id);
	memcpy(message, &hand, sizeof hand);
	size_t more = 0;
	int n = handover_encode(l, LEG_READY, "", 0, w->now, message + sizeof hand, &more);
	int r = n < 0      ? n
		: more > 0 ? -ERR_TOO_LONG
		: w->outbox.head
			? -EAGAIN
			: ipc_send(w->parent, TELL_HAND, message, sizeof hand + (size_t)n, l->fd);
	if (n > 0)
		mem_wipe(message, sizeof hand + (size_t)n);
	return r == -ETOOMANYREFS ? -EAGAIN : r;
}

static struct move_out **
out_find(struct worker *w, uint32_t number)
{
	struct move_out **at = &w->moves.out;
	while (*at && (*at)->number != number)
		at = &(*at)->next;
	return at;
}

void
move_go_on(struct worker *w, struct leg *l)
{
	size_t len = l->in ? l->in->len : 0;
	leg_run_later(w, l);
	if (len == 0 || len > sizeof w->scratch)
		return;
	memcpy(w->scratch, l->in->bytes, len);
	int r = order_frames(w, l, w->scratch, len);
	if (r < 0)
		leg_bye(w, l, r);
}

/* Nobody took it: it stays, and hears here that there is nothing for it. */
static void
thaw(struct worker *w, struct move_out **at)
{
	struct move_out *m = *at;
	struct leg *l = leg_find(w, m->fd, m->serial);
	*at = m->next;
	free(m);
	if (!l)
		return;
	l->state = LEG_READY;
	l->can_read = l->can_write = 1;
	if (leg_watch(w, l) < 0) {
		leg_close(w, l, -ENOMEM);
		return;
	}
	leg_deadline(w, l, w->settings.frame_s);
	move_go_on(w, l);
}

void
move_run(struct worker *w, struct leg *l)
{
	struct move_out **at = &w->moves.out;
	while (*at && ((*at)->fd != l->fd || (*at)->serial != l->serial))
		at = &(*at)->next;
	if (!*at || (*at)->sent)
		return;
	/* what is ours alone until now: the descriptor leaves the set of events, which would keep
	 * it after we close */
	epoll_ctl(w->epoll, EPOLL_CTL_DEL, l->fd, NULL);
	int r = send_hand(w, *at, l);
	(*at)->sent = r == 0;
	if (r < 0 && r != -EAGAIN)
		thaw(w, at);
}

void
move_tick(struct worker *w)
{
	struct move_out **at = &w->moves.out;
	while (*at) {
		struct leg *l = leg_find(w, (*at)->fd, (*at)->serial);
		if (l && !(*at)->sent)
			leg_run_later(w, l);
		if (l || (*at)->sent) {
			at = &(*at)->next;
			continue;
		}
		struct move_out *m = *at;
		*at = m->next;
		free(m);
	}
}

static void
step(struct worker *w, enum tell type, uint32_t number, uint32_t to)
{
	const struct tell_step s = {number, to};
	worker_tell(w, (uint16_t)type, &s, sizeof s);
}

int
move_on_hand(struct worker *w, const uint8_t *payload, size_t len, int fd)
{
	struct tell_hand hand;
	if (len < sizeof hand || fd < 0) {
		if (fd >= 0)
			close(fd);
		return -ERR_PROTOCOL;
	}
	memcpy(&hand, payload, sizeof hand);
	struct move_in *m = mem_array(1, sizeof *m);
	int r = !m || (size_t)fd >= w->by_fd_count || w->draining ? -ERR_TOO_MANY : 0;
	size_t more = 0;
	char none[FAIR_NAME_SIZE];
	if (r == 0)
		r = handover_decode(&w->pool, payload + sizeof hand, len - sizeof hand, fd, w->now,
			&m->leg, none, &more);
	if (r == 0 && (more > 0 || m->leg->state != LEG_READY ||
			      m->leg->role == engawa_Role_ROLE_AGENT)) {
		handover_free(&w->pool, m->leg);
		r = -ERR_PROTOCOL;
	}
	if (r < 0) {
		LOG(WARN, "connection.not_taken", F_ERR("code", r));
		free(m);
		close(fd);
		step(w, TELL_BACK, hand.number, hand.worker);
		return 0;
	}
	m->number = hand.number;
	m->from = hand.worker;
	m->next = w->moves.in;
	w->moves.in = m;
	step(w, TELL_ACK, hand.number, hand.worker);
	return 0;
}

/* It is ours alone now. */
static void
install(struct worker *w, struct move_in **at)
{
	struct move_in *m = *at;
	struct leg *l = m->leg;
	*at = m->next;
	free(m);
	l->moved = 1;
	limit_adopt(&w->limits, &l->address);
	door_known(w, l); /* nobody else is handed over here */
	leg_adopt(w, l);
	if (leg_watch(w, l) < 0) {
		leg_close(w, l, -ENOMEM);
		return;
	}
	leg_deadline(w, l, w->settings.frame_s);
	move_go_on(w, l);
}

static void
on_ack(struct worker *w, uint32_t number, uint32_t from)
{
	struct move_out **at = out_find(w, number), *m = *at;
	if (!m || m->to != from)
		return; /* it was not given to that one: numbers are easily guessed */
	struct leg *l = leg_find(w, m->fd, m->serial);
	if (l)
		leg_close(w, l, 0);
	*at = m->next;
	free(m);
	step(w, TELL_COMMIT, number, from);
}

/* from: 0 when the parent found nobody. */
static void
on_back(struct worker *w, uint32_t number, uint32_t from)
{
	struct move_out **at = out_find(w, number);
	if (!*at || (*at)->to != from)
		return;
	(*at)->sent = 0; /* the next tick sends it again */
	(*at)->to = 0;
	if (++(*at)->tries >= TRIES)
		thaw(w, at);
}

static void
on_commit(struct worker *w, uint32_t number, uint32_t from)
{
	struct move_in **at = &w->moves.in;
	while (*at && ((*at)->number != number || (*at)->from != from))
		at = &(*at)->next;
	if (*at)
		install(w, at);
}

/* The lists may change while a connection goes on: from the start again after each. */
static void
on_gone(struct worker *w, uint32_t worker)
{
	struct move_in **in = &w->moves.in;
	while (*in) {
		if ((*in)->from != worker) {
			in = &(*in)->next;
			continue;
		}
		install(w, in);
		in = &w->moves.in;
	}
	struct move_out **out = &w->moves.out;
	while (*out) {
		if ((*out)->to != worker) {
			out = &(*out)->next;
			continue;
		}
		thaw(w, out);
		out = &w->moves.out;
	}
}

int
move_on_step(struct worker *w, enum tell type, const uint8_t *payload, size_t len)
{
	struct tell_step s;
	struct move_out **at;
	if (len != sizeof s)
		return -ERR_PROTOCOL;
	memcpy(&s, payload, sizeof s);
	switch (type) {
	case TELL_HANDED:
		at = out_find(w, s.number);
		if (*at)
			(*at)->to = s.worker;
		return 0;
	case TELL_ACK:
		on_ack(w, s.number, s.worker);
		return 0;
	case TELL_COMMIT:
		on_commit(w, s.number, s.worker);
		return 0;
	case TELL_BACK:
		on_back(w, s.number, s.worker);
		return 0;
	case TELL_GONE:
		on_gone(w, s.worker);
		return 0;
	default:
		return -ERR_PROTOCOL;
	}
}
