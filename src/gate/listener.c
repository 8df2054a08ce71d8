#include "gate/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "base/str.h"

enum {
	BACKLOG = 4096
};

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static int
parse(const char *text, union address *ret, socklen_t *ret_len)
{
	union address a = {0};
	char host[64];
	int64_t port;
	const char *colon = strrchr(text, ':');
	if (!colon || str_int(colon + 1, 0, 65535, &port) < 0)
		return -ERR_SETTING;
	int v6 = text[0] == '[' && colon > text && colon[-1] == ']';
	const char *start = text + (v6 ? 1 : 0), *end = colon - (v6 ? 1 : 0);
	if (end < start || str_print(host, sizeof host, "%.*s", (int)(end - start), start) < 0)
		return -ERR_SETTING;
	if (inet_pton(v6 ? AF_INET6 : AF_INET, host,
		    v6 ? (void *)&a.v6.sin6_addr : (void *)&a.v4.sin_addr) != 1)
		return -ERR_SETTING;
	a.any.sa_family = v6 ? AF_INET6 : AF_INET;
	if (v6)
		a.v6.sin6_port = htons((uint16_t)port);
	else
		a.v4.sin_port = htons((uint16_t)port);
	*ret = a;
	*ret_len = v6 ? sizeof a.v6 : sizeof a.v4;
	return 0;
}

/* Opens one; *a becomes the address that it has. */
static int
open_one(union address *a, socklen_t len, int *ret_fd)
{
	const int on = 1;
	int v6 = a->any.sa_family == AF_INET6;
	/* [::] is for both families */
	int v6_only = v6 && !IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr);
	int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0 ||
		(v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only) < 0) ||
		bind(fd, &a->any, len) < 0 || listen(fd, BACKLOG) < 0 ||
		getsockname(fd, &a->any, &len) < 0) {
		int r = -errno;
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

static void
write_text(const union address *a, char ret_text[static LISTENER_TEXT_SIZE])
{
	char host[INET6_ADDRSTRLEN] = "";
	int v6 = a->any.sa_family == AF_INET6;
	inet_ntop(a->any.sa_family,
		v6 ? (const void *)&a->v6.sin6_addr : (const void *)&a->v4.sin_addr, host,
		sizeof host);
	str_print(ret_text, LISTENER_TEXT_SIZE, v6 ? "[%s]:%u" : "%s:%u", host,
		ntohs(v6 ? a->v6.sin6_port : a->v4.sin_port));
}

void
listener_text(int fd, char ret_text[static LISTENER_TEXT_SIZE])
{
	union address a = {0};
	socklen_t len = sizeof a;
	getsockname(fd, &a.any, &len);
	write_text(&a, ret_text);
}

int
listener_open(
	const char *address, int *ret_fds, size_t count, char ret_text[static LISTENER_TEXT_SIZE])
{
	union address a;
	socklen_t len;
	size_t i = 0;
	int r = parse(address, &a, &len);
	for (; r == 0 && i < count; i++) {
		r = open_one(&a, len, &ret_fds[i]);
		if (r < 0)
			break;
	}
	if (r < 0) {
		while (i-- > 0)
			close(ret_fds[i]);
		return r;
	}
	write_text(&a, ret_text);
	return 0;
}

int
listener_dial(const char *directory, const char *name)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int r = str_print(un.sun_path, sizeof un.sun_path, "%s/%s", directory, name);
	if (r < 0)
		return r;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&un, sizeof un) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}
