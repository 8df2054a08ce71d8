/*
 * One HTTP/1 request head (RFC 9112), read strictly: what two readers could understand differently
 * is refused. The gate looks at it once, to tell a WebSocket upgrade from a request that it splices
 * to the controller. Pure: no I/O, no allocation.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
	HTTP_HEAD_MAX_BYTES = 8192, /* a browser's head with cookies is below 4 KiB */
	HTTP_HEADERS_MAX = 64,
};

/* Part of the head as it came; p NULL = absent. */
struct http_span {
	const char *p;
	size_t len;
};

struct http_head {
	struct http_span method, target, host, origin;
	struct http_span ws_key;       /* Sec-WebSocket-Key */
	struct http_span ws_version;   /* Sec-WebSocket-Version */
	struct http_span ws_protocols; /* Sec-WebSocket-Protocol: a list */
	struct http_span upgrade, connection, length, coding;
	int minor; /* HTTP/1.0 or 1.1 */
};

/*
 * Looks at the first bytes of data. Returns the bytes of the head with its empty line (spans point
 * into data), 0 when more are needed, -ERR_PROTOCOL for anything that is no plain HTTP/1 head,
 * -ERR_TOO_LONG past HTTP_HEAD_MAX_BYTES.
 */
int http_head_parse(const void *data, size_t len, struct http_head *ret_head);

/* 1 when the span is text, letter case ignored. */
int http_is(struct http_span span, const char *text);
/* 1 when one item of the comma-separated list is text, letter case ignored (RFC 9110 5.6.1). */
int http_list_has(struct http_span list, const char *text);
