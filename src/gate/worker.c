#include "gate/worker.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/sandbox.h"
#include "gate/door.h"
#include "gate/draft.h"
#include "gate/hear.h"
#include "gate/roles.h"
#include "gate/secure.h"
#include "gate/tell.h"

enum {
	PARENT_FD = 3,
	EVENTS_MAX = 256,
	SPARE_DESCRIPTORS = 64, /* for what is no connection */
};

void
worker_drain(struct worker *w)
{
	if (w->draining)
		return;
	w->draining = 1;
	w->drain_until = w->now + wheel_ticks(w->settings.drain_s);
	LOG(INFO, "worker.drain", F_INT("agents", w->presence.count),
		F_INT("sessions", w->sessions.count));
	door_close(w);
	presence_goaway(w, ERR_DRAIN);
}

/* Everything that is left says goodbye; the process ends when it is gone. */
static void
stop(struct worker *w)
{
	w->stopping = 1;
	sessions_end_all(w, -ERR_DRAIN);
	for (size_t i = 0; i < w->by_fd_count; i++)
		if (w->by_fd[i])
			leg_bye(w, w->by_fd[i], -ERR_DRAIN);
}

/* Descriptors are the hard limit; the setting is lowered to what there is. */
static int
size_to_descriptors(struct worker *w)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	int64_t most = limit.rlim_cur > 1 << 20 ? 1 << 20 : (int64_t)limit.rlim_cur;
	int64_t mine = most - SPARE_DESCRIPTORS, all = mine * w->settings.workers;
	if (mine < 1)
		return -EMFILE;
	if (w->settings.connections_max > all) {
		w->settings.connections_max = all;
		LOG(WARN, "worker.descriptors", F_INT("connections_max", all));
	}
	w->connections_most =
		w->settings.connections_max < mine ? w->settings.connections_max : mine;
	w->by_fd_count = (size_t)most;
	w->by_fd = mem_new(w->by_fd_count * sizeof(struct leg *));
	return 0;
}

static int
make_tables(struct worker *w)
{
	int r = size_to_descriptors(w);
	if (r < 0)
		return r;
	limits_init(&w->limits, &w->settings);
	w->limits.own_max = w->connections_most;
	w->fair.rates = (struct fair_rates){(uint64_t)w->settings.organisation_rate_bytes_s,
		(uint64_t)w->settings.prefecture_rate_bytes_s,
		(uint64_t)w->settings.rate_burst_ms * 1000000};
	pool_init(&w->pool, (size_t)w->settings.memory_max_mib << 20);
	presence_init(&w->presence, (size_t)w->connections_most);
	sessions_init(&w->sessions, (size_t)w->connections_most / 2);
	requests_init(&w->requests);
	link_init(&w->link);
	wheel_init(&w->wheel, 0);
	return 0;
}

static int
make_epoll(struct worker *w)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0};
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (w->epoll < 0 || epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->parent, &event) < 0)
		return -errno;
	for (size_t i = 0; i < w->listeners.count; i++) {
		event.events = w->arrive.waiting ? 0 : EPOLLIN;
		event.data.u64 = i + 1;
		if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->listeners.fds[i], &event) < 0)
			return -errno;
	}
	return 0;
}

/* From here on this process has its descriptors and nothing else. */
static int
give_up_rights(struct worker *w)
{
	const struct rlimit no_core = {0, 0};
	setrlimit(RLIMIT_CORE, &no_core);
	int r = sandbox_user(w->settings.user, NULL);
	if (r == 0)
		r = sandbox_no_files();
	if (r == 0)
		r = sandbox_calls(SANDBOX_IO);
	return r;
}

static int
start(struct worker *w)
{
	int r = hear(w);
	if (r != 0 || !w->settings.name)
		return r < 0 ? r : -ERR_PROTOCOL;
	r = make_tables(w);
	while (r == 0)
		r = hear(w);
	if (r < 0)
		return r;
	r = w->secure ? make_epoll(w) : -ERR_PROTOCOL;
	if (r == 0)
		r = give_up_rights(w);
	if (r == 0 && fcntl(w->parent, F_SETFL, O_NONBLOCK) < 0)
		r = -errno;
	if (r < 0)
		LOG(ERROR, "worker.start", F_ERR("code", r));
	return r == 0 ? worker_tell(w, TELL_READY, NULL, 0) : r;
}

