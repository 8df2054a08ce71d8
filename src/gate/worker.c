#include "gate/worker.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/ipc.h"
#include "base/mem.h"
#include "base/sandbox.h"
#include "gate/browser.h"
#include "gate/draft.h"
#include "gate/roles.h"
#include "gate/secure.h"
#include "gate/tell.h"

enum {
	PARENT_FD = 3,
	EVENTS_MAX = 256,
	ACCEPTS_MAX = 64,       /* in one turn */
	SPARE_DESCRIPTORS = 64, /* for what is no connection */
	EVICT_AFTER_MS = 2000,  /* nobody on a working network needs longer for a handshake when
				   others wait */
};

static void
listen_for(struct worker *w, int on)
{
	for (size_t i = 0; i < w->listeners.count; i++) {
		/* small numbers cannot be addresses of legs: 0 the parent, then the listeners */
		struct epoll_event event = {.events = on ? EPOLLIN : 0, .data.u64 = i + 1};
		epoll_ctl(w->epoll, EPOLL_CTL_MOD, w->listeners.fds[i], &event);
	}
	w->listeners.paused = !on;
}

void
worker_opened(struct worker *w, struct leg *l)
{
	if (!l->is_half_open)
		return;
	struct leg *older = l->entry.older, *newer = l->entry.newer;
	*(older ? &older->entry.newer : &w->oldest) = newer;
	*(newer ? &newer->entry.older : &w->newest) = older;
	l->is_half_open = 0;
	limit_opened(&w->limits, &l->address);
}

static void
add_half_open(struct worker *w, struct leg *l)
{
	l->is_half_open = 1;
	l->entry.older = w->newest;
	l->entry.newer = NULL;
	*(w->newest ? &w->newest->entry.newer : &w->oldest) = l;
	w->newest = l;
}

/* Room for one more that has not said who it is: the slowest gives way, but only when it really is
 * slow; else newcomers wait in the kernel's queue. */
static int
make_room(struct worker *w)
{
	struct leg *oldest = w->oldest;
	if (w->limits.each[LIMIT_HALF_OPEN].now < w->limits.each[LIMIT_HALF_OPEN].max)
		return 1;
	limit_bite(&w->limits, LIMIT_HALF_OPEN, oldest ? &oldest->address : NULL);
	if (!oldest || (w->now - oldest->opened) * WHEEL_TICK_MS < EVICT_AFTER_MS)
		return 0;
	leg_close(w, oldest, -ERR_SLOW);
	return 1;
}

static struct address
address_of(const struct sockaddr_storage *ss)
{
	struct address a = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}};
	if (ss->ss_family == AF_INET)
		memcpy(a.bytes + 12, &((const struct sockaddr_in *)(const void *)ss)->sin_addr, 4);
	else
		memcpy(a.bytes, &((const struct sockaddr_in6 *)(const void *)ss)->sin6_addr, 16);
	return a;
}

static void
serve(struct worker *w, int fd, const struct address *address)
{
	const int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	struct secure *secure = secure_new(w->secure, fd);
	struct leg *l = secure ? leg_new(w, LEG_NATIVE, fd, secure, address) : NULL;
	if (!l) {
		if (!secure)
			close(fd);
		limit_opened(&w->limits, address);
		limit_closed(&w->limits, address);
		return;
	}
	add_half_open(w, l);
	leg_deadline(w, l, w->settings.handshake_s);
	leg_run_later(w, l);
}

