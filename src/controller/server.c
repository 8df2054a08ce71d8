/*
 * A request: reading --body complete--> fn called --server_reply in fn-------------------->
 * response queued --> completed |                                                  ^
 *                                          +--> suspended --server_reply later, resumed--------+
 */
#include "controller/server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	CONNECTION_MEMORY_BYTES =
		32 * 1024, /* head of a request: cookies of a shared host name fit */
	IDLE_S = 15,
	WATCH_DEADLINES_MS = 1000,
};

struct server_conn {
	struct server_conn *next, **link;
	int fd;
	struct mono deadline;
};

struct server {
	struct loop *loop;
	struct MHD_Daemon *daemon;
	struct watch *watch;
	struct timer *timer, *deadlines;
	struct server_limits limits;
	const struct server_header *always;
	server_fn *fn;
	void *user;
	struct server_conn *conns;
	struct server_request *requests; /* handed to fn, not replied */
	int stopping;
};

struct server_request {
	struct server *server;
	struct server_request *next, **link;
	struct MHD_Connection *connection;
	struct MHD_Response *response;
	unsigned status;
	const char *method;
	char *path;
	char address[INET6_ADDRSTRLEN];
	struct buf body;
	int too_large, given, suspended;
};

static void
add_headers(struct MHD_Response *response, const struct server_header *headers)
{
	for (; headers && headers->name; headers++)
		MHD_add_response_header(response, headers->name, headers->value);
}

static void
set_response(struct server_request *request, unsigned status, const char *type,
	struct MHD_Response *response, const struct server_header *extra)
{
	if (!response)
		abort(); /* out of memory for a header list */
	assert(!request->response);
	if (type)
		MHD_add_response_header(response, "Content-Type", type);
	add_headers(response, request->server->always);
	add_headers(response, extra);
	request->response = response;
	request->status = status;
	if (request->link) {
		*request->link = request->next;
		if (request->next)
			request->next->link = request->link;
		request->link = NULL;
	}
	if (request->suspended) {
		request->suspended = 0;
		MHD_resume_connection(request->connection);
		timer_start(
			request->server->timer, 0, 0); /* the library wants to be run once more */
	}
}

void
server_reply(struct server_request *request, unsigned status, const char *type, const void *data,
	size_t len, const struct server_header *extra)
{
	set_response(request, status, type,
		MHD_create_response_from_buffer(
			len, (void *)(uintptr_t)data, MHD_RESPMEM_MUST_COPY),
		extra);
}

void
server_reply_static(struct server_request *request, unsigned status, const char *type,
	const void *data, size_t len, const struct server_header *extra)
{
	set_response(request, status, type,
		MHD_create_response_from_buffer(
			len, (void *)(uintptr_t)data, MHD_RESPMEM_PERSISTENT),
		extra);
}

void
server_reply_code(struct server_request *request, unsigned status, int code)
{
	char text[32];
	str_print(text, sizeof text, "{\"code\": %d}", abs(code));
	server_reply(request, status, "application/json", text, strlen(text), NULL);
}

const char *
server_method(const struct server_request *request)
{
	return request->method;
}

const char *
server_path(const struct server_request *request)
{
	return request->path;
}

const char *
server_header(const struct server_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *
server_query(const struct server_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *
server_address(const struct server_request *request)
{
	return request->address;
}

const char *
server_body(const struct server_request *request, size_t *ret_len)
{
	*ret_len = buf_len(&request->body);
	return *ret_len ? (const char *)buf_data(&request->body) : "";
}

static void
set_deadline(struct MHD_Connection *connection, unsigned seconds)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct server_conn *conn = info ? info->socket_context : NULL;
	if (conn)
		conn->deadline = mono_add_ms(mono_now(), seconds * 1000ull);
}

static void
take_address(struct server_request *request)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *sa = info ? info->client_addr : NULL;
	const void *bytes = NULL;
	if (sa && sa->sa_family == AF_INET)
		bytes = &((const struct sockaddr_in *)sa)->sin_addr;
	else if (sa && sa->sa_family == AF_INET6)
		bytes = &((const struct sockaddr_in6 *)sa)->sin6_addr;
	if (bytes)
		inet_ntop(sa->sa_family, bytes, request->address, sizeof request->address);
}

static struct server_request *
request_new(struct server *server, struct MHD_Connection *connection, const char *path,
	const char *method)
{
	struct server_request *request = mem_new(sizeof *request);
	request->server = server;
	request->connection = connection;
	request->path = mem_str(path);
	request->method = method; /* lives as long as the connection's request */
	buf_init(&request->body, server->limits.body_max_bytes + 1);
	const char *length =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");
	int64_t bytes;
	request->too_large = length && (str_int(length, 0, INT64_MAX, &bytes) < 0 ||
					       (size_t)bytes > server->limits.body_max_bytes);
	take_address(request);
	return request;
}

static void
take_body(struct server_request *request, const char *data, size_t len)
{
	if (request->too_large)
		return;
	if (buf_len(&request->body) + len > request->server->limits.body_max_bytes ||
		buf_add(&request->body, data, len) < 0)
		request->too_large = 1;
}