static void
on_event(struct worker *w, const struct epoll_event *event)
{
	size_t listener = event->data.u64 - 1, channel = event->data.u64 - ARRIVE_EVENT;
	if (event->data.u64 == LEAVE_EVENT) {
		leave_hear(w);
		return;
	}
	if (channel < ARRIVE_CHANNELS_MAX) {
		arrive_hear(w, channel);
		return;
	}
	if (listener < WORKER_LISTENERS_MAX) {
		/* it may have been closed in this very turn */
		if (listener < w->listeners.count && w->leave.phase == TELL_STAY)
			door_accept(w, w->listeners.fds[listener]);
		return;
	}
	struct leg *l = event->data.ptr;
	if (l->state == LEG_DEAD)
		return;
	/* TLS may want to write before it can read on */
	if ((event->events & ~(uint32_t)EPOLLOUT) || l->secure)
		l->can_read = 1;
	if (event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		l->ended = 1;
	if (event->events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		l->can_write = 1;
	leg_run_later(w, l);
}

static void
run_first(struct worker *w, struct leg **head, struct leg **tail)
{
	struct leg *l = *head;
	if (!l)
		return;
	*head = l->run_next;
	if (!*head)
		*tail = NULL;
	l->in_run = 0;
	if (l->state != LEG_DEAD)
		roles_run(w, l);
}

static void
run_queue(struct worker *w)
{
	struct leg *l = w->run_head;
	w->run_head = w->run_tail = NULL;
	while (l) {
		struct leg *next = l->run_next;
		l->in_run = 0;
		if (l->state != LEG_DEAD)
			roles_run(w, l);
		l = next;
	}
	/* one of those with more to do, one of those who wait for everybody, then a look at who has
	 * come meanwhile */
	run_first(w, &w->late_head, &w->late_tail);
	w->last_turn = 1;
	run_first(w, &w->last_head, &w->last_tail);
	w->last_turn = 0;
}

static void
drain_tick(struct worker *w)
{
	enum {
		GOAWAY_S = 1
	};
	wheel_tick since = w->now + wheel_ticks(w->settings.drain_s) - w->drain_until;
	int idle = w->sessions.count == 0 && w->limits.each[LIMIT_SPLICE].now == 0 &&
		   w->limits.each[LIMIT_HALF_OPEN].now == 0 && since >= wheel_ticks(GOAWAY_S);
	if (!w->stopping && (idle || (int32_t)(w->now - w->drain_until) >= 0)) {
		stop(w);
		w->drain_until = w->now + wheel_ticks(2 * LINGER_S);
	}
}

/* What all workers share, a few times a second. */
static void
count_common(struct worker *w)
{
	struct tally *tally = &w->limits.mine->tally;
	int64_t others = limit_state(&w->limits, LIMIT_MEMORY, (uint32_t)(w->pool.used >> 20));
	int64_t mine = w->settings.memory_max_mib - others;
	/* the others cannot take everything: each worker has its part in any case */
	int64_t least = w->settings.memory_max_mib / (4 * w->settings.workers);
	w->pool.max = (size_t)(mine > least ? mine : least) << 20;
	tally_set(&tally->agents, w->presence.count);
	tally_set(&tally->sessions, w->sessions.count);
	if (w->fair.table)
		fair_tick(&w->fair, mono_now().ns);
}

static void
tick(struct worker *w, wheel_tick now)
{
	struct wheel_node *node;
	w->now = now;
	count_common(w);
	while ((node = wheel_pop(&w->wheel, now)))
		roles_due(w, (struct leg *)(void *)((char *)node - offsetof(struct leg, timer)));
	requests_due(w);
	link_tick(w);
	move_tick(w);
	leave_tick(w);
	if (w->listeners.paused && w->leave.phase == TELL_STAY)
		door_listen(w, 1);
	if (w->draining)
		drain_tick(w);
}

/* 0 when all is drained, negative when the parent is gone. */
static int
run(struct worker *w)
{
	struct epoll_event events[EVENTS_MAX];
	while (!w->stopping || (w->leg_count > 0 && (int32_t)(w->now - w->drain_until) < 0)) {
		uint64_t ms = mono_diff_ms(w->started, mono_now());
		int n = epoll_wait(w->epoll, events, EVENTS_MAX,
			w->run_head || w->late_head || w->last_head || leave_is_busy(w)
				? 0
				: WHEEL_TICK_MS - (int)(ms % WHEEL_TICK_MS));
		if (n < 0 && errno != EINTR)
			return -errno;
		wheel_tick now = (wheel_tick)(mono_diff_ms(w->started, mono_now()) / WHEEL_TICK_MS);
		if (now != w->now)
			tick(w, now);
		for (int i = 0; i < n; i++) {
			int r = 0;
			if (events[i].data.u64 != 0)
				on_event(w, &events[i]);
			else
				r = hear(w);
			if (r == -ERR_CLOSED)
				return r;
		}
		run_queue(w);
		leg_reap(w);
		leave_run(w);
		arrive_run(w);
		outbox_run(&w->outbox);
	}
	return 0;
}

int
worker_main(void)
{
	struct worker *w = mem_new(sizeof *w);
	log_open("engawa-gate", LOG_INFO, -1);
	prctl(PR_SET_NAME, "gate-worker", 0, 0, 0); /* it was executed as "exe" */
	/* a terminal or a service manager signals the whole group: the parent decides what it means
	 */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	w->parent = w->outbox.sock = PARENT_FD;
	leave_init(&w->leave);
	w->started = mono_now();
	w->close_log = (struct log_limit){.burst = 20, .window_ms = 1000};
	w->draft = draft_new();
	int r = start(w);
	if (r < 0)
		return 2;
	r = run(w);
	/* the kernel takes the rest; keys were never here */
	return r < 0 ? 1 : 0;
}
