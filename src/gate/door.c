#include "gate/door.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "gate/proxied.h"
#include "gate/secure.h"
#include "gate/worker.h"

enum {
	ACCEPTS_MAX = 64,      /* in one turn */
	SPARE_BYTES = 1 << 20, /* for the bytes of sessions and their rests of records */
	EVICT_AFTER_MS = 2000, /* nobody on a working network needs longer for a handshake when
				  others wait */
	SEARCH_MAX = 4096,     /* half-open ones that are looked at for one of the source: 0.1 ms */
	FEW_PART = 16,         /* of a source's places is left to one that makes faults when places
				  are short */
};

void
door_listen(struct worker *w, int on)
{
	for (size_t i = 0; i < w->listeners.count; i++) {
		/* small numbers cannot be addresses of legs: 0 the parent, then the listeners */
		struct epoll_event event = {.events = on ? EPOLLIN : 0, .data.u64 = i + 1};
		epoll_ctl(w->epoll, EPOLL_CTL_MOD, w->listeners.fds[i], &event);
	}
	w->listeners.paused = !on;
}

void
door_opened(struct worker *w, struct leg *l)
{
	if (!l->is_half_open)
		return;
	struct leg *older = l->entry.older, *newer = l->entry.newer;
	*(older ? &older->entry.newer : &w->oldest) = newer;
	*(newer ? &newer->entry.older : &w->newest) = older;
	l->is_half_open = 0;
	limit_opened(&w->limits, &l->address);
}

void
door_known(struct worker *w, struct leg *l)
{
	door_opened(w, l);
	if (!l->is_known)
		limit_known(&w->limits, &l->address, 1);
	l->is_known = 1;
}

void
door_enter(struct worker *w, struct leg *l)
{
	l->is_half_open = 1;
	l->entry.older = w->newest;
	l->entry.newer = NULL;
	*(w->newest ? &w->newest->entry.newer : &w->oldest) = l;
	w->newest = l;
}

static int
is_slow(const struct worker *w, const struct leg *l)
{
	return (w->now - l->opened) * WHEEL_TICK_MS >= EVICT_AFTER_MS;
}

/* Nobody becomes slow between two ticks: a source that had no slow one has none until the next, and
 * whoever floods us from there does not make us look again each time. */
static int
is_searched(const struct worker *w, const uint8_t key[static FAULT_KEY_BYTES])
{
	for (size_t i = 0; i < WORKER_SEARCHES; i++)
		if (w->searches.at[i] == w->now &&
			memcmp(w->searches.keys[i], key, FAULT_KEY_BYTES) == 0)
			return 1;
	return 0;
}

/* The slowest half-open one of this source, NULL when none is slow. */
static struct leg *
slowest_of(struct worker *w, const struct address *address, const struct leg *self)
{
	uint8_t key[FAULT_KEY_BYTES], other[FAULT_KEY_BYTES];
	int left = SEARCH_MAX;
	limit_source_key(address, key);
	if (is_searched(w, key))
		return NULL;
	for (struct leg *l = w->oldest; l && is_slow(w, l) && left-- > 0; l = l->entry.newer) {
		limit_source_key(&l->address, other);
		if (l != self && memcmp(other, key, sizeof key) == 0)
			return l;
	}
	size_t i = w->searches.next++ % WORKER_SEARCHES;
	w->searches.at[i] = w->now;
	memcpy(w->searches.keys[i], key, sizeof key);
	return NULL;
}

int
door_admit(
	struct worker *w, const struct address *address, enum blame blame, const struct leg *self)
{
	int64_t most = w->limits.each[LIMIT_SOURCE_HALF_OPEN].max;
	if (blame == BLAME_FEW)
		most = most > FEW_PART ? most / FEW_PART : 1;
	if (limit_is_crowded(&w->limits, address, most)) {
		struct leg *slow = slowest_of(w, address, self);
		limit_bite(&w->limits, LIMIT_SOURCE_HALF_OPEN, address);
		if (!slow)
			return -ERR_TOO_MANY;
		leg_close(w, slow, -ERR_SLOW);
	}
	return limit_open(&w->limits, address);
}

/* Room for one more that has not said who it is: the slowest gives way, but only when it really is
 * slow; else newcomers wait in the kernel's queue. */
static int
make_room(struct worker *w)
{
	struct leg *oldest = w->oldest;
	if (limit_total(&w->limits, LIMIT_HALF_OPEN) < w->limits.each[LIMIT_HALF_OPEN].max)
		return 1;
	limit_bite(&w->limits, LIMIT_HALF_OPEN, oldest ? &oldest->address : NULL);
	if (!oldest || !is_slow(w, oldest))
		return 0;
	leg_close(w, oldest, -ERR_SLOW);
	return 1;
}

int
door_is_poor(struct worker *w)
{
	void *volatile spare = malloc(SPARE_BYTES); /* untouched: no page of
						      it is used. volatile: it is
						      asked for all the same */
	int poor = spare == NULL;
	free(spare);
	if (poor)
		limit_bite(&w->limits, LIMIT_MEMORY, NULL);
	return poor;
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
serve(struct worker *w, int fd, const struct address *address, int waits)
{
	const int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	tally_add(&w->limits.mine->tally.accepted, 1);
	struct secure *secure = secure_new(w->secure, fd);
	struct leg *l = secure ? leg_new(w, LEG_NATIVE, fd, secure, address) : NULL;
	if (!l) {
		if (!secure)
			close(fd);
		limit_opened(&w->limits, address);
		limit_closed(&w->limits, address);
		tally_code(w->limits.mine->tally.closes, -ERR_TOO_MANY);
		return;
	}
	l->wants_proxy = proxied_source(w, address) != 0;
	l->waits = waits != 0;
	door_enter(w, l);
	leg_deadline(w, l, w->settings.handshake_s);
	leg_run_later(w, l);
}

void
door_accept(struct worker *w, int listener)
{
	for (int i = 0; i < ACCEPTS_MAX; i++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof ss;
		if (!make_room(w) || door_is_poor(w)) {
			door_listen(w, 0);
			return;
		}
		int fd = accept4(listener, (void *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
				      errno == ENOMEM)) {
			limit_bite(&w->limits, LIMIT_CONNECTIONS, NULL);
			door_listen(w, 0);
			return;
		}
		if (fd < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (fd < 0)
			continue; /* that connection broke before we took it */
		struct address address = address_of(&ss);
		enum blame blame =
			proxied_source(w, &address) ? BLAME_NONE : blame_ask_source(w, &address);
		if (door_admit(w, &address, blame, NULL) < 0)
			close(fd);
		else
			serve(w, fd, &address, blame != BLAME_NONE);
	}
}

void
door_close(struct worker *w)
{
	for (size_t i = 0; i < w->listeners.count; i++)
		close(w->listeners.fds[i]);
	w->listeners.count = 0;
}
