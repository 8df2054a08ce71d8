#include "gate/handover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/wire.h"
#include "gate/secure.h"
#include "net/frame.h"
#include "outer.pb.h"

enum {
	GREETED = 1,
	IS_WS = 2,
	FLAGS = GREETED | IS_WS
};

static void
put_held(struct wr *out, const struct held *held)
{
	wr_u24(out, held ? held->len : 0);
	if (held)
		wr_bytes(out, held->bytes, held->len);
}

static void
put_ws(struct wr *out, const struct ws *ws)
{
	wr_u64(out, ws->left);
	wr_bytes(out, ws->mask, sizeof ws->mask);
	wr_u8(out, ws->mask_at);
	wr_u8(out, ws->in_message);
	wr_u8(out, ws->last);
}

static void
put_queue(struct wr *out, const struct queue *queue)
{
	wr_u24(out, queue->len);
	for (const struct chunk *c = queue->head; c; c = c->next)
		wr_bytes(out, c->bytes + c->start, c->end - c->start);
}

int
handover_encode(const struct leg *l, wheel_tick now, uint8_t *out)
{
	struct wr wr = wr_init(out, HANDOVER_MAX_BYTES);
	wr_u8(&wr, HANDOVER_VERSION);
	wr_u8(&wr, l->kind);
	wr_u8(&wr, l->role);
	wr_u8(&wr, (uint8_t)((l->greeted ? GREETED : 0) | (l->is_ws ? IS_WS : 0)));
	wr_u8(&wr, l->asks);
	wr_u32(&wr, l->build);
	wr_bytes(&wr, l->address.bytes, sizeof l->address.bytes);
	wr_u32(&wr, now - l->opened);
	wr_u32(&wr, now - l->heard);
	secure_pack(l->secure, &wr);
	if (l->is_ws)
		put_ws(&wr, &l->entry.ws);
	put_held(&wr, l->raw);
	put_held(&wr, l->in);
	put_queue(&wr, &l->out);
	return wr.failed ? -ERR_TOO_LONG : (int)wr.len;
}

static int
get_held(struct rd *in, size_t max, struct held **ret)
{
	size_t len = rd_u24(in);
	const uint8_t *bytes = rd_bytes(in, len);
	if (in->failed || len > max)
		return -ERR_PROTOCOL;
	if (len == 0)
		return 0;
	*ret = malloc(sizeof **ret + len);
	if (!*ret)
		return -ENOMEM;
	(*ret)->len = (uint32_t)len;
	memcpy((*ret)->bytes, bytes, len);
	return 0;
}

static int
get_ws(struct rd *in, struct ws *ws)
{
	ws->left = rd_u64(in);
	rd_copy(in, ws->mask, sizeof ws->mask);
	ws->mask_at = rd_u8(in);
	ws->in_message = rd_u8(in);
	ws->last = rd_u8(in);
	int good = !in->failed && ws->left <= WS_FRAME_MAX_BYTES && ws->mask_at < 4 &&
		   ws->in_message <= 1 && ws->last <= 1;
	return good ? 0 : -ERR_PROTOCOL;
}

static int
get_queue(struct rd *in, struct pool *pool, struct queue *queue)
{
	size_t len = rd_u24(in);
	const uint8_t *bytes = rd_bytes(in, len);
	return in->failed ? -ERR_PROTOCOL : queue_add(pool, queue, bytes, len);
}

/* Who it is. Its state is READY: the others have ties to the process, or are soon over. */
static int
get_head(struct rd *in, wheel_tick now, struct leg *l)
{
	uint8_t version = rd_u8(in);
	l->kind = rd_u8(in);
	l->role = rd_u8(in);
	uint8_t flags = rd_u8(in);
	l->asks = rd_u8(in);
	l->build = rd_u32(in);
	rd_copy(in, l->address.bytes, sizeof l->address.bytes);
	l->opened = now - rd_u32(in);
	l->heard = l->pinged = now - rd_u32(in);
	l->greeted = (flags & GREETED) != 0;
	l->is_ws = (flags & IS_WS) != 0;
	l->state = LEG_READY;
	int native = l->kind == LEG_NATIVE, client = l->role == engawa_Role_ROLE_CLIENT;
	int good = version == HANDOVER_VERSION && !in->failed && !(flags & ~FLAGS) &&
		   (native || l->kind == LEG_BROWSER) && native == !l->is_ws &&
		   (client || (native && l->role == engawa_Role_ROLE_AGENT_SESSION));
	return good ? 0 : -ERR_PROTOCOL;
}

static int
get_all(struct rd *in, struct pool *pool, int fd, wheel_tick now, struct leg *l)
{
	int r = get_head(in, now, l);
	if (r < 0)
		return r;
	l->fd = fd;
	l->can_read = l->can_write = 1;
	l->secure = secure_unpack(in, fd);
	if (!l->secure || secure_is_native(l->secure) != (l->kind == LEG_NATIVE))
		return -ERR_PROTOCOL;
	if (l->is_ws)
		r = get_ws(in, &l->entry.ws);
	if (r == 0)
		r = get_held(in, WS_HELD_MAX_BYTES, &l->raw);
	if (r == 0)
		r = get_held(in, FRAME_HEADER_BYTES + FRAME_MAX_BYTES, &l->in);
	if (r == 0)
		r = get_queue(in, pool, &l->out);
	return r == 0 && !rd_done(in) ? -ERR_PROTOCOL : r;
}

int
handover_decode(struct pool *pool, const uint8_t *data, size_t len, int fd, wheel_tick now,
	struct leg **ret)
{
	struct rd in = rd_init(data, len);
	struct leg *l = mem_array(1, sizeof *l);
	if (!l)
		return -ENOMEM;
	int r = get_all(&in, pool, fd, now, l);
	if (r < 0)
		handover_free(pool, l);
	else
		*ret = l;
	return r;
}

void
handover_free(struct pool *pool, struct leg *l)
{
	mem_wipe_free(l->in, l->in ? sizeof *l->in + l->in->len : 0);
	mem_wipe_free(l->raw, l->raw ? sizeof *l->raw + l->raw->len : 0);
	queue_clear(pool, &l->out);
	secure_free(l->secure);
	free(l);
}
