#include "net/ws.h"

#include <openssl/sha.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "base/wire.h"

struct header {
	uint8_t op, fin;
	uint64_t len;
	const uint8_t *mask;
};

/* RFC 6455 5.2. 1, 0 when the header is not whole, negative when it breaks a rule that its bytes
 * alone show. */
static int
take_header(struct rd *r, struct header *ret)
{
	struct header h;
	uint8_t first = rd_u8(r), second = rd_u8(r);
	if (r->failed)
		return 0;
	h.op = first & 0x0f;
	h.fin = first >> 7;
	h.len = second & 0x7f;
	if (first & 0x70) /* an extension that was not negotiated */
		return -ERR_PROTOCOL;
	if (!(second & 0x80)) /* 5.1: a client masks every frame */
		return -ERR_PROTOCOL;
	if (h.op >= WS_OP_CLOSE && (!h.fin || h.len > WS_CONTROL_MAX_BYTES))
		return -ERR_PROTOCOL;
	uint64_t shortest = h.len == 127 ? 65536 : h.len == 126 ? 126 : 0;
	if (h.len >= 126)
		h.len = h.len == 127 ? rd_u64(r) : rd_u16(r);
	h.mask = rd_bytes(r, 4);
	if (r->failed)
		return 0;
	if (h.len < shortest || h.len >> 63)
		return -ERR_PROTOCOL;
	*ret = h;
	return 1;
}

static int
take_close(struct ws *ws, const uint8_t *payload, size_t len, struct ws_event *event)
{
	struct rd r = rd_init(payload, len);
	event->code = 1005; /* 7.1.5: no code came */
	ws->closed = 1;
	if (len == 0)
		return 0;
	event->code = rd_u16(&r);
	/* 7.4: codes that may travel */
	int sent = (event->code >= 1000 && event->code <= 1014 && event->code != 1004 &&
			   event->code != 1005 && event->code != 1006) ||
		   (event->code >= 3000 && event->code <= 4999);
	return r.failed || !sent || !str_utf8((const char *)r.p, r.left) ? -ERR_PROTOCOL : 0;
}

static int
take_control(struct ws *ws, const struct header *h, struct rd *r, struct ws_event *event)
{
	uint8_t *payload = (uint8_t *)(uintptr_t)rd_bytes(r, h->len);
	if (r->failed)
		return 0;
	for (size_t i = 0; i < h->len; i++)
		payload[i] ^= h->mask[i & 3];
	event->data = payload;
	event->len = h->len;
	if (h->op == WS_OP_CLOSE) {
		event->kind = WS_CLOSE;
		return take_close(ws, payload, h->len, event) < 0 ? -ERR_PROTOCOL : 1;
	}
	event->kind = h->op == WS_OP_PING ? WS_PING : WS_PONG;
	return h->op == WS_OP_PING || h->op == WS_OP_PONG ? 1 : -ERR_PROTOCOL;
}

static int
begin_frame(struct ws *ws, const struct header *h)
{
	/* 5.4: a message begins with its kind and goes on with continuations only */
	if (h->op != (ws->in_message ? WS_OP_CONTINUATION : WS_OP_BINARY))
		return -ERR_PROTOCOL;
	if (h->len > WS_FRAME_MAX_BYTES)
		return -ERR_TOO_LONG;
	ws->left = h->len;
	memcpy(ws->mask, h->mask, sizeof ws->mask);
	ws->mask_at = 0;
	ws->last = h->fin;
	ws->in_message = !(h->fin && h->len == 0);
	return 1;
}

static void
take_payload(struct ws *ws, uint8_t *data, size_t len, struct ws_event *event)
{
	if (len > ws->left)
		len = (size_t)ws->left;
	for (size_t i = 0; i < len; i++)
		data[i] ^= ws->mask[(ws->mask_at + i) & 3];
	ws->mask_at = (uint8_t)((ws->mask_at + len) & 3);
	ws->left -= len;
	if (ws->left == 0 && ws->last)
		ws->in_message = 0;
	*event = (struct ws_event){WS_DATA, data, len, 0};
}

int
ws_read(struct ws *ws, uint8_t *data, size_t len, struct ws_event *ret_event)
{
	struct ws_event event = {.kind = WS_NOTHING};
	struct header h;
	if (len == 0)
		return 0;
	if (ws->closed)
		return -ERR_PROTOCOL;
	if (ws->left > 0) {
		take_payload(ws, data, len, ret_event);
		return (int)ret_event->len;
	}
	struct rd r = rd_init(data, len);
	int n = take_header(&r, &h);
	if (n > 0)
		n = h.op >= WS_OP_CLOSE ? take_control(ws, &h, &r, &event) : begin_frame(ws, &h);
	if (n <= 0)
		return n;
	*ret_event = event;
	return (int)(len - r.left);
}

size_t
ws_header(uint8_t out[static WS_HEADER_MAX_BYTES], uint8_t op, size_t len)
{
	struct wr w = wr_init(out, WS_HEADER_MAX_BYTES);
	wr_u8(&w, (uint8_t)(0x80 | op));
	if (len < 126) {
		wr_u8(&w, (uint8_t)len);
	} else if (len < 65536) {
		wr_u8(&w, 126);
		wr_u16(&w, (uint16_t)len);
	} else {
		wr_u8(&w, 127);
		wr_u64(&w, len);
	}
	return w.len;
}

size_t
ws_close(uint8_t out[static 4], uint16_t code)
{
	struct wr w = wr_init(out, 4);
	wr_u8(&w, 0x80 | WS_OP_CLOSE);
	wr_u8(&w, 2);
	wr_u16(&w, code);
	return w.len;
}

/* RFC 6455 4.2.2 */
int
ws_accept(const char *key, size_t len, char ret_accept[static WS_ACCEPT_SIZE])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	uint8_t nonce[16], hash[SHA_DIGEST_LENGTH];
	char text[24 + sizeof guid];
	size_t nonce_len;
	if (len != 24 || str_unbase64(key, len, nonce, sizeof nonce, &nonce_len) < 0 ||
		nonce_len != 16)
		return -ERR_PROTOCOL;
	memcpy(text, key, 24);
	memcpy(text + 24, guid, sizeof guid);
	SHA1((const uint8_t *)text, sizeof text - 1, hash);
	str_base64(ret_accept, hash, sizeof hash);
	return 0;
}
