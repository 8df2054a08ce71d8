#include "gate/parent.h"

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/err.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/mem.h"
#include "gate/children.h"
#include "gate/listener.h"
#include "gate/management.h"
#include "gate/metrics.h"
#include "gate/notice.h"
#include "gate/parent_state.h"

enum {
	STOP_GRACE_S = 10,
};

void
parent_close_listeners(struct parent *p)
{
	for (size_t i = 0; i < p->worker_count; i++) {
		struct worker_child *worker = &p->workers[i];
		while (worker->listener_count > 0)
			close(worker->listeners[--worker->listener_count].fd);
	}
}

static void
drain(struct parent *p)
{
	if (p->draining) {
		/* asked twice: now */
		for (size_t i = 0; i < p->worker_count; i++)
			if (p->workers[i].child.pid > 0)
				kill(p->workers[i].child.pid, SIGKILL);
		return;
	}
	upgrade_abort(p, -ERR_DRAIN);
	p->draining = 1;
	p->stop_at =
		mono_add_ms(mono_now(), ((uint64_t)p->settings->drain_s + STOP_GRACE_S) * 1000);
	LOG(INFO, "gate.drain", F_INT("seconds", p->settings->drain_s));
	parent_close_listeners(p);
	for (size_t i = 0; i < p->worker_count; i++)
		process_tell(&p->workers[i].child, TELL_DRAIN, NULL, 0, -1);
}

static void
on_signal(struct parent *p)
{
	struct signalfd_siginfo info;
	while (read(p->signals, &info, sizeof info) == (ssize_t)sizeof info) {
		if (info.ssi_signo == SIGCHLD)
			children_reap(p);
		else if (info.ssi_signo == SIGHUP)
			children_reload(p);
		else if (info.ssi_signo == SIGUSR2)
			upgrade_start(p);
		else
			drain(p);
	}
}

/* An open descriptor of the controller for a worker; none when it can't be reached. */
static void
dial(struct parent *p, struct worker_child *worker, const char *name, uint16_t type,
	const void *payload, size_t len)
{
	int fd = listener_dial(p->settings->run_directory, name);
	if (fd < 0)
		LOG(DEBUG, "controller.dial", F_STR("socket", name), F_ERR("code", fd));
	process_tell(&worker->child, type, payload, len, fd < 0 ? -1 : fd);
	if (fd >= 0)
		close(fd);
}

void
parent_on_worker(struct parent *p, struct worker_child *worker)
{
	static uint8_t payload[IPC_PAYLOAD_MAX];
	uint16_t type;
	int fd = -1;
	int n = ipc_recv(worker->child.channel, &type, payload, sizeof payload, &fd);
	if (n < 0) {
		/* it is gone, and SIGCHLD says how; or it sent nonsense, and has to go */
		if (worker->child.pid > 0)
			kill(worker->child.pid, SIGKILL);
		close(worker->child.channel);
		worker->child.channel = -1;
		return;
	}
	int ours = switchboard_hear(&p->switchboard, (size_t)(worker - p->workers), (enum tell)type,
		payload, (size_t)n, fd);
	if (fd >= 0)
		close(fd);
	if (ours)
		return;
	switch ((enum tell)type) {
	case TELL_WANT_LINK:
		dial(p, worker, "link.sock", TELL_LINK, NULL, 0);
		break;
	case TELL_WANT_HTTP:
		dial(p, worker, "http.sock", TELL_HTTP, payload, (size_t)n);
		break;
	case TELL_WELCOME:
		said_welcome(&p->said, (size_t)(worker - p->workers), payload, (size_t)n);
		takeover_on_linked(p, (size_t)(worker - p->workers));
		break;
	case TELL_DENY:
	case TELL_ALLOW:
		said_deny(&p->said, (size_t)(worker - p->workers), payload, (size_t)n,
			type == TELL_ALLOW);
		break;
	case TELL_LEFT:
		upgrade_on_left(p, (size_t)(worker - p->workers), payload, (size_t)n);
		break;
	case TELL_HERE:
		takeover_on_here(p);
		break;
	case TELL_ARRIVED:
		takeover_on_arrived(p, (size_t)(worker - p->workers));
		break;
	default:
		LOG(ERROR, "worker.tell", F_INT("type", type));
		break;
	}
}

static int
make_signals(struct parent *p)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	p->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	signal(SIGPIPE, SIG_IGN);
	return p->signals < 0 ? -errno : 0;
}

