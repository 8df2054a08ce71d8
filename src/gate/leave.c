#include "gate/leave.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/err.h"
#include "base/ipc.h"
#include "base/mem.h"
#include "gate/door.h"
#include "gate/handover.h"
#include "gate/pipe.h"
#include "gate/worker.h"
#include "outer.pb.h"

enum {
	UNITS_A_TURN = 64, /* a millisecond or less: sessions go on meanwhile */
	LEAST_S = 2,       /* the new side tells the controller before our link ends */
	LATE_S = 30,       /* beyond the longest deadline of what is finished here */
};

struct unit {
	struct unit *next;
	struct leg *legs[2];
	uint8_t was[2];
	wheel_tick left[2]; /* to the deadline */
	struct session *session;
	uint32_t number; /* 0 = not sent */
	struct tell_end end;
	uint8_t has_end;
};

void
leave_init(struct leave *leave)
{
	*leave = (struct leave){.box.sock = -1};
}

static void
freeze_leg(struct worker *w, struct unit *u, size_t i, struct leg *l)
{
	u->legs[i] = l;
	u->was[i] = l->state;
	wheel_tick left = l->timer.due - w->now;
	u->left[i] = !l->timer.next ? 0 : (int32_t)left > 0 ? left : 1;
	wheel_clear(&l->timer);
	epoll_ctl(w->epoll, EPOLL_CTL_DEL, l->fd, NULL);
	if (l->is_half_open)
		door_opened(w, l);
	l->state = LEG_MOVING;
}

static void
append(struct leave *leave, struct unit *u)
{
	u->next = NULL;
	*(leave->last ? &leave->last->next : &leave->first) = u;
	leave->last = u;
}

/* This leg and what belongs to it: nobody here finds or touches it from now on. */
static struct unit *
freeze(struct worker *w, struct leg *l)
{
	struct unit *u = mem_array(1, sizeof *u);
	struct session *s = l->session;
	struct leg *a = s ? s->client : l, *b = a->peer;
	if (!u)
		return NULL; /* the next look tries again */
	if (!s && b && a->kind == LEG_SPLICE)
		a = b, b = a->peer;
	if (l->role == engawa_Role_ROLE_AGENT && l->state == LEG_READY)
		presence_detach(w, l);
	if (s)
		session_detach(w, s);
	u->session = s;
	freeze_leg(w, u, 0, a);
	if (b)
		freeze_leg(w, u, 1, b);
	return u;
}

/* Thawed, as if nothing had been. */
static void
thaw(struct worker *w, struct unit *u)
{
	struct session *s = u->session;
	for (size_t i = 0; i < 2 && u->legs[i]; i++) {
		struct leg *l = u->legs[i];
		l->state = u->was[i];
		l->can_read = l->can_write = 1;
		if (u->left[i])
			wheel_set(&w->wheel, &l->timer, w->now + u->left[i]);
	}
	if (s)
		session_attach(w, s);
	else if (u->legs[0]->role == engawa_Role_ROLE_AGENT)
		presence_attach(w, u->legs[0]);
	for (size_t i = 0; i < 2 && u->legs[i]; i++) {
		struct leg *l = u->legs[i];
		if (l->state < LEG_CLOSING && leg_watch(w, l) < 0)
			leg_close(w, l, -ENOMEM);
		else if (u->was[i] == LEG_READY)
			move_go_on(w, l);
		else
			leg_run_later(w, l);
	}
	if (u->has_end && session_find(w, u->end.session_id) == s && s)
		session_end(w, s, -(int)u->end.code);
	free(u);
}

/* The other side's alone: our descriptors go, and nobody hears of it. */
static void
give_away(struct worker *w, struct unit *u)
{
	for (size_t i = 0; i < 2 && u->legs[i]; i++) {
		u->legs[i]->session = NULL;
		u->legs[i]->peer = NULL;
		leg_close(w, u->legs[i], 0);
	}
	free(u->session);
	free(u);
}

static void
thaw_list(struct worker *w, struct unit **list)
{
	while (*list) {
		struct unit *u = *list;
		*list = u->next;
		thaw(w, u);
	}
}

