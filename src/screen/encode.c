#include "screen/encode.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/wire.h"

enum {
	LEVEL = 5, /* design/screen.md: the best bytes per millisecond of those measured */
	/* Rows that were on the screen some pictures ago: the ordinary tables of this level
	 * remember less than one full screen. On recordings of scrolling these halve the bytes, for
	 * 2 MiB of memory. */
	LONG_MATCH_BYTES = 96,
	LONG_RATE_LOG = 5,
	STAGE_BYTES = 128 * 1024, /* plain bytes waiting for zstd: one block */
	STAGE_SPARE_BYTES = 1,    /* pixels are stored four bytes at a time */
};

struct encoder {
	ZSTD_CCtx *stream;
	const struct watermark *watermark;
	uint32_t mark_width, mark_height; /* 0: nothing to tell, or told */
	uint32_t mark_y;                  /* next row of the mask to tell */
	const struct image *image;        /* NULL: no picture is open */
	struct copy copies[MOVE_COPIES_MAX];
	size_t copy_count, copy_index;
	struct rect rects[ENCODE_RECTS_MAX];
	size_t count, index; /* of rectangles */
	size_t x, y;         /* next pixel of rects[index], relative to it */
	struct rect film;    /* w 0: none, or its head is staged */
	const uint8_t *unit;
	size_t unit_left;
	int flushing;        /* every plain byte is staged */
	size_t staged, used; /* bytes in stage, and of those given to zstd */
	uint8_t stage[STAGE_BYTES + STAGE_SPARE_BYTES];
};

int
encode_window_ok(uint32_t window_mib)
{
	return window_mib == 8 || window_mib == 16 || window_mib == 32;
}

static int
set(ZSTD_CCtx *stream, ZSTD_cParameter parameter, int value)
{
	return ZSTD_isError(ZSTD_CCtx_setParameter(stream, parameter, value)) ? -EINVAL : 0;
}

int
encoder_new(uint32_t window_mib, const struct watermark *watermark, struct encoder **ret_encoder)
{
	if (!encode_window_ok(window_mib))
		return -EINVAL;
	struct encoder *e = calloc(1, sizeof *e);
	if (!e)
		return -ENOMEM;
	e->watermark = watermark;
	if (watermark)
		watermark_size(watermark, &e->mark_width, &e->mark_height);
	e->stream = ZSTD_createCCtx();
	int r = e->stream ? 0 : -ENOMEM;
	if (r == 0)
		r = set(e->stream, ZSTD_c_compressionLevel, LEVEL);
	if (r == 0)
		r = set(e->stream, ZSTD_c_windowLog, 20 + __builtin_ctz(window_mib));
	if (r == 0)
		r = set(e->stream, ZSTD_c_enableLongDistanceMatching, 1);
	if (r == 0)
		r = set(e->stream, ZSTD_c_ldmMinMatch, LONG_MATCH_BYTES);
	if (r == 0)
		r = set(e->stream, ZSTD_c_ldmHashRateLog, LONG_RATE_LOG);
	if (r < 0) {
		encoder_free(e);
		return r;
	}
	*ret_encoder = e;
	return 0;
}

void
encoder_free(struct encoder *encoder)
{
	if (!encoder)
		return;
	ZSTD_freeCCtx(encoder->stream);
	free(encoder);
}

int
encoder_busy(const struct encoder *encoder)
{
	return encoder->image != NULL;
}

static uint64_t
area_inside(const struct rect *r, const struct image *image)
{
	assert(rect_inside(r, image->width, image->height));
	return (uint64_t)r->w * r->h;
}

/* What the decoder will insist on. */
static void
check(const struct image *image, const struct encode_change *c)
{
	uint64_t area = 0, moved = 0;
	assert(c->copy_count <= MOVE_COPIES_MAX && c->rect_count <= ENCODE_RECTS_MAX);
	for (size_t i = 0; i < c->copy_count; i++) {
		const struct copy *copy = &c->copies[i];
		struct rect from = {copy->from_x, copy->from_y, copy->to.w, copy->to.h};
		moved += area_inside(&copy->to, image);
		area_inside(&from, image);
	}
	for (size_t i = 0; i < c->rect_count; i++)
		area += area_inside(&c->rects[i], image);
	assert(c->film.w == 0 || (area_inside(&c->film, image) && c->unit_len > 0 &&
					 c->unit_len <= PICTURE_UNIT_MAX_BYTES));
	uint64_t most = (uint64_t)image->width * image->height;
	assert(area <= most && moved <= most);
	(void)most;
}

void
encoder_start(struct encoder *e, uint32_t seq, const struct image *image,
	const struct encode_change *change)
{
	assert(!encoder_busy(e));
	check(image, change);
	if (change->copy_count)
		memcpy(e->copies, change->copies, change->copy_count * sizeof *change->copies);
	if (change->rect_count)
		memcpy(e->rects, change->rects, change->rect_count * sizeof *change->rects);
	e->image = image;
	e->copy_count = change->copy_count;
	e->count = change->rect_count;
	e->film = change->film;
	e->unit = change->unit;
	e->unit_left = change->film.w ? change->unit_len : 0;
	e->copy_index = e->index = e->x = e->y = 0;
	e->flushing = 0;

	struct wr w = wr_init(e->stage, PICTURE_HEADER_BYTES);
	wr_u32(&w, seq);
	wr_u16(&w, image->width);
	wr_u16(&w, image->height);
	wr_u16(&w, (uint16_t)((e->mark_height > 0) + e->copy_count + e->count + (e->film.w > 0)));
	e->staged = w.len;
	e->used = 0;
}