/* Workers inherit it; each connection is a descriptor. */
static void
raise_descriptors(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* Keeper and worker would find out too, but could not say it so well. */
static int
check_user(const struct settings *s)
{
	if (geteuid() != 0 || getpwnam(s->user))
		return 0;
	LOG(ERROR, "gate.user", F_STR("user", s->user), F_ERR("code", ERR_NOT_FOUND));
	return -ERR_NOT_FOUND;
}

/* Where our program is; when it has been replaced by now, its successor is there. */
static int
find_program(struct parent *p)
{
	static const char deleted[] = " (deleted)";
	ssize_t n = readlink("/proc/self/exe", p->program, sizeof p->program - 1);
	if (n <= 0)
		return n < 0 ? -errno : -ENOENT;
	size_t len = (size_t)n, tail = sizeof deleted - 1;
	if (len > tail && memcmp(p->program + len - tail, deleted, tail) == 0)
		len -= tail;
	p->program[len] = 0;
	return 0;
}

static int
start(struct parent *p, int is_upgrade)
{
	raise_descriptors();
	p->said.seats = p->worker_count;
	int r = check_user(p->settings);
	if (r == 0)
		r = find_program(p);
	if (r == 0)
		r = make_signals(p);
	if (r == 0 && is_upgrade)
		r = takeover_begin(p);
	if (r == 0) {
		p->common_fd = limit_segment_new(p->worker_count, &p->common);
		r = p->common_fd < 0 ? p->common_fd : 0;
	}
	if (r == 0)
		r = settings_pack(p->settings, &p->settings_text, &p->settings_len);
	if (r == 0)
		r = certificates_load(p->settings, &p->certificates);
	if (r == 0)
		r = takeover_listen(p);
	if (r == 0)
		r = children_start(p);
	p->takeover.begun = mono_now();
	return r;
}

static int
write_metrics(void *user, char **ret_text, size_t *ret_len)
{
	const struct parent *p = user;
	FILE *out = open_memstream(ret_text, ret_len);
	if (!out)
		return -ENOMEM;
	metrics_write(out, p->common, p->worker_count, p->settings);
	return fclose(out) == 0 ? 0 : -ENOMEM;
}

/* By the gate that is in charge: a new version opens it when the old one has left. */
static void
open_management(struct parent *p)
{
	if (p->management || p->management_tried || !p->settings->metrics_socket ||
		p->takeover.waiting)
		return;
	p->management_tried = 1;
	p->management = management_new(p->settings->metrics_socket, write_metrics, p);
}

/* 1 while there is something to wait for. */
static int
tick(struct parent *p)
{
	upgrade_tick(p);
	takeover_tick(p);
	size_t running = children_tick(p);
	return !p->draining || (running > 0 && mono_before(mono_now(), p->stop_at));
}

static void
serve(struct parent *p)
{
	enum {
		SIGNALS,
		NEXT,
		OLD,
		MANAGEMENT,
		WORKERS = MANAGEMENT + MANAGEMENT_FDS
	};
	struct pollfd fds[WORKERS + WORKERS_MAX];
	while (tick(p)) {
		fds[SIGNALS] = (struct pollfd){.fd = p->signals, .events = POLLIN};
		fds[NEXT] = (struct pollfd){.fd = p->upgrade.next.channel, .events = POLLIN};
		fds[OLD] = (struct pollfd){.fd = p->takeover.channel.channel, .events = POLLIN};
		for (size_t i = 0; i < p->worker_count; i++)
			fds[WORKERS + i] = (struct pollfd){
				.fd = p->workers[i].child.channel, .events = POLLIN};
		open_management(p);
		management_poll(p->management, fds + MANAGEMENT);
		int n = poll(fds, WORKERS + p->worker_count, 500);
		if (n < 0)
			continue;
		management_run(p->management, fds + MANAGEMENT);
		for (size_t i = 0; i < p->worker_count; i++)
			if (fds[WORKERS + i].revents && p->workers[i].child.channel >= 0)
				parent_on_worker(p, &p->workers[i]);
		if (fds[NEXT].revents && p->upgrade.next.channel >= 0)
			upgrade_hear(p);
		if (fds[OLD].revents)
			takeover_hear(p);
		if (fds[SIGNALS].revents)
			on_signal(p);
	}
}

int
parent_main(const struct settings *settings, char *const *argv, int is_upgrade)
{
	struct parent *p = mem_new(sizeof *p);
	p->settings = settings;
	p->argv = argv;
	p->worker_count = (size_t)settings->workers;
	p->keeper.channel = p->upgrade.next.channel = p->takeover.channel.channel = -1;
	/* each has an agent, or half a session */
	switchboard_init(&p->switchboard, p->worker_count, (size_t)settings->connections_max);
	for (size_t i = 0; i < WORKERS_MAX; i++)
		p->workers[i].child.channel = p->workers[i].keeper_end = -1;
	int r = start(p, is_upgrade);
	if (r == 0) {
		if (!is_upgrade)
			notice_write(p, "up");
		if (!is_upgrade)
			LOG(INFO, "gate.up", F_STR("name", settings->name),
				F_INT("workers", settings->workers), F_INT("pid", getpid()));
		serve(p);
		LOG(INFO, "gate.down");
	}
	/* children end with their channels; a worker that is left is beyond its time */
	for (size_t i = 0; i < p->worker_count; i++)
		if (p->workers[i].child.pid > 0)
			kill(p->workers[i].child.pid, SIGKILL);
	management_free(p->management, p->upgrade.step == UPGRADE_NONE);
	certificates_fini(&p->certificates);
	switchboard_fini(&p->switchboard);
	free(p->settings_text);
	said_fini(&p->said);
	free(p);
	return r < 0 ? 1 : 0;
}
