#include "desktop/dial_rdp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/sandbox.h"

enum {
	CONNECT_S = 5,
	STUCK_MS = 9000, /* the peer takes nothing for so long: the connection is lost */
	PAUSE_MS = 200,  /* between two connections */
};

static int
connect_port(uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval limit = {CONNECT_S, 0}, none = {0};
	const int on = 1;
	const unsigned stuck = STUCK_MS;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
		setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &stuck, sizeof stuck) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0 ||
		connect(fd, (struct sockaddr *)&to, sizeof to) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none) < 0) {
		int r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static int
pass(int dial, int result)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec data = {&result, sizeof result};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
	if (result >= 0) {
		message.msg_control = control.space;
		message.msg_controllen = sizeof control.space;
		control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.header), &result, sizeof result);
	}
	return sendmsg(dial, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Until nobody is at the other end. */
static void
serve(int dial, uint16_t port)
{
	const struct timespec pause = {0, PAUSE_MS * 1000000L};
	char call;
	while (recv(dial, &call, 1, 0) == 1) {
		int fd = connect_port(port);
		if (pass(dial, fd) < 0)
			return;
		if (fd >= 0)
			close(fd);
		nanosleep(&pause, NULL);
	}
}

static void
run(int dial, uint16_t port, const char *user)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	alarm(0);
	if (dup2(dial, STDERR_FILENO + 1) < 0)
		_exit(1);
	dial = STDERR_FILENO + 1;
	close_range(STDERR_FILENO + 2, UINT32_MAX, 0);
	if (sandbox_user(user, NULL) < 0 || sandbox_no_files() < 0 ||
		sandbox_calls(SANDBOX_NETWORK) < 0)
		_exit(1);
	serve(dial, port);
	_exit(0);
}

int
dial_new(uint16_t port, const char *user)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid == 0)
		run(pair[1], port, user);
	int r = pid < 0 ? -errno : pair[0];
	close(pair[1]);
	if (r < 0)
		close(pair[0]);
	return r;
}

int
dial_call(int dial)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	int result = 0;
	struct iovec data = {&result, sizeof result};
	struct msghdr message = {.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof control.space};
	if (send(dial, "", 1, MSG_NOSIGNAL) < 0)
		return -errno;
	ssize_t n = recvmsg(dial, &message, MSG_CMSG_CLOEXEC);
	if (n != (ssize_t)sizeof result)
		return n < 0 ? -errno : -ERR_INTERNAL;
	if (result < 0)
		return result;
	const struct cmsghdr *c = CMSG_FIRSTHDR(&message);
	if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int)))
		return -ERR_INTERNAL;
	memcpy(&result, CMSG_DATA(c), sizeof result);
	return result;
}
