#include "recording.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/wire.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
	LEVEL = 3,
	WINDOW_LOG = 25, /* 32 MiB: what scrolled away comes back */
	HEAD_BYTES = 4 + 2,
	RECT_BYTES = 4 * 2,
	PIXEL_BYTES = 3,
	CHUNK_BYTES = 1 << 17,
};

struct recorder {
	FILE *file;
	ZSTD_CCtx *stream;
	uint8_t *row; /* one row of pixels */
	uint8_t out[CHUNK_BYTES];
};

struct recorder *
recorder_open(const char *path)
{
	struct recorder *r = calloc(1, sizeof *r);
	if (!r)
		return NULL;
	r->file = fopen(path, "wb");
	r->stream = ZSTD_createCCtx();
	r->row = malloc((size_t)IMAGE_SIDE_MAX_PX * PIXEL_BYTES);
	if (!r->file || !r->stream || !r->row) {
		recorder_close(r);
		return NULL;
	}
	ZSTD_CCtx_setParameter(r->stream, ZSTD_c_compressionLevel, LEVEL);
	ZSTD_CCtx_setParameter(r->stream, ZSTD_c_windowLog, WINDOW_LOG);
	return r;
}

static int
put(struct recorder *r, const void *data, size_t len, ZSTD_EndDirective how)
{
	ZSTD_inBuffer in = {data, len, 0};
	size_t left;
	do {
		ZSTD_outBuffer out = {r->out, sizeof r->out, 0};
		left = ZSTD_compressStream2(r->stream, &out, &in, how);
		if (ZSTD_isError(left))
			return -ENOMEM;
		if (fwrite(r->out, 1, out.pos, r->file) != out.pos)
			return -EIO;
	} while (in.pos < in.size || (how == ZSTD_e_end && left > 0));
	return 0;
}

static int
put_rect(struct recorder *r, const struct image *image, struct rect a)
{
	uint8_t head[RECT_BYTES];
	struct wr w = wr_init(head, sizeof head);
	wr_u16(&w, a.x);
	wr_u16(&w, a.y);
	wr_u16(&w, a.w);
	wr_u16(&w, a.h);
	int e = put(r, head, sizeof head, ZSTD_e_continue);
	for (size_t y = 0; e == 0 && y < a.h; y++) {
		const uint8_t *from = image_at(image, a.x, a.y + y);
		for (size_t x = 0; x < a.w; x++)
			memcpy(r->row + x * PIXEL_BYTES, from + x * IMAGE_PIXEL_BYTES, PIXEL_BYTES);
		e = put(r, r->row, (size_t)a.w * PIXEL_BYTES, ZSTD_e_continue);
	}
	return e;
}

int
recorder_frame(struct recorder *r, uint32_t ms, const struct image *image, const struct rect *rects,
	size_t count)
{
	uint8_t head[HEAD_BYTES];
	struct wr w = wr_init(head, sizeof head);
	wr_u32(&w, ms);
	wr_u16(&w, (uint16_t)count);
	int e = put(r, head, sizeof head, ZSTD_e_continue);
	for (size_t i = 0; e == 0 && i < count; i++)
		e = put_rect(r, image, rects[i]);
	return e;
}

int
recorder_close(struct recorder *r)
{
	int e = r->stream && r->file ? put(r, NULL, 0, ZSTD_e_end) : -EIO;
	if (r->file && fclose(r->file) != 0)
		e = -EIO;
	ZSTD_freeCCtx(r->stream);
	free(r->row);
	free(r);
	return e;
}

struct player {
	FILE *file;
	ZSTD_DCtx *stream;
	struct image image;
	struct rect rects[RECORDING_RECTS_MAX];
	size_t count;
	uint32_t ms;
	uint8_t *row;
	ZSTD_inBuffer from;
	uint8_t in[CHUNK_BYTES];
};