static void
accept_some(struct worker *w, int listener)
{
	for (int i = 0; i < ACCEPTS_MAX; i++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof ss;
		if (!make_room(w)) {
			listen_for(w, 0);
			return;
		}
		int fd = accept4(listener, (void *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
				      errno == ENOMEM)) {
			limit_bite(&w->limits, LIMIT_CONNECTIONS, NULL);
			listen_for(w, 0);
			return;
		}
		if (fd < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (fd < 0)
			continue; /* that connection broke before we took it */
		struct address address = address_of(&ss);
		if (limit_open(&w->limits, &address) < 0)
			close(fd);
		else
			serve(w, fd, &address);
	}
}

static void
stop_listening(struct worker *w)
{
	for (size_t i = 0; i < w->listeners.count; i++)
		close(w->listeners.fds[i]);
	w->listeners.count = 0;
}

static void
drain(struct worker *w)
{
	if (w->draining)
		return;
	w->draining = 1;
	w->drain_until = w->now + wheel_ticks(w->settings.drain_s);
	LOG(INFO, "worker.drain", F_INT("agents", w->presence.count),
		F_INT("sessions", w->sessions.count));
	stop_listening(w);
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

static int
apply(struct worker *w)
{
	struct secure_context *context = draft_apply(w->draft);
	if (!context)
		return -ERR_CRYPTO;
	secure_context_free(w->secure); /* connections that have begun keep theirs */
	w->secure = context;
	LOG(INFO, "worker.certificates");
	return 0;
}

static int
add_listener(struct worker *w, int fd)
{
	if (fd < 0 || w->listeners.count == WORKER_LISTENERS_MAX)
		return -ERR_PROTOCOL;
	w->listeners.fds[w->listeners.count++] = fd;
	return 0;
}

static int
take_settings(struct worker *w, const char *text, size_t len)
{
	enum log_level level;
	int r = settings_unpack(text, len, &w->settings);
	if (r == 0 && log_level_parse(w->settings.log_level, &level) == 0)
		log_open("engawa-gate", level, -1);
	return r;
}

/* fd: of the common numbers. */
static int
take_seat(struct worker *w, const uint8_t *payload, size_t len, int fd)
{
	if (len != sizeof w->seat || fd < 0)
		return -ERR_PROTOCOL;
	memcpy(&w->seat, payload, sizeof w->seat);
	int r = limits_share(&w->limits, fd, w->seat.seat, w->seat.seats);
	close(fd);
	return r;
}

static int
on_end(struct worker *w, const uint8_t *payload, size_t len)
{
	struct tell_end end;
	if (len != sizeof end)
		return -ERR_PROTOCOL;
	memcpy(&end, payload, sizeof end);
	struct session *s = session_find(w, end.session_id);
	if (s && end.refused)
		session_refuse(w, end.agent_id, end.session_id, -(int)end.code);
	else if (s)
		session_end(w, s, -(int)end.code);
	return 0;
}

static int
on_taken(struct worker *w, const uint8_t *payload, size_t len)
{
	struct tell_place place;
	if (len != sizeof place)
		return -ERR_PROTOCOL;
	memcpy(&place, payload, sizeof place);
	if (place.kind == TELL_AGENT)
		presence_taken(w, &place);
	else
		session_taken(w, &place);
	return 0;
}

static int
on_deny(struct worker *w, enum tell type, const uint8_t *payload, size_t len)
{
	struct tell_deny deny;
	if (len != sizeof deny)
		return -ERR_PROTOCOL;
	memcpy(&deny, payload, sizeof deny);
	if (type == TELL_DENY)
		presence_deny(w, &deny);
	else
		presence_allow(w, deny.agent_id);
	return 0;
}

static int
on_http(struct worker *w, const uint8_t *payload, size_t len, int fd)
{
	struct tell_http http;
	if (len != sizeof http)
		return -ERR_PROTOCOL;
	memcpy(&http, payload, sizeof http);
	struct leg *l = leg_find(w, http.fd, http.serial);
	if (l && l->state == LEG_DIALLING)
		browser_connected(w, l, fd);
	else if (fd >= 0)
		close(fd);
	return 0;
}

/* A message of the parent; fd -1 = none. 0, 1 after READY, negative for one that makes no sense. */
static int
on_told(struct worker *w, uint16_t type, const uint8_t *payload, size_t len, int fd)
{
	switch ((enum tell)type) {
	case TELL_SETTINGS:
		return take_settings(w, (const char *)payload, len);
	case TELL_LISTENER:
		return add_listener(w, fd);
	case TELL_CHANNEL:
	case TELL_CERTIFICATE:
	case TELL_ISSUER:
	case TELL_PAGE:
		return draft_add(w->draft, type, payload, len, fd);
	case TELL_APPLY:
		return apply(w);
	case TELL_WELCOME:
		return link_welcome(w, payload, len);
	case TELL_LINK:
		link_connected(w, fd);
		return 0;
	case TELL_HTTP:
		return on_http(w, payload, len, fd);
	case TELL_DENY:
	case TELL_ALLOW:
		return on_deny(w, (enum tell)type, payload, len);
	case TELL_SEAT:
		return take_seat(w, payload, len, fd);
	case TELL_TAKEN:
		return on_taken(w, payload, len);
	case TELL_END:
		return on_end(w, payload, len);
	case TELL_HAND:
		return move_on_hand(w, payload, len, fd);
	case TELL_HANDED:
	case TELL_ACK:
	case TELL_COMMIT:
	case TELL_BACK:
	case TELL_GONE:
		return move_on_step(w, (enum tell)type, payload, len);
	case TELL_DRAIN:
		drain(w);
		return 0;
	case TELL_READY:
		return 1;
	default:
		return -ERR_PROTOCOL;
	}
}

/* 0, 1 after READY, -EAGAIN, negative when the parent is gone. */
static int
hear(struct worker *w)
{
	static uint8_t payload[IPC_PAYLOAD_MAX];
	uint16_t type;
	int fd = -1;
	int n = ipc_recv(w->parent, &type, payload, sizeof payload, &fd);
	if (n < 0)
		return n == -EWOULDBLOCK ? -EAGAIN : n;
	int r = on_told(w, type, payload, (size_t)n, fd);
	if (r < 0)
		LOG(ERROR, "worker.told", F_INT("type", type), F_ERR("code", r));
	return r;
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
	size_t listener = event->data.u64 - 1;
	if (listener < WORKER_LISTENERS_MAX) {
		/* it may have been closed in this very turn */
		if (listener < w->listeners.count)
			accept_some(w, w->listeners.fds[listener]);
		return;
	}
	struct leg *l = event->data.ptr;
	if (l->state == LEG_DEAD)
		return;
	/* TLS may want to write before it can read on */
	if ((event->events & ~(uint32_t)EPOLLOUT) || l->secure)
		l->can_read = 1;
	if (event->events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		l->can_write = 1;
	leg_run_later(w, l);
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

static void
tick(struct worker *w, wheel_tick now)
{
	struct wheel_node *node;
	w->now = now;
	while ((node = wheel_pop(&w->wheel, now)))
		roles_due(w, (struct leg *)(void *)((char *)node - offsetof(struct leg, timer)));
	requests_due(w);
	link_tick(w);
	move_tick(w);
	if (w->listeners.paused)
		listen_for(w, 1);
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
			w->run_head ? 0 : WHEEL_TICK_MS - (int)(ms % WHEEL_TICK_MS));
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
		outbox_run(w);
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
	w->parent = PARENT_FD;
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