/* The body is complete: once into fn, then out with whatever it decides. */
static enum MHD_Result
finish(struct server_request *request)
{
	struct server *server = request->server;
	if (!request->given) {
		request->given = 1;
		set_deadline(request->connection, server->limits.write_s);
		if (request->too_large) {
			server_reply_code(request, MHD_HTTP_CONTENT_TOO_LARGE, ERR_TOO_LONG);
		} else if (server->stopping) {
			server_reply_code(request, MHD_HTTP_SERVICE_UNAVAILABLE, ERR_DRAIN);
		} else {
			*buf_reserve(&request->body, 1) = '\0'; /* room for it was kept */
			request->next = server->requests;
			request->link = &server->requests;
			if (request->next)
				request->next->link = &request->next;
			server->requests = request;
			server->fn(server->user, request);
		}
	}
	if (request->response)
		return MHD_queue_response(request->connection, request->status, request->response);
	request->suspended = 1;
	MHD_suspend_connection(request->connection);
	return MHD_YES;
}

static enum MHD_Result
on_access(void *user, struct MHD_Connection *connection, const char *path, const char *method,
	const char *version, const char *data, size_t *data_len, void **context)
{
	struct server *server = user;
	struct server_request *request = *context;
	(void)version;
	if (!request) {
		request = *context = request_new(server, connection, path, method);
		/* a body that is announced as too large is not even read: the reply closes the
		 * connection */
		return request->too_large ? finish(request) : MHD_YES;
	}
	if (*data_len > 0) {
		take_body(request, data, *data_len);
		*data_len = 0;
		return MHD_YES;
	}
	return finish(request);
}

static void
on_completed(void *user, struct MHD_Connection *connection, void **context,
	enum MHD_RequestTerminationCode why)
{
	struct server *server = user;
	struct server_request *request = *context;
	(void)why;
	set_deadline(connection, server->limits.read_s);
	if (!request)
		return;
	assert(!request->link); /* a suspended request cannot complete */
	MHD_destroy_response(request->response);
	buf_fini(&request->body);
	free(request->path);
	free(request);
	*context = NULL;
}

static void
on_connection(void *user, struct MHD_Connection *connection, void **context,
	enum MHD_ConnectionNotificationCode what)
{
	struct server *server = user;
	struct server_conn *conn = *context;
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		conn = *context = mem_new(sizeof *conn);
		conn->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)
				   ->connect_fd;
		conn->deadline = mono_add_ms(mono_now(), server->limits.read_s * 1000ull);
		conn->next = server->conns;
		conn->link = &server->conns;
		if (conn->next)
			conn->next->link = &conn->next;
		server->conns = conn;
	} else if (conn) {
		*conn->link = conn->next;
		if (conn->next)
			conn->next->link = conn->link;
		free(conn);
		*context = NULL;
	}
}

static void
run(struct server *server)
{
	MHD_UNSIGNED_LONG_LONG after_ms;
	MHD_run(server->daemon);
	if (MHD_get_timeout(server->daemon, &after_ms) == MHD_YES)
		timer_start(server->timer, after_ms, 0);
	else
		timer_stop(server->timer);
}

static void
on_ready(void *user, int ready)
{
	(void)ready;
	run(user);
}

static void
on_timer(void *user)
{
	run(user);
}

static void
on_deadlines(void *user)
{
	struct server *server = user;
	struct mono now = mono_now();
	for (struct server_conn *conn = server->conns; conn; conn = conn->next)
		if (mono_before(conn->deadline, now))
			shutdown(conn->fd,
				SHUT_RDWR); /* the library sees the end of file and closes it */
}

/* A NUL would end the path early: such a name is nobody's. */
static size_t
unescape(void *user, struct MHD_Connection *connection, char *s)
{
	(void)user;
	(void)connection;
	size_t len = MHD_http_unescape(s);
	if (strlen(s) != len)
		s[len = 0] = '\0';
	return len;
}

static void
ignore_log(void *user, const char *format, va_list ap)
{
	(void)user;
	(void)format;
	(void)ap;
}

struct server *
server_new(struct loop *loop, const struct server_limits *limits,
	const struct server_header *always, server_fn *fn, void *user)
{
	struct server *server = mem_new(sizeof *server);
	*server = (struct server){
		.loop = loop, .limits = *limits, .always = always, .fn = fn, .user = user};
	server->daemon = MHD_start_daemon(MHD_USE_NO_LISTEN_SOCKET | MHD_USE_EPOLL |
						  MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG,
		0, NULL, NULL, on_access, server, MHD_OPTION_EXTERNAL_LOGGER, ignore_log, NULL,
		MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, server, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
		MHD_OPTION_CONNECTION_LIMIT, limits->connections_max,
		MHD_OPTION_PER_IP_CONNECTION_LIMIT, limits->per_address_max,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
	if (!server->daemon) {
		free(server);
		return NULL;
	}
	int fd = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	server->watch = watch_new(loop, fd, on_ready, server);
	watch_set(server->watch, WATCH_READ);
	server->timer = timer_new(loop, on_timer, server);
	server->deadlines = timer_new(loop, on_deadlines, server);
	timer_start(server->deadlines, WATCH_DEADLINES_MS, WATCH_DEADLINES_MS);
	return server;
}

void
server_free(struct server *server)
{
	if (!server)
		return;
	server->stopping = 1;
	while (server->requests)
		server_reply_code(server->requests, MHD_HTTP_SERVICE_UNAVAILABLE, ERR_DRAIN);
	MHD_run(server->daemon); /* suspended connections must run once more before the daemon may
				    stop */
	watch_free(server->watch);
	timer_free(server->timer);
	timer_free(server->deadlines);
	MHD_stop_daemon(server->daemon);
	free(server);
}

int
server_add(struct server *server, int fd, const struct sockaddr *address, socklen_t len)
{
	if (MHD_add_connection(server->daemon, fd, address, len) != MHD_YES)
		return errno ? -errno : -EMFILE; /* the library has closed fd */
	run(server);
	return 0;
}
