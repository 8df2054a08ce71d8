#include "gate/arrive.h"

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
	MESSAGES_A_TURN = 256
};

/* A unit, as far as it has come. */
struct arrival {
	struct arrival *next;
	uint32_t number;
	uint8_t from, legs, is_whole, is_bad;
	struct leg *leg[2];
	size_t more; /* queued bytes that are still to come for the last leg */
	struct session *session;
};

int
arrive_channel(struct worker *w, int fd)
{
	struct arrive *a = &w->arrive;
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = ARRIVE_EVENT + a->count};
	struct channel *c =
		fd >= 0 && a->count < ARRIVE_CHANNELS_MAX ? mem_array(1, sizeof *c) : NULL;
	if (!c || fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ||
		epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
		free(c);
		return -ERR_PROTOCOL;
	}
	c->box.sock = fd;
	a->channels[a->count++] = c;
	return 0;
}

static void
drop(struct worker *w, struct arrival *u)
{
	for (size_t i = 0; i < u->legs; i++) {
		close(u->leg[i]->fd);
		handover_free(&w->pool, u->leg[i]);
	}
	free(u->session);
	u->session = NULL;
	u->legs = 0;
}

/* What can belong together. */
static int
is_good(const struct arrival *u)
{
	const struct leg *a = u->legs > 0 ? u->leg[0] : NULL, *b = u->legs > 1 ? u->leg[1] : NULL;
	if (!a || u->more > 0)
		return 0;
	if (a->state == LEG_KNOCKING)
		return !b && u->session;
	if (a->state != LEG_PIPE)
		return !b && !u->session;
	if (!b || b->state != LEG_PIPE)
		return 0;
	if (u->session)
		return a->role == engawa_Role_ROLE_CLIENT &&
		       b->role == engawa_Role_ROLE_AGENT_SESSION;
	return a->kind == LEG_BROWSER && !a->is_ws && b->kind == LEG_SPLICE;
}

/* Into the tables. 0, or negative and it is gone. */
static int
adopt(struct worker *w, struct leg *l)
{
	wheel_tick left = l->timer.due;
	l->timer = (struct wheel_node){0};
	if (l->kind == LEG_SPLICE) {
		if (limit_take(&w->limits, LIMIT_SPLICE, &l->address) < 0) {
			close(l->fd);
			handover_free(&w->pool, l);
			return -ERR_TOO_MANY;
		}
	} else {
		limit_adopt(&w->limits, &l->address);
		int agent = l->role == engawa_Role_ROLE_AGENT ||
			    l->role == engawa_Role_ROLE_AGENT_SESSION;
		if (agent || l->state == LEG_KNOCKING ||
			(l->state == LEG_PIPE && l->role == engawa_Role_ROLE_CLIENT))
			door_known(w, l);
	}
	leg_adopt(w, l);
	if (left > 0)
		wheel_set(&w->wheel, &l->timer, w->now + left);
	if (leg_watch(w, l) < 0) {
		leg_close(w, l, -ENOMEM);
		return -ENOMEM;
	}
	return 0;
}

/* A newer connection of the same agent may have come by itself. */
static void
install_agent(struct worker *w, struct leg *l)
{
	const struct leg *newer = presence_find(w, l->agent.id);
	uint32_t denied = presence_denied(&w->presence, l->agent.id);
	if (newer) {
		l->role = engawa_Role_ROLE_NONE; /* nobody's */
		leg_close(w, l, -ERR_TAKEN_OVER);
		return;
	}
	presence_arrive(w, l);
	if (denied)
		leg_bye(w, l, -(int)denied);
}

static void
install_pair(struct worker *w, struct leg *a, struct leg *b)
{
	a->peer = b;
	b->peer = a;
	leg_run_later(w, a);
	leg_run_later(w, b);
}

static void
install_session(struct worker *w, struct arrival *u)
{
	struct session *s = u->session;
	struct leg *client = u->leg[0], *agent = u->legs > 1 ? u->leg[1] : NULL;
	uint32_t denied = presence_denied(&w->presence, s->agent_id);
	if (session_find(w, s->id)) {
		/* an old worker that went mad: what is here already is not hidden by it */
		leg_close(w, client, -ERR_TICKET_BAD);
		if (agent)
			leg_close(w, agent, -ERR_TICKET_BAD);
		free(s);
		return;
	}
	s->came = (uint8_t)(u->from + 1);
	s->client = client;
	s->agent = agent;
	client->session = s;
	if (agent) {
		agent->session = s;
		install_pair(w, client, agent);
	}
	session_arrive(w, s);
	leg_run_later(w, client);
	if (denied)
		session_end(w, s, -(int)denied);
}

