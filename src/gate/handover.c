#include "gate/handover.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/wire.h"
#include "gate/secure.h"
#include "gate/session.h"
#include "net/frame.h"
#include "outer.pb.h"

enum {
	GREETED = 1,
	IS_WS = 2,
	EOF_SEEN = 4,
	FINISH = 8,
	FINISHED = 16,
	WS_SHUT = 32,
	FLAGS = 63
};

/* of a session */
enum {
	BROWSER = 1,
	RESUMES = 2
};

enum {
	QUEUED_MAX_BYTES = 1 << 27 /* beyond what PIPE_HIGH_BYTES can be set to */
};

/* Ends are a pipe's: what a waiting leg heard before is heard again by whoever reads on. */
static uint8_t
flags_of(const struct leg *l, enum leg_state state)
{
	if (state != LEG_PIPE)
		return (uint8_t)((l->greeted ? GREETED : 0) | (l->is_ws ? IS_WS : 0));
	return (uint8_t)((l->greeted ? GREETED : 0) | (l->is_ws ? IS_WS : 0) |
			 (l->eof ? EOF_SEEN : 0) | (l->finish ? FINISH : 0) |
			 (l->finished ? FINISHED : 0) | (l->ws_shut ? WS_SHUT : 0));
}

static void
put_held(struct wr *out, const struct held *held)
{
	wr_u24(out, held ? held->len : 0);
	if (held)
		wr_bytes(out, held->bytes, held->len);
}

static void
put_name(struct wr *out, const char *name)
{
	size_t len = strlen(name);
	wr_u8(out, (uint8_t)len);
	wr_bytes(out, name, len);
}

