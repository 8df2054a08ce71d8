#include "base/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void
buf_fini(struct buf *b)
{
	if (!b)
		return;
	mem_wipe_free(b->bytes, b->cap);
	*b = (struct buf){.max = b->max};
}

static int
grow(struct buf *b, size_t need)
{
	size_t cap = b->cap ? b->cap : 512;
	while (cap < need)
		cap = cap > b->max / 2 ? b->max : cap * 2;
	if (cap < need)
		return -ENOBUFS;
	uint8_t *bytes = mem_array(cap, 1);
	if (!bytes)
		return -ENOMEM;
	if (b->len)
		memcpy(bytes, b->bytes + b->start, b->len);
	mem_wipe_free(b->bytes, b->cap);
	b->bytes = bytes;
	b->start = 0;
	b->cap = cap;
	return 0;
}

uint8_t *
buf_reserve(struct buf *b, size_t len)
{
	if (len > buf_room(b)) {
		errno = ENOBUFS;
		return NULL;
	}
	if (len > b->cap - b->start - b->len) {
		if (b->bytes && len <= b->cap - b->len) {
			memmove(b->bytes, b->bytes + b->start, b->len);
			b->start = 0;
		} else {
			int r = grow(b, b->len + len);
			if (r < 0) {
				errno = -r;
				return NULL;
			}
		}
	}
	return b->bytes + b->start + b->len;
}

void
buf_commit(struct buf *b, size_t len)
{
	assert(len <= b->cap - b->start - b->len);
	b->len += len;
}

int
buf_add(struct buf *b, const void *data, size_t len)
{
	if (len == 0)
		return 0;
	uint8_t *p = buf_reserve(b, len);
	if (!p)
		return -errno;
	memcpy(p, data, len);
	buf_commit(b, len);
	return 0;
}

void
buf_drop(struct buf *b, size_t len)
{
	assert(len <= b->len);
	b->start += len;
	b->len -= len;
	if (b->len == 0)
		buf_fini(b);
}