static void
hang_up(struct worker *w)
{
	struct leave *leave = &w->leave;
	outbox_clear(&leave->box);
	if (leave->box.sock >= 0)
		close(leave->box.sock);
	leave->box.sock = -1;
	leave->phase = TELL_STAY;
	leave->last = NULL;
	thaw_list(w, &leave->first);
	thaw_list(w, &leave->deferred);
}

static void
tell_left(struct worker *w, enum tell_phase phase)
{
	const struct leave *leave = &w->leave;
	const struct tell_left left = {phase, leave->agents, leave->sessions, leave->others};
	worker_tell(w, TELL_LEFT, &left, sizeof left);
}

/* The new worker is dead, or does not take what we have. */
static void
fail(struct worker *w, int code)
{
	int late = w->leave.phase == TELL_LATE;
	LOG(ERROR, "worker.leave", F_ERR("code", code), F_INT("late", late));
	hang_up(w);
	if (late)
		worker_drain(w); /* the others are gone: whoever is left finds them by itself */
	else
		tell_left(w, TELL_STAY); /* the door stays closed until the parent says so */
}

static int
send_part(struct worker *w, enum tell type, uint32_t number, int last, uint8_t *message, size_t len,
	int fd)
{
	const struct tell_part part = {number, (uint32_t)last};
	memcpy(message, &part, sizeof part);
	int r = outbox_send(&w->leave.box, (uint16_t)type, message, sizeof part + len, fd);
	mem_wipe(message, sizeof part + len);
	return r;
}

static void
count(struct leave *leave, const struct unit *u)
{
	if (u->session)
		leave->sessions++;
	else if (u->legs[0]->role == engawa_Role_ROLE_AGENT)
		leave->agents++;
	else
		leave->others++;
}

/* All of a unit goes out or into the outbox: it is the only one there. */
static int
send_unit(struct worker *w, struct unit *u)
{
	static uint8_t message[sizeof(struct tell_part) + HANDOVER_MAX_BYTES];
	uint8_t *body = message + sizeof(struct tell_part);
	char organisation[FAIR_NAME_SIZE];
	int r = 0;
	u->number = w->leave.next + 1;
	for (size_t i = 0; r == 0 && i < 2 && u->legs[i]; i++) {
		size_t more = 0;
		int is_last = !u->session && (i == 1 || !u->legs[1]);
		quota_name(w, u->legs[i]->share, organisation);
		int n = handover_encode(u->legs[i], (enum leg_state)u->was[i], organisation,
			u->left[i], w->now, body, &more);
		if (n < 0 && i == 0)
			u->number = 0; /* nothing of it is out */
		if (n < 0)
			return n;
		r = send_part(w, TELL_LEG, u->number, is_last && more == 0, message, (size_t)n,
			u->legs[i]->fd);
		while (r == 0 && more > 0) {
			size_t part = handover_more(u->legs[i], more, body);
			more -= part;
			r = send_part(
				w, TELL_MORE, u->number, is_last && more == 0, message, part, -1);
		}
	}
	w->leave.next = u->number;
	count(&w->leave, u);
	if (r == 0 && u->session)
		r = send_part(w, TELL_SESSION_OF, u->number, 1, message,
			handover_session(u->session, w->now, body), -1);
	return r;
}

/* Legs that cross now. Those with a question at the controller wait for its answer. */
static int
may_leave(const struct worker *w, const struct leg *l)
{
	int agent = l->role == engawa_Role_ROLE_AGENT;
	if (l->kind == LEG_LINK || l->waiting > 0 || l->stays)
		return 0;
	switch ((enum leg_state)l->state) {
	case LEG_READY:
		return agent || w->leave.phase != TELL_AGENTS;
	case LEG_HEAD:
	case LEG_HELLO:
	case LEG_KNOCKING:
		return w->leave.phase != TELL_AGENTS;
	case LEG_PIPE:
		return w->leave.phase != TELL_AGENTS && l->peer;
	default:
		return 0;
	}
}

static struct unit *
next_unit(struct worker *w)
{
	struct leave *leave = &w->leave;
	if (leave->phase != TELL_AGENTS && leave->deferred) {
		struct unit *u = leave->deferred;
		leave->deferred = u->next;
		return u;
	}
	/* in REST everything is frozen once; what moves after that is late */
	while (leave->walked < w->by_fd_count) {
		struct leg *l = w->by_fd[leave->walked++];
		struct unit *u = l && may_leave(w, l) ? freeze(w, l) : NULL;
		if (u)
			return u;
	}
	return NULL;
}

