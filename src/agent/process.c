#include "agent/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/message.h"
#include "agent/signer.h"
#include "base/err.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	ENV_MAX = 16
};

struct process {
	enum role role;
	pid_t pid;
	struct loop *loop;
	struct timer *deadline; /* of process_finish */
	int channel, sign_channel;
	struct watch *watch, *sign_watch;
	struct evp_pkey_st *sign_key;
	const struct process_events *events; /* NULL after process_free */
	void *user;
	int exited, busy;
	void (*finished)(void *user);
};

const char *
role_name(enum role role)
{
	static const char *const names[] = {"control", "pump", "login", "work", "desktop",
		"check-pam", "check-radius", "check-ldap", "check-certificate", "check-maclist",
		"guard", "standby", "console"};
	return role < ROLE_COUNT ? names[role] : "?";
}

static void
close_channels(struct process *p)
{
	watch_free(p->watch);
	watch_free(p->sign_watch);
	p->watch = p->sign_watch = NULL;
	if (p->channel >= 0)
		close(p->channel);
	if (p->sign_channel >= 0)
		close(p->sign_channel);
	p->channel = p->sign_channel = -1;
}

static void
kill_it(struct process *p)
{
	if (!p->exited && p->pid > 0)
		kill(p->pid, SIGKILL);
	close_channels(p);
}

/* One message. 0, or negative when there is none (any more). */
static int
take_message(struct process *p)
{
	static uint8_t payload[IPC_PAYLOAD_MAX];
	uint16_t type;
	int fd;
	int n = ipc_recv(p->channel, &type, payload, sizeof payload, &fd);
	if (n < 0)
		return n;
	p->events->message(p->user, p->role, type, payload, (size_t)n, fd);
	mem_wipe(payload, (size_t)n);
	return 0;
}

/* Nobody has it any more. */
static void
let_go(struct process *p)
{
	void (*finished)(void *) = p->finished;
	void *user = p->user;
	free(p);
	if (finished)
		finished(user);
}

/* Its last words may still be in the channel when the system says that it has exited. */
static void
on_exit_status(void *user, pid_t pid, int status)
{
	struct process *p = user;
	(void)pid;
	p->exited = p->busy = 1;
	while (p->events && p->channel >= 0 && take_message(p) == 0)
		;
	p->busy = 0;
	timer_free(p->deadline);
	close_channels(p);
	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
		LOG(ERROR, "process.crash", F_STR("role", role_name(p->role)),
			F_INT("signal", WTERMSIG(status)));
	if (p->events)
		p->events->gone(p->user, p->role, status);
	else
		let_go(p);
}

/* The desktop's channel ends when the launcher becomes the real program. */
static void
on_channel(void *user, int ready)
{
	struct process *p = user;
	(void)ready;
	int r = take_message(p);
	if (r == -ERR_CLOSED && p->role == ROLE_DESKTOP)
		close_channels(p);
	else if (r < 0 && r != -EAGAIN)
		kill_it(p);
}

static void
on_sign_channel(void *user, int ready)
{
	struct process *p = user;
	uint8_t digest[DIGEST_BYTES], der[SIGNER_DER_MAX_BYTES];
	size_t len = 0;
	uint16_t type;
	(void)ready;
	int n = ipc_recv(p->sign_channel, &type, digest, sizeof digest, NULL);
	if (n == -EAGAIN)
		return;
	if (n != DIGEST_BYTES || type != MSG_SIGN) {
		kill_it(p);
		return;
	}
	if (signer_sign(p->sign_key, digest, der, &len) < 0)
		len = 0;
	if (ipc_send(p->sign_channel, MSG_SIGNED, der, len, -1) < 0)
		kill_it(p);
}

/* Ours does not block; the child's does. */
static int
open_pair(int *ours, int *ret_theirs)
{
	int pair[2];
	int r = ipc_pair(pair);
	if (r < 0)
		return r;
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	*ours = pair[0];
	*ret_theirs = pair[1];
	return 0;
}

/* What the person's desktop is known by, where we are that person; root's service has only the bus.
 */
static void
take_surroundings(char *env[static ENV_MAX])
{
	static const char *const names[] = {"DBUS_SYSTEM_BUS_ADDRESS", "DBUS_SESSION_BUS_ADDRESS",
		"XDG_RUNTIME_DIR", "XDG_SESSION_TYPE", "WAYLAND_DISPLAY", "HOME", "PATH", "LANG"};
	size_t count = geteuid() == 0 ? 1 : sizeof names / sizeof names[0], at = 0;
	for (char **e = environ; *e; e++)
		for (size_t i = 0; i < count && at < ENV_MAX - 1; i++)
			if (strncmp(*e, names[i], strlen(names[i])) == 0 &&
				(*e)[strlen(names[i])] == '=')
				env[at++] = *e;
	env[at] = NULL;
}

