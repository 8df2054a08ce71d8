#include "controller/returns.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/wire.h"

enum {
	ASKERS_MAX = 16,
	DEADLINE_MS = 10000,
	QUESTION_MAX_BYTES = 256,
};

/* Anybody can send mails to the address, and whoever may open the socket can do so all day. */
static struct log_limit stray_limit = {.burst = 20, .window_ms = 60000},
			denied_limit = {.burst = 20, .window_ms = 60000};

struct asker {
	struct asker *next;
	struct returns *returns;
	struct watch *watch;
	struct timer *timer;
	uint64_t number;
	int fd, asked;
};

struct returns {
	struct loop *loop;
	struct watch *watch;
	struct asker *askers;
	uint64_t next;
	uid_t uid;
	uint8_t key[BOUNCE_KEY_BYTES];
	returns_fn *fn;
	void *user;
	int fd;
	unsigned count;
};

static void
asker_free(struct asker *asker)
{
	struct asker **at = &asker->returns->askers;
	while (*at != asker)
		at = &(*at)->next;
	*at = asker->next;
	asker->returns->count--;
	watch_free(asker->watch);
	timer_free(asker->timer);
	close(asker->fd);
	free(asker);
}

static void
answer(struct asker *asker, uint32_t code)
{
	uint8_t out[4];
	struct wr w = wr_init(out, sizeof out);
	wr_u32(&w, code);
	ipc_send(asker->fd, BOUNCE_ANSWER, out, w.len, -1);
	asker_free(asker);
}

void
returns_answer(struct returns *returns, uint64_t number, uint32_t code)
{
	for (struct asker *asker = returns ? returns->askers : NULL; asker; asker = asker->next) {
		if (asker->number == number) {
			answer(asker, code);
			return;
		}
	}
}

static void
on_deadline(void *user)
{
	asker_free(user);
}

static void
on_question(void *user, int ready)
{
	struct asker *asker = user;
	struct returns *returns = asker->returns;
	uint8_t payload[QUESTION_MAX_BYTES];
	struct bounce_report report;
	struct bounce bounce;
	uint16_t type;
	uint32_t held;
	(void)ready;
	int len = ipc_recv(asker->fd, &type, payload, sizeof payload, NULL);
	if (len < 0 || asker->asked || type != BOUNCE_REPORT ||
		bounce_report_get(payload, (size_t)len, &report) < 0) {
		asker_free(asker);
		return;
	}
	asker->asked = 1;
	if (bounce_open(returns->key, report.token, wall_s(), &bounce) < 0) {
		if (log_limit_pass(&stray_limit, &held))
			LOG(INFO, "mail.stray", F_STR("status", report.status),
				F_INT("held", held));
		answer(asker, ERR_NOT_FOUND);
		return;
	}
	returns->fn(returns->user, asker->number, &bounce, &report);
}

static int
may_ask(const struct returns *returns, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof peer;
	uint32_t held;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return 0;
	if (peer.uid == 0 || peer.uid == returns->uid)
		return 1;
	if (log_limit_pass(&denied_limit, &held))
		LOG(WARN, "mail.denied", F_INT("uid", peer.uid), F_INT("held", held));
	return 0;
}

static void
on_listen(void *user, int ready)
{
	struct returns *returns = user;
	(void)ready;
	int fd = accept4(returns->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	if (returns->count >= ASKERS_MAX || !may_ask(returns, fd)) {
		close(fd);
		return;
	}
	struct asker *asker = mem_new(sizeof *asker);
	*asker = (struct asker){
		.next = returns->askers, .returns = returns, .number = ++returns->next, .fd = fd};
	returns->askers = asker;
	returns->count++;
	asker->timer = timer_new(returns->loop, on_deadline, asker);
	timer_start(asker->timer, DEADLINE_MS, 0);
	asker->watch = watch_new(returns->loop, fd, on_question, asker);
	watch_set(asker->watch, WATCH_READ);
}

struct returns *
returns_new(struct loop *loop, int fd, uid_t uid, const uint8_t key[static BOUNCE_KEY_BYTES],
	returns_fn *fn, void *user)
{
	struct returns *returns = mem_new(sizeof *returns);
	*returns = (struct returns){.loop = loop, .fd = fd, .uid = uid, .fn = fn, .user = user};
	memcpy(returns->key, key, sizeof returns->key);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	returns->watch = watch_new(loop, fd, on_listen, returns);
	watch_set(returns->watch, WATCH_READ);
	return returns;
}

void
returns_free(struct returns *returns)
{
	if (!returns)
		return;
	while (returns->askers)
		asker_free(returns->askers);
	watch_free(returns->watch);
	close(returns->fd);
	mem_wipe(returns->key, sizeof returns->key);
	free(returns);
}
