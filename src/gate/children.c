#include "gate/children.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/ipc.h"
#include "base/log.h"
#include "gate/parent_state.h"

enum {
	RESTART_FIRST_MS = 1000, /* a worker that died at once; doubles */
	RESTART_MAX_MS = 30000,
	LIVED_MS = 10000,      /* one that lived this long did not die of its start */
	LAST_WORDS_MAX = 4096, /* messages: more than a channel holds */
};

static int
start_keeper(const struct parent *p, struct process *ret)
{
	struct process keeper;
	int r = process_start(&keeper, "keeper");
	if (r < 0)
		return r;
	r = process_tell(&keeper, TELL_SETTINGS, p->settings_text, p->settings_len, -1);
	if (r == 0)
		r = process_tell(&keeper, TELL_READY, NULL, 0, -1);
	if (r == 0)
		r = process_ready(&keeper);
	if (r < 0) {
		LOG(ERROR, "keeper.start", F_ERR("code", r));
		kill(keeper.pid, SIGKILL);
		waitpid(keeper.pid, NULL, 0);
		process_gone(&keeper);
		return r;
	}
	*ret = keeper;
	return 0;
}

/* A new channel between this worker and this keeper. */
static int
connect_keeper(struct worker_child *worker, struct process *keeper)
{
	int pair[2];
	int r = ipc_pair(pair);
	if (r < 0)
		return r;
	r = process_tell(keeper, TELL_CHANNEL, NULL, 0, pair[0]);
	if (r == 0)
		r = process_tell(&worker->child, TELL_CHANNEL, NULL, 0, pair[1]);
	close(pair[1]);
	if (worker->keeper_end >= 0)
		close(worker->keeper_end);
	worker->keeper_end = pair[0];
	return r;
}

static int
tell_all(struct parent *p, struct worker_child *worker)
{
	size_t at = (size_t)(worker - p->workers);
	struct tell_seat seat = {.seat = (uint32_t)at,
		.seats = (uint32_t)p->worker_count,
		.number = switchboard_sit(&p->switchboard, at, &worker->child)};
	int r = process_tell(&worker->child, TELL_SETTINGS, p->settings_text, p->settings_len, -1);
	if (r == 0)
		r = process_tell(&worker->child, TELL_SEAT, &seat, sizeof seat, p->common_fd);
	for (size_t i = 0; r == 0 && i < worker->listener_count; i++)
		r = process_tell(&worker->child, TELL_LISTENER, NULL, 0, worker->listeners[i].fd);
	if (r == 0)
		r = connect_keeper(worker, &p->keeper);
	if (r == 0)
		r = certificates_tell(&p->certificates, &worker->child);
	if (r == 0)
		r = said_tell(&p->said, &worker->child);
	if (r == 0 && p->takeover.waiting)
		r = process_tell(&worker->child, TELL_WAIT, NULL, 0, -1);
	if (r == 0)
		r = process_tell(&worker->child, TELL_READY, NULL, 0, -1);
	return r < 0 ? r : process_ready(&worker->child);
}

static int
start_worker(struct parent *p, struct worker_child *worker)
{
	int r = process_start(&worker->child, "worker");
	if (r == 0)
		r = tell_all(p, worker);
	if (r < 0) {
		LOG(ERROR, "worker.start", F_INT("worker", worker - p->workers), F_ERR("code", r));
		if (worker->child.pid > 0)
			kill(worker->child.pid, SIGKILL); /* SIGCHLD tells the rest */
		return r;
	}
	LOG(INFO, "worker.up", F_INT("worker", worker - p->workers),
		F_INT("pid", worker->child.pid));
	return 0;
}

/* The keeper is started anew for its new keys; what the old one has in hand it finishes. */
void
children_reload(struct parent *p)
{
	struct process keeper;
	if (certificates_load(p->settings, &p->certificates) < 0 || start_keeper(p, &keeper) < 0) {
		LOG(ERROR, "gate.reload", F_STR("result", "the old certificates stay"));
		return;
	}
	struct process old = p->keeper;
	p->keeper = keeper;
	for (size_t i = 0; i < p->worker_count; i++) {
		struct worker_child *worker = &p->workers[i];
		if (worker->child.pid > 0 && connect_keeper(worker, &p->keeper) == 0)
			certificates_tell(&p->certificates, &worker->child);
	}
	process_gone(&old);
	LOG(INFO, "gate.reload", F_STR("result", "ok"));
}

