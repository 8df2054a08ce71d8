#include "gate/browser.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/wire.h"
#include "gate/door.h"
#include "gate/order.h"
#include "gate/pipe.h"
#include "gate/tell.h"
#include "gate/worker.h"
#include "net/http.h"

#define WS_TARGET "/v1/ws"
#define WS_PROTOCOL "engawa.1"

enum {
	PROXY_MAX_BYTES = 16 + 36
};

static const char *
status_text(int status)
{
	switch (status) {
	case 403:
		return "Forbidden";
	case 408:
		return "Request Timeout";
	case 431:
		return "Request Header Fields Too Large";
	case 503:
		return "Service Unavailable";
	default:
		return "Bad Request";
	}
}

void
browser_refuse(struct worker *w, struct leg *l, int status, int code)
{
	char body[32], answer[256];
	str_print(body, sizeof body, "{\"code\":%d}\n", code);
	int r = str_print(answer, sizeof answer,
		"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n"
		"Connection: close\r\n\r\n%s",
		status, status_text(status), strlen(body), body);
	if (r == 0)
		leg_send(w, l, answer, strlen(answer));
	leg_end(w, l, -code);
}

/* The page that opens the WebSocket must be ours: the origin is https and this very host. */
static int
same_origin(const struct http_head *h)
{
	static const char scheme[] = "https://";
	const struct http_span o = h->origin, host = h->host;
	char text[256];
	if (!o.p || !host.p || host.len == 0 || host.len >= sizeof text ||
		o.len != sizeof scheme - 1 + host.len)
		return 0;
	memcpy(text, host.p, host.len);
	text[host.len] = '\0';
	return memcmp(o.p, scheme, sizeof scheme - 1) == 0 &&
	       http_is((struct http_span){o.p + sizeof scheme - 1, host.len}, text);
}

static int
has_body(const struct http_head *h)
{
	return h->coding.p || (h->length.p && !http_is(h->length, "0"));
}

/* RFC 6455 4.2.1. What came behind the head is the first frames. */
static void
upgrade(struct worker *w, struct leg *l, const struct http_head *h, uint8_t *rest, size_t rest_len)
{
	char accept[WS_ACCEPT_SIZE], answer[256];
	if (!http_is(h->method, "GET") || h->minor != 1 || has_body(h) ||
		!http_list_has(h->upgrade, "websocket") ||
		!http_list_has(h->connection, "upgrade") || !http_is(h->ws_version, "13") ||
		!http_list_has(h->ws_protocols, WS_PROTOCOL) || !h->ws_key.p ||
		ws_accept(h->ws_key.p, h->ws_key.len, accept) < 0) {
		browser_refuse(w, l, 400, ERR_PROTOCOL);
		return;
	}
	if (!same_origin(h)) {
		browser_refuse(w, l, 403, ERR_DENIED);
		return;
	}
	int r = str_print(answer, sizeof answer,
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n"
		"Sec-WebSocket-Protocol: " WS_PROTOCOL "\r\n\r\n",
		accept);
	if (r < 0 || leg_send(w, l, answer, strlen(answer)) < 0)
		return;
	l->is_ws = 1;
	l->entry.ws = (struct ws){0};
	l->state = LEG_HELLO;
	leg_deadline(w, l, w->settings.hello_s);
	size_t len = 0;
	r = leg_unwrap(w, l, rest, rest_len, rest, &len);
	if (r < 0) {
		leg_end(w, l, r);
		return;
	}
	r = leg_hold(w, l, NULL, 0);
	if (r == 0)
		r = order_frames(w, l, rest, len);
	if (r < 0)
		leg_bye(w, l, r);
	else if (l->eof)
		leg_end(w, l, -ERR_CLOSED);
}

static void
splice(struct worker *w, struct leg *l, const uint8_t *data, size_t len)
{
	const struct tell_http want = {l->fd, l->serial};
	if (limit_take(&w->limits, LIMIT_SPLICE, &l->address) < 0) {
		browser_refuse(w, l, 503, ERR_TOO_MANY);
		return;
	}
	l->state = LEG_DIALLING;
	door_opened(w, l);
	leg_deadline(w, l, w->settings.controller_s);
	if (leg_hold(w, l, data, len) < 0)
		leg_close(w, l, -ENOMEM);
	else if (worker_tell(w, TELL_WANT_HTTP, &want, sizeof want) < 0)
		browser_refuse(w, l, 503, ERR_NO_CONTROLLER);
}

