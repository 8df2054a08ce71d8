/*
 * A queue of bytes with a maximum from birth. Data is contiguous: buf_data, buf_len.
 * Embedded; buf_fini wipes. Not thread-safe.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *bytes; /* allocation; data starts at bytes + start */
	size_t start, len, cap, max;
};

/* Allocates nothing until the first byte. */
void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);

static inline const uint8_t *
buf_data(const struct buf *b)
{
	return b->bytes ? b->bytes + b->start : NULL;
}

static inline size_t
buf_len(const struct buf *b)
{
	return b->len;
}

/* Bytes that may still be added. */
static inline size_t
buf_room(const struct buf *b)
{
	return b->max - b->len;
}

/* 0, -ENOBUFS (over the maximum: nothing is added) or -ENOMEM. */
int buf_add(struct buf *b, const void *data, size_t len);

/* Space for len more bytes, to be filled and then committed; NULL as buf_add fails. */
uint8_t *buf_reserve(struct buf *b, size_t len);
void buf_commit(struct buf *b, size_t len);

/* Takes len bytes from the front; len <= buf_len. Memory is freed when the buffer gets empty. */
void buf_drop(struct buf *b, size_t len);