/* The head of an item. 0: no room. */
static int
stage_head(struct encoder *e, enum picture_kind kind, struct rect r, size_t more)
{
	if (STAGE_BYTES - e->staged < PICTURE_RECT_BYTES + more)
		return 0;
	struct wr w = wr_init(e->stage + e->staged, PICTURE_RECT_BYTES);
	wr_u8(&w, (uint8_t)kind);
	wr_u16(&w, r.x);
	wr_u16(&w, r.y);
	wr_u16(&w, r.w);
	wr_u16(&w, r.h);
	e->staged += w.len;
	return 1;
}

/* 0: no room. */
static int
stage_mark(struct encoder *e)
{
	size_t bytes = watermark_row_bytes(e->mark_width);
	struct rect size = {0, 0, (uint16_t)e->mark_width, (uint16_t)e->mark_height};
	if (e->mark_height == 0)
		return 1;
	if (e->mark_y == 0 && !stage_head(e, PICTURE_MARK, size, bytes))
		return 0;
	for (; e->mark_y < e->mark_height; e->mark_y++) {
		if (STAGE_BYTES - e->staged < bytes)
			return 0;
		watermark_bits(e->watermark, e->mark_y, e->stage + e->staged);
		e->staged += bytes;
	}
	e->mark_height = 0;
	return 1;
}

/* 0: no room. */
static int
stage_copies(struct encoder *e)
{
	for (; e->copy_index < e->copy_count; e->copy_index++) {
		const struct copy *copy = &e->copies[e->copy_index];
		if (!stage_head(e, PICTURE_COPY, copy->to, PICTURE_COPY_BYTES))
			return 0;
		struct wr w = wr_init(e->stage + e->staged, PICTURE_COPY_BYTES);
		wr_u16(&w, copy->from_x);
		wr_u16(&w, copy->from_y);
		e->staged += w.len;
	}
	return 1;
}

/* 0: no room. */
static int
stage_film(struct encoder *e)
{
	if (e->film.w) {
		if (!stage_head(e, PICTURE_FILM, e->film, PICTURE_UNIT_BYTES))
			return 0;
		struct wr w = wr_init(e->stage + e->staged, PICTURE_UNIT_BYTES);
		wr_u24(&w, (uint32_t)e->unit_left);
		e->staged += w.len;
		e->film.w = 0;
	}
	size_t room = STAGE_BYTES - e->staged, len = e->unit_left < room ? e->unit_left : room;
	if (len) { /* without a film unit is NULL */
		memcpy(e->stage + e->staged, e->unit, len);
		e->unit += len;
		e->unit_left -= len;
		e->staged += len;
	}
	return e->unit_left == 0;
}

/* Pixels without their fourth byte. Each store is four bytes wide: the next pixel, or the spare
 * byte, takes the excess. */
static void
pack(uint8_t *out, const uint8_t *pixels, size_t count)
{
	for (size_t i = 0; i < count; i++)
		memcpy(out + i * PICTURE_PIXEL_BYTES, pixels + i * IMAGE_PIXEL_BYTES,
			IMAGE_PIXEL_BYTES);
}

/* Puts the next plain bytes into the empty stage. */
static void
refill(struct encoder *e)
{
	e->staged = e->used = 0;
	if (!stage_mark(e) || !stage_copies(e))
		return;
	while (e->index < e->count) {
		const struct rect *r = &e->rects[e->index];
		if (e->x == 0 && e->y == 0 &&
			!stage_head(e, PICTURE_PIXELS, *r, PICTURE_PIXEL_BYTES))
			return;
		while (e->y < r->h) {
			size_t room = (STAGE_BYTES - e->staged) / PICTURE_PIXEL_BYTES,
			       count = r->w - e->x;
			count = count < room ? count : room;
			if (count == 0)
				return;
			uint8_t *out = e->stage + e->staged;
			pack(out, image_at(e->image, r->x + e->x, r->y + e->y), count);
			if (e->watermark)
				watermark_row(e->watermark, out, PICTURE_PIXEL_BYTES,
					(uint32_t)(r->x + e->x), (uint32_t)(r->y + e->y),
					(uint32_t)count);
			e->staged += count * PICTURE_PIXEL_BYTES;
			e->x += count;
			if (e->x == r->w) {
				e->x = 0;
				e->y++;
			}
		}
		e->y = 0;
		e->index++;
	}
	e->flushing = stage_film(e);
}

int
encoder_next(struct encoder *e, uint8_t *out, size_t cap, int *ret_last)
{
	assert(encoder_busy(e) && cap > 0);
	ZSTD_outBuffer to = {out, cap, 0};
	size_t left = 1;
	while (to.pos < cap && left > 0) {
		if (e->used == e->staged && !e->flushing)
			refill(e);
		ZSTD_inBuffer from = {e->stage, e->staged, e->used};
		int flush = e->flushing;
		left = ZSTD_compressStream2(
			e->stream, &to, &from, flush ? ZSTD_e_flush : ZSTD_e_continue);
		if (ZSTD_isError(left))
			return -ENOMEM; /* the only failure there is: parameters are fixed, buffers
					   are ours */
		e->used = from.pos;
		left = !flush || left > 0 || e->used < e->staged;
	}
	*ret_last = left == 0;
	if (left == 0)
		e->image = NULL;
	return (int)to.pos;
}