static void
install(struct worker *w, struct arrival *u)
{
	struct arrive *arrive = &w->arrive;
	struct leg *a = u->leg[0], *b = u->legs > 1 ? u->leg[1] : NULL;
	int r = adopt(w, a), s = b ? adopt(w, b) : 0;
	if (r < 0 || s < 0) {
		/* half of it is nothing */
		if (r == 0)
			leg_close(w, a, s);
		if (b && s == 0)
			leg_close(w, b, r);
		free(u->session);
	} else if (u->session) {
		install_session(w, u);
		arrive->sessions++;
	} else if (b) {
		install_pair(w, a, b);
		arrive->others++;
	} else if (a->role == engawa_Role_ROLE_AGENT) {
		install_agent(w, a);
		arrive->agents++;
	} else {
		if (a->state == LEG_READY)
			move_go_on(w, a);
		leg_run_later(w, a);
		arrive->others++;
	}
	free(u);
}

/* Its time has come: the old side has let it go, and it finds everybody whom it may ask for. */
static int
is_ours(const struct worker *w, const struct arrival *u)
{
	const struct channel *c = w->arrive.channels[u->from];
	int go = !w->arrive.waiting,
	    alone = !u->session && u->legs == 1 && u->leg[0]->role != engawa_Role_ROLE_AGENT;
	int let_go = u->number <= c->committed || (c->is_over && go);
	return u->is_whole && let_go && (go || !alone);
}

static void
install_some(struct worker *w)
{
	struct arrive *a = &w->arrive;
	struct arrival *u = a->first, *kept = NULL, *last = NULL, *next;
	a->first = a->last = NULL;
	for (; u; u = next) {
		next = u->next;
		if (u->is_whole && u->is_bad) {
			free(u);
			continue;
		}
		if (is_ours(w, u)) {
			install(w, u);
			continue;
		}
		if (a->channels[u->from]->is_over && !u->is_whole) {
			drop(w, u);
			free(u);
			continue;
		}
		u->next = NULL;
		*(last ? &last->next : &kept) = u;
		last = u;
	}
	a->first = kept;
	a->last = last;
}

static void
refuse(struct worker *w, struct arrival *u, int code)
{
	const struct tell_step back = {u->number, (uint32_t)-code};
	LOG(WARN, "connection.not_taken", F_ERR("code", code));
	drop(w, u);
	u->is_bad = 1;
	outbox_send(&w->arrive.channels[u->from]->box, TELL_BACK, &back, sizeof back, -1);
}

static struct arrival *
find_or_add(struct worker *w, size_t from, uint32_t number)
{
	struct arrive *a = &w->arrive;
	struct channel *c = a->channels[from];
	if (c->partial)
		return c->partial;
	struct arrival *u = mem_array(1, sizeof *u);
	if (!u)
		return NULL;
	u->number = number;
	u->from = (uint8_t)from;
	*(a->last ? &a->last->next : &a->first) = u;
	a->last = u;
	c->partial = u;
	return u;
}

static int
add_leg(struct worker *w, struct arrival *u, const uint8_t *body, size_t len, int fd)
{
	if (fd < 0 || u->legs == 2 || u->more > 0 || u->session)
		return -ERR_PROTOCOL;
	if ((size_t)fd >= w->by_fd_count)
		return -ERR_TOO_MANY;
	char organisation[FAIR_NAME_SIZE];
	int r = handover_decode(
		&w->pool, body, len, fd, w->now, &u->leg[u->legs], organisation, &u->more);
	if (r == 0)
		u->leg[u->legs++]->share = (uint16_t)quota_row(w, organisation);
	return r;
}

static int
add_part(struct worker *w, struct arrival *u, enum tell type, const uint8_t *body, size_t len,
	int fd)
{
	struct leg *l = u->legs > 0 ? u->leg[u->legs - 1] : NULL;
	switch (type) {
	case TELL_LEG:
		return add_leg(w, u, body, len, fd);
	case TELL_MORE:
		if (!l || len > u->more)
			return -ERR_PROTOCOL;
		u->more -= len;
		return queue_add(&w->pool, &l->out, body, len);
	case TELL_SESSION_OF:
		return u->session || u->more > 0
			       ? -ERR_PROTOCOL
			       : handover_session_decode(body, len, w->now, &u->session);
	default:
		return -ERR_PROTOCOL;
	}
}