static void
get_name(struct rd *in, char ret[static FAIR_NAME_SIZE])
{
	size_t len = rd_u8(in);
	memset(ret, 0, FAIR_NAME_SIZE);
	if (len < FAIR_NAME_SIZE)
		rd_copy(in, ret, len);
	if (len >= FAIR_NAME_SIZE || strlen(ret) != len)
		in->failed = 1;
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

/* The bytes of a queue from from on, at most cap. */
static size_t
copy_queue(const struct queue *queue, size_t from, uint8_t *out, size_t cap)
{
	size_t got = 0;
	for (const struct chunk *c = queue->head; c && got < cap; c = c->next) {
		size_t len = c->end - c->start, skip = from < len ? from : len;
		size_t part = len - skip < cap - got ? len - skip : cap - got;
		memcpy(out + got, c->bytes + c->start + skip, part);
		got += part;
		from -= skip;
	}
	return got;
}

static void
put_queue(struct wr *out, const struct queue *queue, size_t *ret_more)
{
	size_t room = out->left > 8 ? out->left - 8 : 0;
	size_t part = queue->len < room ? queue->len : room;
	wr_u32(out, queue->len);
	wr_u32(out, (uint32_t)part);
	if (out->failed)
		return;
	copy_queue(queue, 0, out->p, part);
	out->p += part;
	out->len += part;
	out->left -= part;
	*ret_more = queue->len - part;
}

int
handover_encode(const struct leg *l, enum leg_state state, const char *organisation,
	wheel_tick left, wheel_tick now, uint8_t *out, size_t *ret_more)
{
	struct wr wr = wr_init(out, HANDOVER_MAX_BYTES);
	wr_u8(&wr, HANDOVER_VERSION);
	wr_u8(&wr, l->kind);
	wr_u8(&wr, (uint8_t)state);
	wr_u8(&wr, l->role);
	wr_u8(&wr, flags_of(l, state));
	wr_u8(&wr, l->asks);
	wr_u32(&wr, l->build);
	wr_bytes(&wr, l->address.bytes, sizeof l->address.bytes);
	wr_u32(&wr, now - l->opened);
	wr_u32(&wr, now - l->heard);
	wr_u32(&wr, left);
	if (l->role == engawa_Role_ROLE_AGENT) {
		wr_bytes(&wr, l->agent.id, sizeof l->agent.id);
		wr_bytes(&wr, l->agent.instance, sizeof l->agent.instance);
		put_name(&wr, organisation);
	}
	if (l->secure)
		secure_pack(l->secure, &wr);
	if (l->is_ws)
		put_ws(&wr, &l->entry.ws);
	put_held(&wr, l->raw);
	put_held(&wr, l->in);
	put_queue(&wr, &l->out, ret_more);
	return wr.failed ? -ERR_TOO_LONG : (int)wr.len;
}

size_t
handover_more(const struct leg *l, size_t more, uint8_t *out)
{
	return copy_queue(&l->out, l->out.len - more, out, HANDOVER_MAX_BYTES);
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
get_queue(struct rd *in, struct pool *pool, struct queue *queue, size_t *ret_more)
{
	size_t all = rd_u32(in), len = rd_u32(in);
	const uint8_t *bytes = rd_bytes(in, len);
	/* what did not fit into one message follows; a full message is nothing but a queue's */
	if (in->failed || len > all || all > QUEUED_MAX_BYTES)
		return -ERR_PROTOCOL;
	*ret_more = all - len;
	return queue_add(pool, queue, bytes, len);
}

/* What a leg can be: other states have ties to the process, or are soon over. */
static int
is_possible(const struct leg *l, uint8_t flags)
{
	int native = l->kind == LEG_NATIVE, browser = l->kind == LEG_BROWSER;
	int client = l->role == engawa_Role_ROLE_CLIENT, nobody = l->role == engawa_Role_ROLE_NONE;
	if (flags & ~FLAGS || (l->is_ws && !browser))
		return 0;
	if (l->state != LEG_PIPE && flags & (EOF_SEEN | FINISH | FINISHED | WS_SHUT))
		return 0;
	switch ((enum leg_state)l->state) {
	case LEG_HEAD:
		return browser && nobody && !l->is_ws;
	case LEG_HELLO:
		return nobody && (native || l->is_ws);
	case LEG_READY:
		return native ? l->role >= engawa_Role_ROLE_AGENT &&
					l->role <= engawa_Role_ROLE_ENROL
			      : l->is_ws && client;
	case LEG_KNOCKING:
		return client && (native || l->is_ws);
	case LEG_PIPE:
		if (l->kind == LEG_SPLICE || (browser && !l->is_ws))
			return nobody;
		return client ? native || l->is_ws
			      : native && l->role == engawa_Role_ROLE_AGENT_SESSION;
	default:
		return 0;
	}
}

static int
get_head(struct rd *in, wheel_tick now, struct leg *l, char ret_organisation[static FAIR_NAME_SIZE])
{
	uint8_t version = rd_u8(in);
	l->kind = rd_u8(in);
	l->state = rd_u8(in);
	l->role = rd_u8(in);
	uint8_t flags = rd_u8(in);
	l->asks = rd_u8(in);
	l->build = rd_u32(in);
	rd_copy(in, l->address.bytes, sizeof l->address.bytes);
	l->opened = now - rd_u32(in);
	l->heard = l->pinged = now - rd_u32(in);
	l->timer.due = rd_u32(in);
	l->greeted = (flags & GREETED) != 0;
	l->is_ws = (flags & IS_WS) != 0;
	l->eof = (flags & EOF_SEEN) != 0;
	l->finish = (flags & FINISH) != 0;
	l->finished = (flags & FINISHED) != 0;
	l->ws_shut = (flags & WS_SHUT) != 0;
	if (version != HANDOVER_VERSION || in->failed || !is_possible(l, flags))
		return -ERR_PROTOCOL;
	if (l->role == engawa_Role_ROLE_AGENT) {
		rd_copy(in, l->agent.id, sizeof l->agent.id);
		rd_copy(in, l->agent.instance, sizeof l->agent.instance);
		get_name(in, ret_organisation);
	}
	return in->failed ? -ERR_PROTOCOL : 0;
}

static int
get_all(struct rd *in, struct pool *pool, int fd, wheel_tick now, struct leg *l,
	char ret_organisation[static FAIR_NAME_SIZE], size_t *ret_more)
{
	int r = get_head(in, now, l, ret_organisation);
	if (r < 0)
		return r;
	l->fd = fd;
	l->can_read = l->can_write = 1;
	if (l->kind != LEG_SPLICE) {
		l->secure = secure_unpack(in, fd);
		if (!l->secure || secure_is_native(l->secure) != (l->kind == LEG_NATIVE))
			return -ERR_PROTOCOL;
	}
	if (l->is_ws)
		r = get_ws(in, &l->entry.ws);
	if (r == 0)
		r = get_held(in, WS_HELD_MAX_BYTES, &l->raw);
	if (r == 0)
		r = get_held(in, FRAME_HEADER_BYTES + FRAME_MAX_BYTES, &l->in);
	if (r == 0)
		r = get_queue(in, pool, &l->out, ret_more);
	return r == 0 && !rd_done(in) ? -ERR_PROTOCOL : r;
}

int
handover_decode(struct pool *pool, const uint8_t *data, size_t len, int fd, wheel_tick now,
	struct leg **ret, char ret_organisation[static FAIR_NAME_SIZE], size_t *ret_more)
{
	struct rd in = rd_init(data, len);
	struct leg *l = mem_array(1, sizeof *l);
	if (!l)
		return -ENOMEM;
	memset(ret_organisation, 0, FAIR_NAME_SIZE);
	int r = get_all(&in, pool, fd, now, l, ret_organisation, ret_more);
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

size_t
handover_session(const struct session *s, wheel_tick now, uint8_t *out)
{
	struct wr wr = wr_init(out, HANDOVER_SESSION_MAX_BYTES);
	wr_u8(&wr, HANDOVER_VERSION);
	wr_u8(&wr, (uint8_t)((s->browser ? BROWSER : 0) | (s->resumes ? RESUMES : 0)));
	wr_bytes(&wr, s->id, sizeof s->id);
	wr_bytes(&wr, s->agent_id, sizeof s->agent_id);
	put_name(&wr, s->organisation);
	wr_u64(&wr, s->started_s);
	wr_u64(&wr, mono_diff_ms(s->joined, mono_now()));
	wr_u64(&wr, s->to_client);
	wr_u64(&wr, s->to_agent);
	wr_u64(&wr, (uint64_t)s->tokens);
	wr_u32(&wr, now - s->tokens_at);
	assert(!wr.failed);
	return wr.len;
}

int
handover_session_decode(const uint8_t *data, size_t len, wheel_tick now, struct session **ret)
{
	struct rd in = rd_init(data, len);
	struct session *s = mem_array(1, sizeof *s);
	if (!s)
		return -ENOMEM;
	uint8_t version = rd_u8(&in);
	uint8_t flags = rd_u8(&in);
	s->browser = (flags & BROWSER) != 0;
	s->resumes = (flags & RESUMES) != 0;
	rd_copy(&in, s->id, sizeof s->id);
	rd_copy(&in, s->agent_id, sizeof s->agent_id);
	static_assert(sizeof s->organisation == FAIR_NAME_SIZE, "one name");
	get_name(&in, s->organisation);
	s->started_s = rd_u64(&in);
	s->joined = (struct mono){mono_now().ns - rd_u64(&in) * 1000000};
	s->to_client = rd_u64(&in);
	s->to_agent = rd_u64(&in);
	s->tokens = (int64_t)rd_u64(&in);
	s->tokens_at = now - rd_u32(&in);
	if (version != HANDOVER_VERSION || flags > (BROWSER | RESUMES) || !rd_done(&in)) {
		free(s);
		return -ERR_PROTOCOL;
	}
	*ret = s;
	return 0;
}