/* 1 with all of it, 0 at the end of the file before the first byte, -EBADMSG. */
static int
get(struct player *p, void *data, size_t len)
{
	ZSTD_outBuffer out = {data, len, 0};
	while (out.pos < len) {
		if (p->from.pos == p->from.size) {
			p->from = (ZSTD_inBuffer){p->in, fread(p->in, 1, sizeof p->in, p->file), 0};
		}
		size_t had = out.pos, empty = p->from.size == 0;
		if (ZSTD_isError(ZSTD_decompressStream(p->stream, &out, &p->from)))
			return -EBADMSG;
		if (empty && out.pos == had)
			return had == 0 ? 0 : -EBADMSG;
	}
	return 1;
}

static int
get_rect(struct player *p, struct rect *a)
{
	uint8_t head[RECT_BYTES];
	if (get(p, head, sizeof head) != 1)
		return -EBADMSG;
	struct rd r = rd_init(head, sizeof head);
	a->x = rd_u16(&r);
	a->y = rd_u16(&r);
	a->w = rd_u16(&r);
	a->h = rd_u16(&r);
	if (!p->image.bytes && image_init(&p->image, a->w, a->h) < 0)
		return -EBADMSG;
	if (!rect_inside(a, p->image.width, p->image.height))
		return -EBADMSG;
	for (size_t y = 0; y < a->h; y++) {
		if (get(p, p->row, (size_t)a->w * PIXEL_BYTES) != 1)
			return -EBADMSG;
		uint8_t *to = image_at(&p->image, a->x, a->y + y);
		for (size_t x = 0; x < a->w; x++)
			memcpy(to + x * IMAGE_PIXEL_BYTES, p->row + x * PIXEL_BYTES, PIXEL_BYTES);
	}
	return 0;
}

int
player_next(struct player *p)
{
	uint8_t head[HEAD_BYTES];
	int r = get(p, head, sizeof head);
	if (r != 1)
		return r;
	struct rd rd = rd_init(head, sizeof head);
	p->ms = rd_u32(&rd);
	p->count = rd_u16(&rd);
	if (p->count > RECORDING_RECTS_MAX)
		return -EBADMSG;
	for (size_t i = 0; i < p->count; i++)
		if (get_rect(p, &p->rects[i]) < 0)
			return -EBADMSG;
	return 1;
}

struct player *
player_open(const char *path)
{
	struct player *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->file = fopen(path, "rb");
	p->stream = ZSTD_createDCtx();
	p->row = malloc((size_t)IMAGE_SIDE_MAX_PX * PIXEL_BYTES);
	if (!p->file || !p->stream || !p->row || player_next(p) != 1) {
		player_close(p);
		return NULL;
	}
	return p;
}

void
player_close(struct player *p)
{
	if (p->file)
		fclose(p->file);
	ZSTD_freeDCtx(p->stream);
	image_fini(&p->image);
	free(p->row);
	free(p);
}

const struct image *
player_image(const struct player *p)
{
	return &p->image;
}

const struct rect *
player_rects(const struct player *p, size_t *ret_count)
{
	*ret_count = p->count;
	return p->rects;
}

uint32_t
player_ms(const struct player *p)
{
	return p->ms;
}

int
digest_init(struct digest *d, uint32_t width, uint32_t height)
{
	uint64_t *rows = calloc(height, sizeof *rows);
	if (!rows)
		return -ENOMEM;
	*d = (struct digest){rows, (uint16_t)width, (uint16_t)height, 0};
	return 0;
}

void
digest_fini(struct digest *d)
{
	free(d->rows);
	d->rows = NULL;
}

static uint64_t
row_value(const struct image *image, uint32_t y)
{
	uint8_t line[IMAGE_SIDE_MAX_PX * IMAGE_PIXEL_BYTES];
	size_t len = (size_t)image->width * IMAGE_PIXEL_BYTES;
	memcpy(line, image_at(image, 0, y), len);
	for (size_t x = 3; x < len; x += IMAGE_PIXEL_BYTES)
		line[x] = 0;
	return XXH3_64bits_withSeed(line, len, y);
}

void
digest_rows(struct digest *d, const struct image *image, uint32_t first, uint32_t last)
{
	for (uint32_t y = first; y < last && y < d->height; y++) {
		uint64_t now = row_value(image, y);
		d->value += now - d->rows[y];
		d->rows[y] = now;
	}
}
