/*
 *  parent ──ipc── core ──pair── web        link.sock, admin.sock → core; http.sock → web
 *                    └───pair── mailer      bounce.sock → mailer
 *
 * A dead web or mailer: a new pair, one end to a new process, the other through the parent's ipc to
 * the core. A dead core: the others see their pair close and end; all are started again. A dead
 * parent: the core sees the ipc close.
 */
#include "controller/parent.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "controller/peer.h"

enum role {
	CORE,
	WEB,
	MAILER,
	ROLES
};
enum {
	BACKLOG = 1024,
	RESTART_MIN_MS = 500,
	RESTART_MAX_MS = 30000,
	STEADY_MS = 60000, /* a role that lived this long did not fail at its start */
	STOP_MS = 5000,
	ARGS_MAX = 256,
	DESCRIPTORS = 16384,
};

static const char *const role_names[ROLES] = {"core", "web", "mailer"};

struct child {
	struct parent *parent;
	enum role role;
	pid_t pid; /* 0 = not running */
	struct timer *timer;
	struct mono started;
	uint64_t wait_ms;
};

struct parent {
	const struct settings *settings;
	struct loop *loop;
	char program[4096];
	int argc;
	char **argv;
	int link_fd, admin_fd, http_fd;
	int bounce_fd; /* -1 = none is wanted */
	int core_ipc;  /* our end, -1 = no core */
	struct child children[ROLES];
	int stopping;
};

static int
wanted(const struct parent *parent, enum role role)
{
	return role != MAILER || parent->settings->smtp_url;
}

/* Unix socket at name in the run directory, for the user that the roles become, and group (-1: that
 * user's). */
static int
listen_at(const struct settings *settings, const char *name, int type, mode_t mode, gid_t group,
	int *ret_fd)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct passwd *pw = geteuid() == 0 ? getpwnam(settings->user) : NULL;
	int r = str_print(sa.sun_path, sizeof sa.sun_path, "%s/%s", settings->run_directory, name);
	if (r < 0)
		return r;
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	unlink(sa.sun_path);
	mode_t old = umask(0177);
	r = bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0 ? -errno : 0;
	umask(old);
	if (r == 0 && pw &&
		chown(sa.sun_path, pw->pw_uid, group == (gid_t)-1 ? pw->pw_gid : group) < 0)
		r = -errno;
	if (r == 0 && (chmod(sa.sun_path, mode) < 0 || listen(fd, BACKLOG) < 0))
		r = -errno;
	if (r < 0)
		close(fd);
	else
		*ret_fd = fd;
	return r;
}

static void start_child(struct child *child);

static void
on_restart(void *user)
{
	start_child(user);
}

static void
on_exit_of(void *user, pid_t pid, int status)
{
	struct child *child = user;
	struct parent *parent = child->parent;
	(void)pid;
	child->pid = 0;
	if (child->role == CORE) {
		close(parent->core_ipc);
		parent->core_ipc = -1;
	}
	if (parent->stopping) {
		for (int i = 0; i < ROLES; i++)
			if (parent->children[i].pid)
				return;
		loop_stop(parent->loop);
		return;
	}
	LOG(ERROR, "role.died", F_STR("role", role_names[child->role]),
		F_INT("status", WEXITSTATUS(status)), F_INT("signal", WTERMSIG(status)));
	if (mono_diff_ms(child->started, mono_now()) > STEADY_MS)
		child->wait_ms = 0;
	child->wait_ms = child->wait_ms ? 2 * child->wait_ms : RESTART_MIN_MS;
	if (child->wait_ms > RESTART_MAX_MS)
		child->wait_ms = RESTART_MAX_MS;
	timer_start(child->timer, child->wait_ms, 0);
}

static int
run(struct child *child, const int *fds, size_t count)
{
	struct parent *parent = child->parent;
	char *argv[ARGS_MAX + 2];
	argv[0] = parent->program;
	for (int i = 1; i < parent->argc; i++)
		argv[i] = parent->argv[i];
	argv[parent->argc] = (char *)(uintptr_t)role_names[child->role];
	argv[parent->argc + 1] = NULL;
	child->started = mono_now();
	int r = child_start(parent->loop, argv, NULL, fds, count, on_exit_of, child, &child->pid);
	if (r < 0) {
		LOG(ERROR, "role.start", F_STR("role", role_names[child->role]), F_ERR("code", r));
		timer_start(child->timer, RESTART_MAX_MS, 0);
	}
	return r;
}

static void
start_core(struct child *child)
{
	struct parent *parent = child->parent;
	int pair[2];
	if (ipc_pair(pair) < 0) {
		timer_start(child->timer, RESTART_MIN_MS, 0);
		return;
	}
	const int fds[] = {pair[1], parent->link_fd, parent->admin_fd};
	if (run(child, fds, sizeof fds / sizeof fds[0]) == 0)
		parent->core_ipc = pair[0];
	else
		close(pair[0]);
	close(pair[1]);
}