/* The very file that runs, even when a package has replaced it meanwhile: both ends speak the same
 * messages. The proxy's password must not be seen in the list of processes. */
static int
spawn(struct process *p, const struct process_start *start, const int *fds, size_t count)
{
	const struct options *o = start->options;
	char proxy[512] = "", port[8];
	char *env[ENV_MAX] = {proxy, NULL};
	char *argv[] = {"/proc/self/exe", "role", (char *)(uintptr_t)role_name(p->role), "--user",
		o->user, "--log-level", o->log_level, "--display", o->display, "--desktop-program",
		o->desktop_program, "--desktop-user", o->desktop_user ? o->desktop_user : "",
		"--xauthority", o->xauthority ? o->xauthority : "", "--ibus-directory",
		o->ibus_directory ? o->ibus_directory : "", "--desktop-source", o->desktop_source,
		"--rdp-port", port, "--rdp-certificate", o->rdp_certificate, "--rdp-program",
		o->rdp_program, "--rdp-keyboard", o->rdp_keyboard, "--lock-command",
		o->lock_command ? o->lock_command : "", NULL};
	str_print(port, sizeof port, "%u", (unsigned)o->rdp_port);
	if (p->role == ROLE_GUARD || p->role == ROLE_STANDBY || p->role == ROLE_CONSOLE)
		take_surroundings(env);
	if (p->role == ROLE_CONTROL && o->proxy &&
		str_print(proxy, sizeof proxy, "PROXY=%s", o->proxy) < 0)
		return -ENAMETOOLONG;
	return child_start(start->loop, argv, env, fds, count, on_exit_status, p, &p->pid);
}

struct process *
process_new(const struct process_start *start)
{
	struct process *p = mem_new(sizeof *p);
	int theirs[2] = {-1, -1}, fds[4];
	size_t count = 0;
	*p = (struct process){.role = start->role,
		.loop = start->loop,
		.channel = -1,
		.sign_channel = -1,
		.events = start->events,
		.user = start->user,
		.sign_key = start->sign_key};
	int r = open_pair(&p->channel, &theirs[0]);
	if (r == 0 && start->sign_key)
		r = open_pair(&p->sign_channel, &theirs[1]);
	for (int i = 0; i < 2; i++)
		if (theirs[i] >= 0)
			fds[count++] = theirs[i];
	for (int i = 0; i < 2; i++)
		if (start->fds[i] >= 0)
			fds[count++] = start->fds[i];
	if (r == 0)
		r = spawn(p, start, fds, count);
	for (int i = 0; i < 2; i++)
		if (theirs[i] >= 0)
			close(theirs[i]);
	if (r < 0) {
		LOG(ERROR, "process.start", F_STR("role", role_name(start->role)),
			F_ERR("code", r));
		close_channels(p);
		free(p);
		return NULL;
	}
	p->watch = watch_new(start->loop, p->channel, on_channel, p);
	watch_set(p->watch, WATCH_READ);
	if (start->sign_key) {
		p->sign_watch = watch_new(start->loop, p->sign_channel, on_sign_channel, p);
		watch_set(p->sign_watch, WATCH_READ);
	}
	return p;
}

void
process_free(struct process *process)
{
	if (!process)
		return;
	process->events = NULL;
	kill_it(process);
	if (process->exited && !process->busy)
		free(process);
}

static void
on_deadline(void *user)
{
	kill_it(user);
}

void
process_finish(struct process *process, uint64_t deadline_ms, void (*gone)(void *user), void *user)
{
	if (!process)
		return;
	process->events = NULL;
	process->finished = gone;
	process->user = user;
	close_channels(process);
	if (process->exited) {
		if (!process->busy)
			let_go(process);
		return;
	}
	kill(process->pid, SIGTERM);
	process->deadline = timer_new(process->loop, on_deadline, process);
	timer_start(process->deadline, deadline_ms, 0);
}

void
process_leave(struct process *process)
{
	if (!process)
		return;
	process->events = NULL;
	close_channels(process);
	if (process->exited && !process->busy)
		free(process);
}

void
process_hand(struct process *process, void *user)
{
	if (process)
		process->user = user;
}

int
process_is_gone(const struct process *process)
{
	struct pollfd p = {.fd = process->channel};
	return p.fd < 0 || (poll(&p, 1, 0) == 1 && p.revents & POLLHUP);
}

int
process_send(struct process *process, uint16_t type, const void *payload, size_t len, int fd)
{
	if (process->channel < 0)
		return -EPIPE;
	int r = ipc_send(process->channel, type, payload, len, fd);
	if (r < 0 && r != -EPIPE)
		kill_it(process);
	return r;
}
