#include "base/ipc.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/err.h"

int
ipc_pair(int ret_fds[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0)
		return -errno;
	/* room for one whole message with the kernel's own accounting */
	int size = 4 * IPC_PAYLOAD_MAX;
	for (int i = 0; i < 2; i++)
		setsockopt(ret_fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	return 0;
}

int
ipc_send(int sock, uint16_t type, const void *payload, size_t len, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov[2] = {{&type, sizeof type}, {(void *)(uintptr_t)payload, len}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	if (len > IPC_PAYLOAD_MAX)
		return -ERR_TOO_LONG;
	if (fd >= 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof control.bytes;
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
	}
	for (;;) {
		if (sendmsg(sock, &msg, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

/*
 * The padding of a control message for one descriptor has room for a second one, and the kernel
 * fills it: whatever came is ours to close. Returns how many came; the first is *ret_fd when it is
 * the only one, the others are closed.
 */
static size_t
take_fds(struct msghdr *msg, int *ret_fd)
{
	size_t count = 0;
	int fd;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof fd <= c->cmsg_len; at += sizeof fd) {
			memcpy(&fd, CMSG_DATA(c) + (at - CMSG_LEN(0)), sizeof fd);
			if (count++ == 0)
				*ret_fd = fd;
			else
				close(fd);
		}
	}
	return count;
}

int
ipc_recv(int sock, uint16_t *ret_type, void *payload, size_t cap, int *ret_fd)
{
	uint16_t type = 0;
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov[2] = {{&type, sizeof type}, {payload, cap}};
	/* without a place for descriptors the kernel drops them before they are ours */
	struct msghdr msg = {.msg_iov = iov,
		.msg_iovlen = 2,
		.msg_control = ret_fd ? control.bytes : NULL,
		.msg_controllen = ret_fd ? sizeof control.bytes : 0};
	ssize_t n;
	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	/* ECONNRESET, once: the other side died before it had read everything. What it had sent is
	 * still there, and comes next. */
	if (n < 0)
		return -errno;
	int fd = -1;
	size_t fds = take_fds(&msg, &fd);
	int r = n == 0 ? -ERR_CLOSED : (size_t)n < sizeof type ? -ERR_PROTOCOL : 0;
	if (fds > 1 || msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		r = -ERR_TOO_LONG;
	if (r < 0) {
		if (fd >= 0)
			close(fd);
		return r;
	}
	*ret_type = type;
	if (ret_fd)
		*ret_fd = fd;
	return (int)((size_t)n - sizeof type);
}