static int
on_part(struct worker *w, size_t from, enum tell type, const uint8_t *payload, size_t len, int fd)
{
	struct tell_part part;
	struct channel *c = w->arrive.channels[from];
	if (len < sizeof part)
		return -ERR_PROTOCOL;
	memcpy(&part, payload, sizeof part);
	struct arrival *u = part.number == c->whole + 1 ? find_or_add(w, from, part.number) : NULL;
	if (!u)
		return -ERR_PROTOCOL;
	int r = u->is_bad ? -EALREADY
			  : add_part(w, u, type, payload + sizeof part, len - sizeof part, fd);
	u->is_whole = part.last != 0;
	if (r == 0 && u->is_whole && !is_good(u))
		r = -ERR_PROTOCOL;
	if (r < 0 && fd >= 0 && (u->legs == 0 || u->leg[u->legs - 1]->fd != fd))
		close(fd);
	if (r < 0 && !u->is_bad)
		refuse(w, u, r);
	if (u->is_whole) {
		c->whole = part.number;
		c->partial = NULL;
	}
	return 0;
}

static void
tell_arrived(struct worker *w, struct channel *c)
{
	if (!c->told)
		worker_tell(w, TELL_ARRIVED, NULL, 0);
	c->told = 1;
}

static int
on_commit(struct worker *w, struct channel *c, const uint8_t *payload, size_t len)
{
	struct tell_step s;
	if (len != sizeof s)
		return -ERR_PROTOCOL;
	memcpy(&s, payload, sizeof s);
	if (s.number > c->whole)
		return -ERR_PROTOCOL;
	c->committed = s.number;
	install_some(w);
	tell_arrived(w, c);
	return 0;
}

/* Of a session that came this way. */
static int
on_end(struct worker *w, size_t from, const uint8_t *payload, size_t len)
{
	struct tell_end end;
	if (len != sizeof end)
		return -ERR_PROTOCOL;
	memcpy(&end, payload, sizeof end);
	struct session *s = session_find(w, end.session_id);
	if (s && s->came == from + 1 && end.code <= UINT16_MAX)
		session_end(w, s, -(int)end.code);
	return 0;
}

/* 0, -EAGAIN, or why the channel is over. */
static int
hear_one(struct worker *w, size_t from)
{
	static uint8_t payload[IPC_PAYLOAD_MAX];
	struct channel *c = w->arrive.channels[from];
	uint16_t type;
	int fd = -1;
	int n = ipc_recv(c->box.sock, &type, payload, sizeof payload, &fd);
	if (n < 0)
		return n == -EWOULDBLOCK ? -EAGAIN : n;
	if (type == TELL_LEG || type == TELL_MORE || type == TELL_SESSION_OF) {
		int r = on_part(w, from, (enum tell)type, payload, (size_t)n, fd);
		mem_wipe(payload, (size_t)n);
		return r;
	}
	if (fd >= 0)
		close(fd);
	return type == TELL_COMMIT ? on_commit(w, c, payload, (size_t)n)
	       : type == TELL_END  ? on_end(w, from, payload, (size_t)n)
				   : -ERR_PROTOCOL;
}

/* The old worker has ended, one way or the other. What had come whole and was not committed is ours
 * as soon as the parent says that we are the gate. */
static void
over(struct worker *w, struct channel *c, int code)
{
	if (code != -ERR_CLOSED) {
		/* it lives, and what it has not let go it goes on with */
		LOG(ERROR, "worker.arrive", F_ERR("code", code));
		for (struct arrival *u = w->arrive.first; u; u = u->next) {
			if (w->arrive.channels[u->from] == c && u->number > c->committed) {
				drop(w, u);
				u->is_whole = u->is_bad = 1;
			}
		}
	}
	c->partial = NULL;
	epoll_ctl(w->epoll, EPOLL_CTL_DEL, c->box.sock, NULL);
	close(c->box.sock);
	outbox_clear(&c->box);
	c->box.sock = -1;
	c->is_over = 1;
	tell_arrived(w, c);
	install_some(w);
}

void
arrive_hear(struct worker *w, size_t channel)
{
	struct channel *c = channel < w->arrive.count ? w->arrive.channels[channel] : NULL;
	uint32_t before = c ? c->whole : 0;
	int r = 0;
	if (!c || c->is_over)
		return;
	for (int i = 0; r == 0 && i < MESSAGES_A_TURN; i++)
		r = hear_one(w, channel);
	if (r < 0 && r != -EAGAIN) {
		over(w, c, r);
		return;
	}
	const struct tell_step ack = {.number = c->whole};
	if (c->whole != before)
		outbox_send(&c->box, TELL_ACK, &ack, sizeof ack, -1);
}

void
arrive_run(struct worker *w)
{
	for (size_t i = 0; i < w->arrive.count; i++)
		outbox_run(&w->arrive.channels[i]->box);
}

void
arrive_go(struct worker *w)
{
	struct arrive *a = &w->arrive;
	if (!a->waiting)
		return;
	a->waiting = 0;
	install_some(w);
	door_listen(w, 1);
	LOG(INFO, "worker.arrived", F_INT("agents", a->agents), F_INT("sessions", a->sessions),
		F_INT("others", a->others));
}