/* Web and mailer live as long as the core they belong to. */
static void
start_helper(struct child *child)
{
	struct parent *parent = child->parent;
	int pair[2], r = -ERR_CLOSED;
	if (parent->core_ipc < 0 || ipc_pair(pair) < 0) {
		timer_start(child->timer, RESTART_MIN_MS, 0);
		return;
	}
	const int fds[] = {pair[1], child->role == WEB ? parent->http_fd : parent->bounce_fd};
	r = run(child, fds, fds[1] >= 0 ? 2 : 1);
	if (r == 0)
		r = ipc_send(parent->core_ipc, child->role == WEB ? PEER_WEB : PEER_MAILER, NULL, 0,
			pair[0]);
	if (r < 0)
		LOG(WARN, "role.join", F_STR("role", role_names[child->role]), F_ERR("code", r));
	close(pair[0]);
	close(pair[1]);
}

static void
start_child(struct child *child)
{
	if (child->parent->stopping || child->pid)
		return;
	if (child->role == CORE)
		start_core(child);
	else
		start_helper(child);
}

static void
on_kill(void *user)
{
	struct parent *parent = user;
	for (int i = 0; i < ROLES; i++)
		if (parent->children[i].pid)
			kill(parent->children[i].pid, SIGKILL);
}

static void
on_signal(void *user, int number)
{
	struct parent *parent = user;
	int running = 0;
	if (parent->stopping)
		return;
	LOG(INFO, "stop", F_INT("signal", number));
	parent->stopping = 1;
	for (int i = 0; i < ROLES; i++) {
		timer_stop(parent->children[i].timer);
		if (parent->children[i].pid) {
			kill(parent->children[i].pid, SIGTERM);
			running++;
		}
	}
	if (!running)
		loop_stop(parent->loop);
}

/* For the mail server's user alone, and seqpackets: no half a question. */
static int
open_bounce(struct parent *parent)
{
	const struct settings *s = parent->settings;
	const struct passwd *pw = getpwnam(s->bounce_user);
	if (geteuid() == 0 && !pw)
		LOG(ERROR, "user", F_ERR("code", -ERR_NOT_FOUND), F_STR("user", s->bounce_user));
	if (geteuid() == 0 && !pw)
		return -ERR_NOT_FOUND;
	return listen_at(s, "bounce.sock", SOCK_SEQPACKET, 0660, pw ? pw->pw_gid : (gid_t)-1,
		&parent->bounce_fd);
}

static int
open_sockets(struct parent *parent)
{
	const struct settings *s = parent->settings;
	if (mkdir(s->run_directory, 0755) < 0 && errno != EEXIST)
		return -errno;
	const gid_t own = (gid_t)-1;
	int r = listen_at(s, "link.sock", SOCK_STREAM, 0660, own, &parent->link_fd);
	if (r == 0)
		r = listen_at(s, "http.sock", SOCK_STREAM, 0660, own, &parent->http_fd);
	if (r == 0)
		r = listen_at(s, "admin.sock", SOCK_STREAM, 0600, own, &parent->admin_fd);
	if (r == 0 && s->bounce_address)
		r = open_bounce(parent);
	return r;
}

static void
remove_sockets(const struct settings *settings)
{
	static const char *const names[] = {"link.sock", "http.sock", "admin.sock", "bounce.sock"};
	char path[sizeof((struct sockaddr_un *)0)->sun_path];
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (str_print(path, sizeof path, "%s/%s", settings->run_directory, names[i]) == 0)
			unlink(path);
}

static void
run_until_signal(struct parent *parent)
{
	struct signal_watch *term = signal_new(parent->loop, SIGTERM, on_signal, parent);
	struct signal_watch *interrupt = signal_new(parent->loop, SIGINT, on_signal, parent);
	struct timer *killer = timer_new(parent->loop, on_kill, parent);
	for (int i = 0; i < ROLES; i++) {
		struct child *child = &parent->children[i];
		*child = (struct child){.parent = parent, .role = (enum role)i};
		child->timer = timer_new(parent->loop, on_restart, child);
		if (wanted(parent, child->role))
			start_child(child);
	}
	LOG(INFO, "ready", F_STR("role", "parent"),
		F_STR("run_directory", parent->settings->run_directory));
	loop_run(parent->loop);
	timer_free(killer);
	signal_free(term);
	signal_free(interrupt);
	for (int i = 0; i < ROLES; i++)
		timer_free(parent->children[i].timer);
}

/* Browsers and gates need more descriptors than a shell allows; the roles inherit it. */
static void
raise_descriptors(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int
parent_main(const struct settings *settings, int argc, char **argv)
{
	struct parent parent = {
		.settings = settings, .argc = argc, .argv = argv, .bounce_fd = -1, .core_ipc = -1};
	ssize_t n = readlink("/proc/self/exe", parent.program, sizeof parent.program - 1);
	int r = n < 0 ? -errno : argc > ARGS_MAX ? -E2BIG : open_sockets(&parent);
	if (r < 0) {
		LOG(ERROR, "start", F_ERR("code", r),
			F_STR("run_directory", settings->run_directory));
		return 1;
	}
	raise_descriptors();
	parent.loop = loop_new();
	run_until_signal(&parent);
	loop_free(parent.loop);
	remove_sockets(settings);
	return 0;
}
