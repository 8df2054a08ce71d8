/*
 * Name to connected socket: resolves off the loop, tries addresses of both families 250 ms apart
 * (RFC 8305), first one wins. Through an HTTP proxy when one is given (libcurl's CONNECT tunnel).
 */
#pragma once
#include <stdint.h>

#include "net/loop.h"

struct dial;

/* fd is non-blocking, close-on-exec and the callee's, or negative: -ERR_TIMEOUT, -ERR_NO_GATE (no
 * such name), -ERR_PROXY, -ERR_PROXY_LOGIN, -errno (-EINVAL: target). Called once from the loop,
 * then the dial is gone. */
typedef void dial_fn(void *user, int fd);

/* target "host:port" or "[v6]:port"; proxy "http://[user:password@]host:port" or NULL. Never NULL.
 */
struct dial *dial_start(struct loop *loop, const char *target, const char *proxy,
	uint64_t deadline_ms, dial_fn *fn, void *user);
void dial_cancel(struct dial *dial); /* fn is not called any more; NULL is fine */

/* Splits "host:port". 0 or -EINVAL. */
int dial_split(
	const char *target, char *ret_host, size_t host_size, char *ret_port, size_t port_size);
