#include "gate/pool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void
pool_init(struct pool *pool, size_t max)
{
	*pool = (struct pool){.max = max};
}

void
pool_fini(struct pool *pool)
{
	while (pool->free) {
		struct chunk *c = pool->free;
		pool->free = c->next;
		free(c);
	}
	pool->free_count = 0;
}

size_t
pool_high(const struct pool *pool, size_t high)
{
	size_t left = pool->used < pool->max ? pool->max - pool->used : 0;
	size_t share = left / 8;
	if (share < high)
		high = share;
	return high > POOL_LEAST_BYTES ? high : POOL_LEAST_BYTES;
}

static struct chunk *
chunk_new(struct pool *pool)
{
	struct chunk *c = pool->free;
	if (c) {
		pool->free = c->next;
		pool->free_count--;
	} else {
		c = malloc(sizeof *c);
	}
	if (!c)
		return NULL;
	c->next = NULL;
	c->start = c->end = 0;
	pool->used += sizeof *c;
	return c;
}

static void
chunk_free(struct pool *pool, struct chunk *c)
{
	pool->used -= sizeof *c;
	if (pool->free_count >= POOL_KEEP_CHUNKS) {
		free(c);
		return;
	}
	c->next = pool->free;
	pool->free = c;
	pool->free_count++;
}

uint8_t *
queue_reserve(struct pool *pool, struct queue *queue, size_t least, size_t *ret_room)
{
	assert(least <= CHUNK_BYTES);
	struct chunk *c = queue->tail;
	if (!c || CHUNK_BYTES - c->end < least) {
		c = chunk_new(pool);
		if (!c)
			return NULL;
		if (queue->tail)
			queue->tail->next = c;
		else
			queue->head = c;
		queue->tail = c;
	}
	*ret_room = CHUNK_BYTES - c->end;
	return c->bytes + c->end;
}

void
queue_commit(struct pool *pool, struct queue *queue, size_t len)
{
	struct chunk *c = queue->tail;
	assert(c && len <= CHUNK_BYTES - c->end);
	c->end += (uint32_t)len;
	queue->len += (uint32_t)len;
	if (c->start < c->end)
		return;
	struct chunk *before = queue->head == c ? NULL : queue->head;
	while (before && before->next != c)
		before = before->next;
	queue->tail = before;
	if (before)
		before->next = NULL;
	else
		queue->head = NULL;
	chunk_free(pool, c);
}

int
queue_add(struct pool *pool, struct queue *queue, const void *data, size_t len)
{
	const uint8_t *p = data;
	while (len > 0) {
		size_t room;
		uint8_t *to = queue_reserve(pool, queue, len < 1024 ? len : 1024, &room);
		if (!to)
			return -ENOMEM;
		size_t n = len < room ? len : room;
		memcpy(to, p, n);
		queue_commit(pool, queue, n);
		p += n;
		len -= n;
	}
	return 0;
}

const uint8_t *
queue_front(const struct queue *queue, size_t *ret_len)
{
	const struct chunk *c = queue->head;
	*ret_len = c ? c->end - c->start : 0;
	return c ? c->bytes + c->start : NULL;
}

void
queue_drop(struct pool *pool, struct queue *queue, size_t len)
{
	struct chunk *c = queue->head;
	assert(c && len <= c->end - c->start);
	c->start += (uint32_t)len;
	queue->len -= (uint32_t)len;
	if (c->start < c->end)
		return;
	queue->head = c->next;
	if (!queue->head)
		queue->tail = NULL;
	chunk_free(pool, c);
}

void
queue_clear(struct pool *pool, struct queue *queue)
{
	while (queue->head) {
		struct chunk *c = queue->head;
		queue->head = c->next;
		chunk_free(pool, c);
	}
	queue->tail = NULL;
	queue->len = 0;
}
