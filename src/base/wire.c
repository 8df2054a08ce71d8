#include "base/wire.h"

#include <string.h>

#include "base/str.h"

struct rd
rd_init(const void *data, size_t len)
{
	return (struct rd){.p = data, .left = len};
}

const uint8_t *
rd_bytes(struct rd *r, size_t len)
{
	if (r->failed || len > r->left) {
		r->failed = 1;
		return NULL;
	}
	const uint8_t *p = r->p;
	if (len > 0)
		r->p += len; /* not on the NULL of an empty input */
	r->left -= len;
	return p;
}

static uint64_t
get(struct rd *r, size_t size)
{
	const uint8_t *p = rd_bytes(r, size);
	uint64_t v = 0;
	for (size_t i = 0; p && i < size; i++)
		v = v << 8 | p[i];
	return v;
}

uint8_t
rd_u8(struct rd *r)
{
	return (uint8_t)get(r, 1);
}

uint16_t
rd_u16(struct rd *r)
{
	return (uint16_t)get(r, 2);
}

uint32_t
rd_u24(struct rd *r)
{
	return (uint32_t)get(r, 3);
}

uint32_t
rd_u32(struct rd *r)
{
	return (uint32_t)get(r, 4);
}

uint64_t
rd_u64(struct rd *r)
{
	return get(r, 8);
}

void
rd_copy(struct rd *r, void *out, size_t len)
{
	const uint8_t *p = rd_bytes(r, len);
	if (p && len)
		memcpy(out, p, len);
	else if (len)
		memset(out, 0, len);
}

void
rd_text(struct rd *r, char *out, size_t size)
{
	size_t len = rd_u16(r);
	const uint8_t *p = rd_bytes(r, len);
	out[0] = '\0';
	if (!p || len >= size || memchr(p, '\0', len)) {
		r->failed = 1;
		return;
	}
	memcpy(out, p, len);
	out[len] = '\0';
}

void
rd_line(struct rd *r, char *out, size_t size)
{
	rd_text(r, out, size);
	if (!str_printable(out))
		r->failed = 1;
}

size_t
rd_data(struct rd *r, void *out, size_t size)
{
	size_t len = rd_u16(r);
	if (len > size)
		r->failed = 1;
	if (!r->failed)
		rd_copy(r, out, len);
	return r->failed ? 0 : len;
}

int
rd_done(const struct rd *r)
{
	return !r->failed && r->left == 0;
}

struct wr
wr_init(void *out, size_t cap)
{
	return (struct wr){.p = out, .left = cap};
}

static uint8_t *
take(struct wr *w, size_t len)
{
	if (w->failed || len > w->left) {
		w->failed = 1;
		return NULL;
	}
	uint8_t *p = w->p;
	if (len > 0)
		w->p += len;
	w->left -= len;
	w->len += len;
	return p;
}

static void
put(struct wr *w, uint64_t v, size_t size)
{
	uint8_t *p = take(w, size);
	for (size_t i = size; p && i > 0; i--, v >>= 8)
		p[i - 1] = (uint8_t)v;
}

void
wr_u8(struct wr *w, uint8_t v)
{
	put(w, v, 1);
}

void
wr_u16(struct wr *w, uint16_t v)
{
	put(w, v, 2);
}

void
wr_u24(struct wr *w, uint32_t v)
{
	put(w, v, 3);
}

void
wr_u32(struct wr *w, uint32_t v)
{
	put(w, v, 4);
}

void
wr_u64(struct wr *w, uint64_t v)
{
	put(w, v, 8);
}

void
wr_bytes(struct wr *w, const void *data, size_t len)
{
	uint8_t *p = take(w, len);
	if (p && len)
		memcpy(p, data, len);
}

void
wr_zero(struct wr *w, size_t len)
{
	uint8_t *p = take(w, len);
	if (p && len)
		memset(p, 0, len);
}

void
wr_data(struct wr *w, const void *data, size_t len)
{
	if (len > UINT16_MAX)
		w->failed = 1;
	wr_u16(w, (uint16_t)len);
	wr_bytes(w, data, len);
}

void
wr_text(struct wr *w, const char *text)
{
	wr_data(w, text, strlen(text));
}
