#include "gate/takeover.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/mem.h"
#include "gate/handover.h"
#include "gate/listener.h"
#include "gate/notice.h"
#include "gate/parent_state.h"

enum {
	INHERITED_MAX = WORKERS_MAX * LISTENERS_MAX,
	BEGIN_MS = 10000,
	LINK_MS = 3000, /* the controller is on the same machine; without it we go on too */
};

static int
inherit(struct parent *p, const uint8_t *text, size_t len, int fd)
{
	struct takeover *t = &p->takeover;
	char *copy = fd >= 0 && t->inherited_count < INHERITED_MAX ? mem_array(len + 1, 1) : NULL;
	struct listening *list =
		copy ? mem_resize(t->inherited, t->inherited_count + 1, sizeof *list) : NULL;
	if (!list) {
		free(copy);
		return -ERR_PROTOCOL;
	}
	memcpy(copy, text, len);
	t->inherited = list;
	list[t->inherited_count++] = (struct listening){fd, copy};
	return 0;
}

/* 0, 1 after READY, or negative. */
static int
take_one(struct parent *p)
{
	static uint8_t payload[IPC_PAYLOAD_MAX];
	struct pollfd pfd = {.fd = p->takeover.channel.channel, .events = POLLIN};
	uint16_t type;
	int fd = -1, n;
	do
		n = poll(&pfd, 1, BEGIN_MS);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : -ERR_TIMEOUT;
	n = ipc_recv(pfd.fd, &type, payload, sizeof payload, &fd);
	if (n < 0)
		return n;
	if (type == TELL_LISTENER)
		return inherit(p, payload, (size_t)n, fd);
	if (fd >= 0)
		close(fd);
	if (type == TELL_WELCOME)
		said_welcome(&p->said, SAID_FORMER, payload, (size_t)n);
	else if (type == TELL_DENY)
		said_deny(&p->said, SAID_FORMER, payload, (size_t)n, 0);
	else if (type != TELL_UPGRADE && type != TELL_READY)
		return -ERR_PROTOCOL;
	return type == TELL_READY;
}

