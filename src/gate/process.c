#include "gate/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/ipc.h"
#include "base/log.h"
#include "gate/tell.h"

enum {
	START_MS = 10000,
	ENVIRONMENT_MAX = 256
};

/* Only what is safe between fork and exec. */
static void
run(const char *path, char *const *argv, char *const *env, int channel)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		_exit(127);
	if (channel == PROCESS_CHANNEL ? fcntl(channel, F_SETFD, 0) < 0
				       : dup2(channel, PROCESS_CHANNEL) < 0)
		_exit(127);
	execve(path, argv, env);
	_exit(127);
}

static int
start(struct process *process, const char *path, char *const *argv, char *const *env)
{
	const struct timeval limit = {.tv_sec = 1};
	int pair[2];
	int r = ipc_pair(pair);
	if (r < 0)
		return r;
	pid_t pid = fork();
	if (pid == 0)
		run(path, argv, env, pair[1]);
	r = pid < 0 ? -errno : 0;
	close(pair[1]);
	if (r < 0) {
		close(pair[0]);
		return r;
	}
	setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	*process = (struct process){.pid = pid, .channel = pair[0], .started = mono_now()};
	return 0;
}

int
process_start(struct process *process, const char *role)
{
	char *const argv[] = {(char *)(uintptr_t) "engawa-gate", (char *)(uintptr_t)role, NULL};
	char *const env[] = {NULL};
	return start(process, "/proc/self/exe", argv, env);
}

int
process_start_other(struct process *process, const char *path, char *const *argv)
{
	char *env[ENVIRONMENT_MAX + 2] = {(char *)(uintptr_t)PROCESS_UPGRADE "=1"};
	size_t count = 1;
	for (char **at = environ; *at; at++) {
		if (strncmp(*at, PROCESS_UPGRADE "=", sizeof PROCESS_UPGRADE) == 0)
			continue;
		if (count > ENVIRONMENT_MAX)
			return -ERR_TOO_LONG;
		env[count++] = *at;
	}
	return start(process, path, argv, env);
}

int
process_tell(struct process *process, unsigned short type, const void *payload, size_t len, int fd)
{
	int r = process->channel < 0 ? -ERR_CLOSED
				     : ipc_send(process->channel, type, payload, len, fd);
	if (r == -EAGAIN) {
		LOG(ERROR, "process.stuck", F_INT("pid", process->pid));
		if (process->pid > 0)
			kill(process->pid, SIGKILL);
	}
	return r;
}

int
process_ready(struct process *process)
{
	struct pollfd pfd = {.fd = process->channel, .events = POLLIN};
	uint16_t type;
	uint8_t none[8];
	int n;
	do
		n = poll(&pfd, 1, START_MS);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : -ERR_TIMEOUT;
	int r = ipc_recv(process->channel, &type, none, sizeof none, NULL);
	return r < 0 ? r : type == TELL_READY ? 0 : -ERR_PROTOCOL;
}

void
process_gone(struct process *process)
{
	if (process->channel >= 0)
		close(process->channel);
	*process = (struct process){.channel = -1};
}