static void
give_away_acked(struct worker *w)
{
	struct leave *leave = &w->leave;
	const struct tell_step commit = {.number = leave->acked};
	struct unit *u;
	struct unit *given = NULL;
	while ((u = leave->first) && u->number <= leave->acked) {
		leave->first = u->next;
		if (!leave->first)
			leave->last = NULL;
		u->next = given;
		given = u;
	}
	/* whose copies are closed here before the other side hears of it */
	struct tell_end ends[16];
	size_t end_count = 0;
	while ((u = given)) {
		given = u->next;
		if (u->has_end && end_count < sizeof ends / sizeof ends[0])
			ends[end_count++] = u->end;
		give_away(w, u);
	}
	outbox_send(&leave->box, TELL_COMMIT, &commit, sizeof commit, -1);
	for (size_t i = 0; i < end_count; i++)
		outbox_send(&leave->box, TELL_END, &ends[i], sizeof ends[i], -1);
}

/* One that the other side can't read stays here to its end; when there is no room, all of it is
 * off. */
static void
on_refused(struct worker *w, uint32_t number, uint32_t code)
{
	struct leave *leave = &w->leave;
	if (leave->phase != TELL_LATE && code != ERR_PROTOCOL) {
		fail(w, -(int)code);
		return;
	}
	struct unit **at = &leave->first, *before = NULL;
	while (*at && (*at)->number != number) {
		before = *at;
		at = &(*at)->next;
	}
	struct unit *u = *at;
	if (!u)
		return;
	*at = u->next;
	if (leave->last == u)
		leave->last = before;
	for (size_t i = 0; i < 2 && u->legs[i]; i++)
		u->legs[i]->stays = 1;
	thaw(w, u);
}

/* 0, -EAGAIN, or the channel's end. */
static int
hear_one(struct worker *w)
{
	struct tell_step s;
	uint16_t type;
	int n = ipc_recv(w->leave.box.sock, &type, &s, sizeof s, NULL);
	if (n < 0)
		return n == -EWOULDBLOCK ? -EAGAIN : n;
	if (n != (int)sizeof s || s.number > w->leave.next)
		return -ERR_PROTOCOL;
	if (type == TELL_BACK)
		on_refused(w, s.number, s.worker);
	else if (type != TELL_ACK)
		return -ERR_PROTOCOL;
	else if (s.number > w->leave.acked)
		w->leave.acked = s.number;
	return w->leave.phase == TELL_STAY ? -EAGAIN : 0;
}

void
leave_hear(struct worker *w)
{
	uint32_t before = w->leave.acked;
	int r = 0;
	if (w->leave.phase == TELL_STAY)
		return;
	while (r == 0)
		r = hear_one(w);
	if (r != -EAGAIN) {
		fail(w, r);
		return;
	}
	if (w->leave.phase == TELL_LATE && w->leave.acked > before)
		give_away_acked(w);
	outbox_run(&w->leave.box);
}

int
leave_is_busy(const struct worker *w)
{
	const struct leave *leave = &w->leave;
	int more =
		leave->walked < w->by_fd_count || (leave->deferred && leave->phase != TELL_AGENTS);
	return leave->phase != TELL_STAY && !leave->box.head && more;
}

/* All that this phase is about has been handed over, and the other side has it. */
static int
is_done(const struct worker *w)
{
	const struct leave *leave = &w->leave;
	int patient = w->now - leave->since < wheel_ticks(w->settings.controller_s + 1);
	if (leave->walked < w->by_fd_count || leave->box.head || leave->acked < leave->next)
		return 0;
	if (w->moves.out || w->moves.in)
		return 0; /* between the old ones */
	/* an agent whose question is at the controller has its answer soon */
	return leave->phase != TELL_AGENTS || w->presence.count == 0 || !patient;
}