int
takeover_begin(struct parent *p)
{
	const struct tell_upgrade ours = {HANDOVER_VERSION, (uint32_t)p->worker_count};
	struct takeover *t = &p->takeover;
	int r = fcntl(PROCESS_CHANNEL, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
	t->channel.channel = PROCESS_CHANNEL;
	t->waiting = 1;
	if (r == 0)
		r = process_tell(&t->channel, TELL_UPGRADE, &ours, sizeof ours, -1);
	while (r == 0)
		r = take_one(p);
	if (r < 0)
		LOG(ERROR, "gate.takeover", F_ERR("code", r));
	return r < 0 ? r : 0;
}

/* Whoever crosses may have a question at once. */
void
takeover_tick(struct parent *p)
{
	struct takeover *t = &p->takeover;
	size_t linked = 0;
	if (!t->waiting || t->ready)
		return;
	for (size_t i = 0; i < p->worker_count; i++)
		linked += t->linked[i];
	if (linked < p->worker_count && mono_diff_ms(t->begun, mono_now()) < LINK_MS)
		return;
	t->ready = 1;
	process_tell(&t->channel, TELL_READY, NULL, 0, -1);
}

void
takeover_on_linked(struct parent *p, size_t seat)
{
	p->takeover.linked[seat] = 1;
	takeover_tick(p);
}

/* We are the gate when the old one has let go and everything that it sent is here. */
static void
go_when_complete(struct parent *p)
{
	struct takeover *t = &p->takeover;
	for (size_t i = 0; i < p->worker_count; i++)
		if (t->expected[i] > 0)
			return;
	if (!t->committed || !t->waiting)
		return;
	t->waiting = 0;
	for (size_t i = 0; i < p->worker_count; i++)
		if (p->workers[i].child.pid > 0)
			process_tell(&p->workers[i].child, TELL_GO, NULL, 0, -1);
	notice_write(p, "up");
	LOG(INFO, "gate.up", F_STR("name", p->settings->name), F_INT("workers", p->worker_count),
		F_INT("pid", getpid()), F_STR("by", "upgrade"));
}

static int
on_channel(struct parent *p, const uint8_t *payload, size_t len, int fd)
{
	struct tell_leave from;
	if (len != sizeof from || fd < 0)
		return -ERR_PROTOCOL;
	memcpy(&from, payload, sizeof from);
	size_t seat = from.seat % p->worker_count;
	int r = process_tell(&p->workers[seat].child, TELL_ARRIVE, payload, len, fd);
	p->takeover.expected[seat] += r == 0;
	return r;
}

/* The promise to go on is worth as much as the workers that keep it. */
static void
ask_all(struct parent *p)
{
	p->takeover.asked = p->worker_count;
	for (size_t i = 0; i < p->worker_count; i++)
		if (process_tell(&p->workers[i].child, TELL_HERE, NULL, 0, -1) < 0)
			p->draining = 1; /* we end, and the old one goes on */
}

void
takeover_on_here(struct parent *p)
{
	struct takeover *t = &p->takeover;
	if (t->asked == 0 || --t->asked > 0 || t->committed)
		return;
	t->committed = 1;
	process_tell(&t->channel, TELL_COMMIT, NULL, 0, -1);
	go_when_complete(p);
}

void
takeover_hear(struct parent *p)
{
	static uint8_t payload[IPC_PAYLOAD_MAX];
	struct takeover *t = &p->takeover;
	uint16_t type;
	int fd = -1;
	int n = ipc_recv(t->channel.channel, &type, payload, sizeof payload, &fd);
	if (n < 0) {
		/* it has ended. Before COMMIT: it died, and its workers die with it */
		LOG(INFO, "gate.takeover", F_STR("old", t->committed ? "ended" : "died"),
			F_ERR("code", n));
		t->committed = 1;
		process_gone(&t->channel);
	} else if (type == TELL_COMMIT) {
		ask_all(p);
	} else if (type == TELL_SHARES) {
		/* without them everybody has the same weight until the next ticket */
		int r = fair_unpack(&p->common->fair, payload, (size_t)n, mono_now().ns);
		if (r < 0)
			LOG(ERROR, "gate.takeover", F_STR("shares", "not taken"), F_ERR("code", r));
	} else if (type != TELL_ARRIVE || on_channel(p, payload, (size_t)n, fd) < 0) {
		p->draining = 1; /* we end, and the old one goes on */
	}
	if (fd >= 0)
		close(fd);
	go_when_complete(p);
}

void
takeover_on_arrived(struct parent *p, size_t seat)
{
	struct takeover *t = &p->takeover;
	if (t->expected[seat] > 0)
		t->expected[seat]--;
	go_when_complete(p);
}

int
takeover_worker_gone(struct parent *p, size_t seat)
{
	struct takeover *t = &p->takeover;
	if (t->waiting && !t->committed)
		return 1;
	t->expected[seat] = 0;
	go_when_complete(p);
	return 0;
}

static int
give(struct worker_child *worker, int fd, const char *text)
{
	if (worker->listener_count == LISTENERS_MAX)
		return -ERR_SETTING;
	worker->listeners[worker->listener_count++] = (struct listening){fd, text};
	return 0;
}

/* The old parent's sockets of this address, one for each worker; connections that nobody has
 * accepted yet are in them. More workers than before: more sockets. */
static int
listen_inherited(struct parent *p, const char *address, char text[static LISTENER_TEXT_SIZE])
{
	struct takeover *t = &p->takeover;
	size_t next = 0;
	int r = 0, fd;
	for (size_t i = 0; r == 0 && i < t->inherited_count; i++) {
		struct listening *l = &t->inherited[i];
		if (l->fd < 0 || strcmp(l->text, address) != 0)
			continue;
		listener_text(l->fd, text);
		r = give(&p->workers[next++ % p->worker_count], l->fd, address);
		l->fd = -1;
	}
	for (; r == 0 && next > 0 && next < p->worker_count; next++) {
		char same[LISTENER_TEXT_SIZE];
		r = listener_open(text, &fd, 1, same);
		if (r == 0)
			r = give(&p->workers[next], fd, address);
	}
	return r < 0 ? r : next > 0;
}

static int
listen_to(struct parent *p, const char *address)
{
	char text[LISTENER_TEXT_SIZE];
	int fds[WORKERS_MAX];
	int r = listen_inherited(p, address, text);
	if (r == 0) {
		r = listener_open(address, fds, p->worker_count, text);
		for (size_t i = 0; r == 0 && i < p->worker_count; i++)
			r = give(&p->workers[i], fds[i], address);
	}
	if (r < 0)
		LOG(ERROR, "gate.listen", F_STR("address", address), F_ERR("code", r));
	else
		LOG(INFO, "gate.listen", F_STR("address", text));
	return r < 0 ? r : 0;
}

int
takeover_listen(struct parent *p)
{
	static char *any[] = {(char *)(uintptr_t) "[::]:443"};
	struct takeover *t = &p->takeover;
	struct conf_list list = p->settings->listen;
	int r = 0;
	if (list.count == 0)
		list = (struct conf_list){any, 1};
	for (size_t i = 0; r == 0 && i < list.count; i++)
		r = listen_to(p, list.items[i]);
	/* addresses that are no longer in the settings */
	for (size_t i = 0; i < t->inherited_count; i++) {
		if (t->inherited[i].fd >= 0)
			close(t->inherited[i].fd);
		free((char *)(uintptr_t)t->inherited[i].text);
	}
	free(t->inherited);
	t->inherited = NULL;
	t->inherited_count = 0;
	return r;
}