/* What it said before it died, and no more: its end of the channel may live on with whom it was
 * given to, and say anything for ever, or nothing. */
static void
hear_last_words(struct parent *p, struct worker_child *worker)
{
	for (int i = 0; i < LAST_WORDS_MAX && worker->child.channel >= 0; i++) {
		struct pollfd ready = {.fd = worker->child.channel, .events = POLLIN};
		if (poll(&ready, 1, 0) <= 0)
			return;
		parent_on_worker(p, worker);
	}
}

static void
worker_died(struct parent *p, struct worker_child *worker, int status)
{
	uint64_t lived_ms = mono_diff_ms(worker->child.started, mono_now());
	size_t seat = (size_t)(worker - p->workers);
	worker->child.pid = 0; /* it may be another process's by now */
	hear_last_words(p, worker);
	switchboard_gone(&p->switchboard, seat);
	limit_segment_clear(p->common, seat);
	process_gone(&worker->child);
	upgrade_worker_gone(p, seat);
	if (takeover_worker_gone(p, seat))
		p->draining = 1; /* the old version goes on, and we end */
	if (p->draining && status == 0)
		return;
	LOG(ERROR, "worker.died", F_INT("worker", worker - p->workers), F_INT("lived_ms", lived_ms),
		F_INT("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
		F_INT("exit", WIFEXITED(status) ? WEXITSTATUS(status) : 0));
	worker->restart_ms = lived_ms >= LIVED_MS                      ? 0
			     : worker->restart_ms == 0                 ? RESTART_FIRST_MS
			     : worker->restart_ms * 2 > RESTART_MAX_MS ? RESTART_MAX_MS
								       : worker->restart_ms * 2;
	worker->restart_at = mono_add_ms(mono_now(), worker->restart_ms);
}

static void
keeper_again(struct parent *p)
{
	p->keeper_at = mono_add_ms(mono_now(), RESTART_FIRST_MS);
	if (start_keeper(p, &p->keeper) < 0)
		return; /* children_tick tries again */
	for (size_t i = 0; i < p->worker_count; i++)
		if (p->workers[i].keeper_end >= 0)
			process_tell(&p->keeper, TELL_CHANNEL, NULL, 0, p->workers[i].keeper_end);
}

static void
keeper_died(struct parent *p, int status)
{
	LOG(ERROR, "keeper.died", F_INT("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
		F_INT("exit", WIFEXITED(status) ? WEXITSTATUS(status) : 0));
	process_gone(&p->keeper);
	keeper_again(p);
}

void
children_reap(struct parent *p)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == p->keeper.pid)
			keeper_died(p, status);
		if (pid == p->upgrade.next.pid) {
			p->upgrade.next.pid = 0;
			upgrade_abort(p, -ERR_CLOSED);
		}
		for (size_t i = 0; i < p->worker_count; i++)
			if (pid == p->workers[i].child.pid)
				worker_died(p, &p->workers[i], status);
	}
}

int
children_start(struct parent *p)
{
	int r = start_keeper(p, &p->keeper);
	for (size_t i = 0; r == 0 && i < p->worker_count; i++)
		r = start_worker(p, &p->workers[i]);
	return r;
}

size_t
children_tick(struct parent *p)
{
	size_t running = 0;
	struct mono now = mono_now();
	if (p->keeper.pid == 0 && !mono_before(now, p->keeper_at))
		keeper_again(p);
	for (size_t i = 0; i < p->worker_count; i++) {
		struct worker_child *worker = &p->workers[i];
		if (worker->child.pid == 0 && !p->draining && p->upgrade.step == UPGRADE_NONE &&
			!mono_before(now, worker->restart_at))
			start_worker(p, worker);
		running += worker->child.pid > 0;
	}
	return running;
}