void
leave_run(struct worker *w)
{
	struct leave *leave = &w->leave;
	if (leave->phase == TELL_STAY)
		return;
	outbox_run(&leave->box);
	for (int i = 0; i < UNITS_A_TURN && !leave->box.head; i++) {
		struct unit *u = next_unit(w);
		if (!u)
			break;
		append(leave, u);
		int r = send_unit(w, u);
		if (r == -ERR_TOO_LONG) {
			on_refused(w, u->number, ERR_PROTOCOL);
			r = 0;
		}
		if (r < 0) {
			fail(w, r);
			return;
		}
	}
	if (leave->said != leave->phase && leave->phase != TELL_LATE && is_done(w)) {
		leave->said = leave->phase;
		tell_left(w, (enum tell_phase)leave->phase);
	}
}

/* Nothing is left but the link to the controller: the process ends. */
static void
end_when_empty(struct worker *w)
{
	struct leave *leave = &w->leave;
	size_t mine = w->leg_count - (w->link.leg ? 1 : 0);
	wheel_tick since = w->now - leave->since;
	int over =
		since >= wheel_ticks(w->settings.handshake_s + w->settings.half_closed_s + LATE_S);
	if (w->stopping || since < wheel_ticks(LEAST_S) ||
		(!over && (mine > 0 || leave->box.head || w->outbox.head)))
		return;
	LOG(INFO, "worker.left", F_INT("agents", leave->agents), F_INT("sessions", leave->sessions),
		F_INT("others", leave->others), F_INT("cut", mine));
	w->stopping = 1;
	w->drain_until = w->now;
}

void
leave_tick(struct worker *w)
{
	struct leave *leave = &w->leave;
	if (leave->phase == TELL_STAY)
		return;
	if (leave->walked == w->by_fd_count &&
		(leave->phase == TELL_LATE || leave->said != leave->phase))
		leave->walked = 0; /* whoever has got so far meanwhile */
	if (leave->phase == TELL_LATE)
		end_when_empty(w);
}

static int
begin(struct worker *w, int fd)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u64 = LEAVE_EVENT};
	if (fd < 0 || w->leave.phase != TELL_STAY)
		return -ERR_PROTOCOL;
	leave_init(&w->leave);
	w->leave.box.sock = fd;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ||
		epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	door_listen(w, 0);
	w->listeners.paused = 0; /* not until the next tick: until the parent says so */
	return 0;
}

int
leave_on_phase(struct worker *w, const uint8_t *payload, size_t len, int fd)
{
	struct tell_leave told;
	struct leave *leave = &w->leave;
	int r = 0;
	if (len != sizeof told)
		return -ERR_PROTOCOL;
	memcpy(&told, payload, sizeof told);
	switch ((enum tell_phase)told.phase) {
	case TELL_STAY:
		hang_up(w);
		door_listen(w, 1);
		return 0;
	case TELL_AGENTS:
		r = begin(w, fd);
		break;
	case TELL_REST:
	case TELL_LATE:
		if (leave->phase == TELL_STAY)
			return 0; /* it has failed here, and the parent will hear of it */
		break;
	default:
		return -ERR_PROTOCOL;
	}
	if (r < 0)
		return r;
	leave->phase = (uint8_t)told.phase;
	leave->walked = 0;
	leave->since = w->now;
	if (leave->phase == TELL_LATE) {
		door_close(w);
		give_away_acked(w);
	}
	return 0;
}

int
leave_defer(struct worker *w, struct leg *l)
{
	struct unit *u = w->leave.phase == TELL_STAY || l->stays ? NULL : freeze(w, l);
	if (!u)
		return -ERR_NOT_FOUND;
	u->next = w->leave.deferred;
	w->leave.deferred = u;
	return 0;
}

int
leave_end(struct worker *w, const struct tell_end *end)
{
	struct leave *leave = &w->leave;
	if (leave->phase == TELL_STAY)
		return 0;
	for (struct unit *u = leave->first; u; u = u->next) {
		if (u->session &&
			memcmp(u->session->id, end->session_id, sizeof end->session_id) == 0) {
			u->end = *end;
			u->has_end = 1;
			return 1;
		}
	}
	if (leave->phase == TELL_LATE)
		outbox_send(&leave->box, TELL_END, end, sizeof *end, -1);
	return leave->phase == TELL_LATE;
}
