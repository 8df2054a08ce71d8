/* base/ipc: whole messages, at most one descriptor, none kept that was not asked for. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/ipc.h"

static int fds[2];
static uint8_t payload[IPC_PAYLOAD_MAX + 1];

static int
setup(void **state)
{
	(void)state;
	return ipc_pair(fds);
}

static int
teardown(void **state)
{
	(void)state;
	close(fds[0]);
	close(fds[1]);
	return 0;
}

static int
open_descriptors(void)
{
	int count = 0;
	DIR *directory = opendir("/proc/self/fd");
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static void
test_messages(void **state)
{
	(void)state;
	uint16_t type;
	memset(payload, 'p', sizeof payload);
	assert_int_equal(ipc_send(fds[0], 7, "abc", 3, -1), 0);
	assert_int_equal(ipc_send(fds[0], 8, NULL, 0, -1), 0);
	assert_int_equal(ipc_recv(fds[1], &type, payload, sizeof payload, NULL), 3);
	assert_int_equal(type, 7);
	assert_memory_equal(payload, "abc", 3);
	assert_int_equal(ipc_recv(fds[1], &type, payload, 0, NULL), 0);
	assert_int_equal(type, 8);
	assert_int_equal(ipc_send(fds[0], 1, payload, IPC_PAYLOAD_MAX, -1), 0);
	assert_int_equal(ipc_recv(fds[1], &type, payload, sizeof payload, NULL), IPC_PAYLOAD_MAX);
	assert_int_equal(ipc_send(fds[0], 1, payload, sizeof payload, -1), -ERR_TOO_LONG);
	/* half a message is never seen */
	assert_int_equal(ipc_send(fds[0], 1, "abc", 3, -1), 0);
	assert_int_equal(ipc_recv(fds[1], &type, payload, 2, NULL), -ERR_TOO_LONG);
	assert_int_equal(send(fds[0], "x", 1, 0), 1);
	assert_int_equal(ipc_recv(fds[1], &type, payload, 2, NULL), -ERR_PROTOCOL);
	close(fds[0]);
	fds[0] = -1;
	assert_int_equal(ipc_recv(fds[1], &type, payload, 2, NULL), -ERR_CLOSED);
	assert_int_equal(ipc_send(fds[1], 1, NULL, 0, -1), -EPIPE);
}

static void
test_full(void **state)
{
	(void)state;
	int r = 0;
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	for (int i = 0; r == 0 && i < 100000; i++)
		r = ipc_send(fds[0], 1, payload, 1000, -1);
	assert_int_equal(r, -EAGAIN);
}

static void
test_descriptor(void **state)
{
	(void)state;
	uint16_t type;
	int fd = 77, before = open_descriptors();
	assert_int_equal(ipc_send(fds[0], 7, "abc", 3, 0), 0);
	assert_int_equal(ipc_recv(fds[1], &type, payload, sizeof payload, &fd), 3);
	assert_true(fd > 2);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	assert_int_equal(ipc_send(fds[0], 7, "abc", 3, -1), 0);
	assert_int_equal(ipc_recv(fds[1], &type, payload, sizeof payload, &fd), 3);
	assert_int_equal(fd, -1);
	/* not asked for */
	assert_int_equal(ipc_send(fds[0], 7, "abc", 3, 0), 0);
	assert_int_equal(ipc_recv(fds[1], &type, payload, sizeof payload, NULL), -ERR_TOO_LONG);
	/* with a message that does not fit */
	assert_int_equal(ipc_send(fds[0], 7, "abc", 3, 0), 0);
	assert_int_equal(ipc_recv(fds[1], &type, payload, 2, &fd), -ERR_TOO_LONG);
	assert_int_equal(open_descriptors(), before);
}

static void
send_descriptors(size_t count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} control = {0};
	struct iovec iov = {"ab", 2};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = CMSG_SPACE(count * sizeof(int))};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int list[8] = {0, 1, 2, 0, 1, 2, 0, 1};
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(c), list, count * sizeof(int));
	assert_int_equal(sendmsg(fds[0], &msg, 0), 2);
}

/* A hostile process that would fill our table: two descriptors fit into the padding of one. */
static void
test_many_descriptors(void **state)
{
	(void)state;
	uint16_t type;
	int fd, before = open_descriptors();
	for (size_t count = 2; count <= 8; count++) {
		send_descriptors(count);
		assert_int_equal(
			ipc_recv(fds[1], &type, payload, sizeof payload, &fd), -ERR_TOO_LONG);
		send_descriptors(count);
		assert_int_equal(
			ipc_recv(fds[1], &type, payload, sizeof payload, NULL), -ERR_TOO_LONG);
		assert_int_equal(open_descriptors(), before);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_messages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_descriptor, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_descriptors, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
