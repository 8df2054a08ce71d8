/*
 * An HTTP/1.1 server on connections that somebody else accepted: libmicrohttpd on our loop. A
 * request is given to fn when its body is complete and lives until server_reply, which may come at
 * once or later; exactly one server_reply per request. Reading a request and writing a reply have
 * absolute deadlines, so a peer that trickles bytes is cut.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "net/loop.h"

struct server;
struct server_request;

typedef void server_fn(void *user, struct server_request *request);

struct server_limits {
	size_t body_max_bytes;
	unsigned connections_max, per_address_max; /* 0 = no limit per address */
	unsigned read_s, write_s;
};

struct server_header {
	const char *name, *value;
};

/* always: headers of every reply, ended by { NULL, NULL }; must stay. NULL when the library fails.
 */
struct server *server_new(struct loop *loop, const struct server_limits *limits,
	const struct server_header *always, server_fn *fn, void *user);
/* Requests that wait for a reply are answered with 503. */
void server_free(struct server *server);
/* Takes over fd; address is the peer's for server_address and the limits. -EMFILE when it was
 * refused (and closed). */
int server_add(struct server *server, int fd, const struct sockaddr *address, socklen_t len);

const char *server_method(const struct server_request *request);
const char *server_path(
	const struct server_request *request); /* without the query, percent-decoded */
const char *server_header(
	const struct server_request *request, const char *name); /* NULL when missing */
const char *server_query(
	const struct server_request *request, const char *name); /* NULL when missing */
/* Numeric, "" for Unix sockets. */
const char *server_address(const struct server_request *request);
/* NUL-terminated. */
const char *server_body(const struct server_request *request, size_t *ret_len);

/* extra: further headers, may be NULL. The bytes are copied. */
void server_reply(struct server_request *request, unsigned status, const char *type,
	const void *data, size_t len, const struct server_header *extra);
/* The same for bytes that live as long as the server. */
void server_reply_static(struct server_request *request, unsigned status, const char *type,
	const void *data, size_t len, const struct server_header *extra);
/* {"code": code}; NULL-safe for the error of a request before it is complete. */
void server_reply_code(struct server_request *request, unsigned status, int code);
