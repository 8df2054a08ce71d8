/*
 * Bytes on their way out of a worker: queues of chunks from one pool. A connection holds chunks
 * only while it has something to send; the pool keeps a few for the next one and gives the rest
 * back.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
	CHUNK_BYTES = 16384 + 64, /* one TLS record and what goes in front of it */
	POOL_KEEP_CHUNKS = 256,   /* 4 MiB */
	POOL_LEAST_BYTES = 16384, /* every pipe may hold one record, however full the pool is */
};

struct chunk {
	struct chunk *next;
	uint32_t start, end;
	uint8_t bytes[CHUNK_BYTES];
};

struct pool {
	struct chunk *free;
	size_t free_count;
	size_t used, max; /* bytes of chunks in queues */
};

struct queue {
	struct chunk *head, *tail;
	uint32_t len; /* bytes */
};

void pool_init(struct pool *pool, size_t max);
void pool_fini(struct pool *pool);

/* How many bytes a queue may hold before its source is paused: high, or less as the pool fills, so
 * that a few stalled readers can never take all. */
size_t pool_high(const struct pool *pool, size_t high);

/* 0 or -ENOMEM (nothing was added). */
int queue_add(struct pool *pool, struct queue *queue, const void *data, size_t len);
/*
 * Room for at least least bytes at the end, to be filled and committed; *ret_room says how much
 * there is. NULL when out of memory. Committing 0 gives an empty chunk back.
 */
uint8_t *queue_reserve(struct pool *pool, struct queue *queue, size_t least, size_t *ret_room);
void queue_commit(struct pool *pool, struct queue *queue, size_t len);

/* First bytes that lie together; *ret_len 0 when the queue is empty. */
const uint8_t *queue_front(const struct queue *queue, size_t *ret_len);
void queue_drop(struct pool *pool, struct queue *queue, size_t len);
void queue_clear(struct pool *pool, struct queue *queue);