/* Path of an origin-form target, without its query. */
static int
is_ws_target(struct http_span target)
{
	const char *query = memchr(target.p, '?', target.len);
	if (query)
		target.len = (size_t)(query - target.p);
	return target.len == strlen(WS_TARGET) && memcmp(target.p, WS_TARGET, target.len) == 0;
}

void
browser_head(struct worker *w, struct leg *l)
{
	struct http_head head;
	uint8_t *data;
	size_t len;
	int r = leg_take(w, l, &data, &len);
	if (r == -EAGAIN)
		return;
	if (r < 0) {
		leg_close(w, l, r);
		return;
	}
	int used = http_head_parse(data, len, &head);
	if (used < 0) {
		browser_refuse(w, l, used == -ERR_TOO_LONG ? 431 : 400, -used);
	} else if (used == 0) {
		if (leg_hold(w, l, data, len) < 0)
			leg_close(w, l, -ENOMEM);
		else
			leg_run_later(w, l);
	} else if (is_ws_target(head.target)) {
		upgrade(w, l, &head, data + used, len - (size_t)used);
		leg_run_later(w, l);
	} else {
		splice(w, l, data, len);
	}
}

static void
put_address(struct wr *out, const struct sockaddr_storage *ss, int v4)
{
	const struct sockaddr_in *in = (const void *)ss;
	const struct sockaddr_in6 *in6 = (const void *)ss;
	if (ss->ss_family == AF_INET)
		wr_bytes(out, &in->sin_addr, 4);
	else
		wr_bytes(out, in6->sin6_addr.s6_addr + (v4 ? 12 : 0), v4 ? 4 : 16);
}

static uint16_t
port_of(const struct sockaddr_storage *ss)
{
	const struct sockaddr_in *in = (const void *)ss;
	const struct sockaddr_in6 *in6 = (const void *)ss;
	return ntohs(ss->ss_family == AF_INET ? in->sin_port : in6->sin6_port);
}

/* PROXY protocol v2 (haproxy's proxy-protocol.txt 2.2). */
static size_t
proxy_header(const struct leg *l, uint8_t out[static PROXY_MAX_BYTES])
{
	static const uint8_t signature[12] = {
		0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
	struct sockaddr_storage peer = {0}, self = {0};
	socklen_t peer_len = sizeof peer, self_len = sizeof self;
	int v4 = address_is_v4(&l->address);
	struct wr w = wr_init(out, PROXY_MAX_BYTES);
	wr_bytes(&w, signature, sizeof signature);
	wr_u8(&w, 0x21); /* version 2, PROXY */
	if (getpeername(l->fd, (void *)&peer, &peer_len) < 0 ||
		getsockname(l->fd, (void *)&self, &self_len) < 0) {
		wr_u8(&w, 0);
		wr_u16(&w, 0);
		return w.len;
	}
	wr_u8(&w, v4 ? 0x11 : 0x21); /* TCP over IPv4, IPv6 */
	wr_u16(&w, v4 ? 12 : 36);
	wr_bytes(&w, l->address.bytes + (v4 ? 12 : 0), v4 ? 4 : 16);
	if (l->proxied) { /* the families may differ, and nobody asks */
		wr_bytes(&w, (const uint8_t[16]){0}, v4 ? 4 : 16);
		wr_u32(&w, 0);
		return w.len;
	}
	put_address(&w, &self, v4);
	wr_u16(&w, port_of(&peer));
	wr_u16(&w, port_of(&self));
	return w.len;
}

void
browser_connected(struct worker *w, struct leg *l, int fd)
{
	uint8_t header[PROXY_MAX_BYTES];
	struct leg *p = fd >= 0 ? leg_new(w, LEG_SPLICE, fd, NULL, &l->address) : NULL;
	if (!p) {
		browser_refuse(w, l, 503, ERR_NO_CONTROLLER);
		return;
	}
	/* the place of LIMIT_SPLICE goes from l to p: l is no longer dialling */
	pipe_join(w, l, p);
	int r = queue_add(&w->pool, &p->out, header, proxy_header(l, header));
	if (r == 0)
		r = queue_add(&w->pool, &p->out, l->in->bytes, l->in->len);
	if (r == 0)
		r = leg_hold(w, l, NULL, 0);
	if (r < 0)
		leg_close(w, l, r);
}
