#include "gate/management.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	REQUEST_MAX_BYTES = 2048,
	TIME_MS = 5000, /* for one question and its answer */
};

struct connection {
	int fd; /* -1 = free */
	struct mono end;
	char request[REQUEST_MAX_BYTES];
	size_t request_len;
	char *answer; /* NULL while the request comes */
	size_t answer_len, sent;
};

struct management {
	int fd;
	char *path;
	management_fn *fn;
	void *user;
	struct connection connections[MANAGEMENT_CONNECTIONS];
	struct log_limit log;
};

static int
listen_on(const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int r = str_copy(un.sun_path, sizeof un.sun_path, path);
	if (r < 0)
		return r;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	unlink(path); /* of a gate that was killed, or that hands over to this one */
	mode_t mask = umask(0177);
	r = bind(fd, (const struct sockaddr *)&un, sizeof un) < 0 || listen(fd, 8) < 0 ? -errno : 0;
	umask(mask);
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

struct management *
management_new(const char *path, management_fn *fn, void *user)
{
	int fd = listen_on(path);
	if (fd < 0) {
		LOG(ERROR, "metrics.socket", F_STR("path", path), F_ERR("code", fd));
		return NULL;
	}
	struct management *m = mem_new(sizeof *m);
	*m = (struct management){.fd = fd,
		.path = mem_str(path),
		.fn = fn,
		.user = user,
		.log = {.burst = 3, .window_ms = 10000}};
	for (size_t i = 0; i < MANAGEMENT_CONNECTIONS; i++)
		m->connections[i].fd = -1;
	return m;
}

static void
leave(struct connection *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->answer);
	*c = (struct connection){.fd = -1};
}

void
management_free(struct management *m, int remove)
{
	if (!m)
		return;
	for (size_t i = 0; i < MANAGEMENT_CONNECTIONS; i++)
		leave(&m->connections[i]);
	close(m->fd);
	if (remove)
		unlink(m->path);
	free(m->path);
	free(m);
}

void
management_poll(const struct management *m, struct pollfd fds[static MANAGEMENT_FDS])
{
	fds[0] = (struct pollfd){.fd = m ? m->fd : -1, .events = POLLIN};
	for (size_t i = 0; i < MANAGEMENT_CONNECTIONS; i++) {
		const struct connection *c = m ? &m->connections[i] : NULL;
		fds[1 + i] = (struct pollfd){
			.fd = c ? c->fd : -1, .events = c && c->answer ? POLLOUT : POLLIN};
	}
}

static void
take_one(struct management *m)
{
	struct ucred who;
	socklen_t len = sizeof who;
	uint32_t held;
	int fd = accept4(m->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	int may = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 &&
		  (who.uid == 0 || who.uid == geteuid());
	struct connection *c = NULL;
	for (size_t i = 0; may && !c && i < MANAGEMENT_CONNECTIONS; i++)
		if (m->connections[i].fd < 0)
			c = &m->connections[i];
	if (!c) {
		if (log_limit_pass(&m->log, &held))
			LOG(WARN, "metrics.refused", F_INT("uid", may ? -1 : (int64_t)who.uid),
				F_ERR("code", may ? ERR_TOO_MANY : ERR_DENIED),
				F_INT("held", held));
		close(fd);
		return;
	}
	c->fd = fd;
	c->end = mono_add_ms(mono_now(), TIME_MS);
}

/* 0, or negative when there is nothing more to do for it. */
static int
answer(struct management *m, struct connection *c)
{
	static const char type[] = "application/openmetrics-text; version=1.0.0; charset=utf-8";
	char *body = NULL, head[256];
	size_t len = 0;
	int known = strncmp(c->request, "GET /metrics ", strlen("GET /metrics ")) == 0;
	if (known && m->fn(m->user, &body, &len) < 0)
		return -ENOMEM;
	int n = snprintf(head, sizeof head,
		"HTTP/1.0 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
		known ? "200 OK" : "404 Not Found", known ? type : "text/plain", len);
	c->answer = mem_array((size_t)n + len, 1);
	if (c->answer) {
		memcpy(c->answer, head, (size_t)n);
		if (len)
			memcpy(c->answer + n, body, len);
		c->answer_len = (size_t)n + len;
	}
	free(body);
	return c->answer ? 0 : -ENOMEM;
}

static int
hear(struct management *m, struct connection *c)
{
	ssize_t n =
		recv(c->fd, c->request + c->request_len, sizeof c->request - 1 - c->request_len, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	c->request_len += (size_t)n;
	c->request[c->request_len] = '\0';
	if (strstr(c->request, "\r\n\r\n"))
		return answer(m, c);
	return n == 0 || c->request_len == sizeof c->request - 1 ? -ERR_PROTOCOL : 0;
}

static int
say(struct connection *c)
{
	ssize_t n = send(c->fd, c->answer + c->sent, c->answer_len - c->sent, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	c->sent += (size_t)n;
	return c->sent == c->answer_len ? -ERR_CLOSED : 0;
}

void
management_run(struct management *m, const struct pollfd fds[static MANAGEMENT_FDS])
{
	struct mono now = mono_now();
	if (!m)
		return;
	for (size_t i = 0; i < MANAGEMENT_CONNECTIONS; i++) {
		struct connection *c = &m->connections[i];
		int r = 0;
		if (c->fd >= 0 && fds[1 + i].fd == c->fd && fds[1 + i].revents)
			r = c->answer ? say(c) : hear(m, c);
		if (c->fd >= 0 && (r < 0 || mono_before(c->end, now)))
			leave(c);
	}
	if (fds[0].revents)
		take_one(m);
}
