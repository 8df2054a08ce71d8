/* The coder and the decoder against each other, and the decoder against everything that a picture
 * must not be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "base/err.h"
#include "base/wire.h"
#include "screen/decode.h"
#include "screen/encode.h"
#include "screen/picture.h"
#include "screen/watermark.h"

/* ---- round trip ---- */

static void
assert_same(const struct image *a, const struct image *b, enum decoder_order order)
{
	int blue = order == DECODER_RGBX ? 2 : 0;
	for (size_t y = 0; y < b->height; y++)
		for (size_t x = 0; x < b->width; x++) {
			const uint8_t *p = image_at(a, x, y), *q = image_at(b, x, y);
			assert_true(p[blue] == q[0] && p[1] == q[1] && p[2 - blue] == q[2] &&
				    p[3] == 255);
		}
}

/* Sends a picture in pieces of at most cap bytes; returns the bytes. */
static size_t
carry(struct encoder *e, struct decoder *d, uint32_t seq, const struct image *image,
	const struct rect *rects, size_t n, size_t cap)
{
	static uint8_t piece[ENCODE_PIECE_MAX_BYTES];
	size_t sum = 0;
	int last = 0;
	encoder_start(e, seq, image, &(struct encode_change){.rects = rects, .rect_count = n});
	while (!last) {
		assert_true(encoder_busy(e));
		int len = encoder_next(e, piece, cap, &last);
		assert_in_range(len, 0, cap);
		sum += (size_t)len;
		assert_int_equal(decoder_frame(d, seq, last, piece, (size_t)len), last);
	}
	assert_false(encoder_busy(e));
	return sum;
}

static struct rect
scribble(struct image *image)
{
	struct rect r;
	r.w = (uint16_t)(1 + random() % (image->width / 3));
	r.h = (uint16_t)(1 + random() % (image->height / 3));
	r.x = (uint16_t)(random() % (image->width - r.w + 1));
	r.y = (uint16_t)(random() % (image->height - r.h + 1));
	int noise = (int)(random() % 2);
	for (size_t y = r.y; y < (size_t)r.y + r.h; y++)
		for (size_t x = r.x; x < (size_t)r.x + r.w; x++)
			for (int c = 0; c < 4; c++)
				image_at(image, x, y)[c] = (uint8_t)(noise ? random() : r.x * c);
	return r;
}

static void
round_trip(uint32_t window_mib, enum decoder_order order, size_t cap, int rounds)
{
	struct encoder *e;
	struct decoder *d;
	struct image image;
	assert_int_equal(encoder_new(window_mib, NULL, &e), 0);
	assert_int_equal(decoder_new(window_mib, order, &d), 0);
	assert_int_equal(image_init(&image, 301, 203), 0);
	assert_int_equal(decoder_layout(d, 301, 203), 0);
	struct rect all = {0, 0, 301, 203};
	carry(e, d, 1, &image, &all, 1, cap);
	for (uint32_t seq = 2; seq < (uint32_t)rounds + 2; seq++) {
		struct rect rects[3];
		size_t n = (size_t)random() % 4, got;
		for (size_t i = 0; i < n; i++)
			rects[i] = scribble(&image);
		carry(e, d, seq, &image, rects, n, cap);
		const struct rect *drawn = decoder_rects(d, &got);
		assert_int_equal(got, n);
		assert_memory_equal(drawn, rects, n * sizeof *rects);
		assert_same(decoder_image(d), &image, order);
	}
	image_fini(&image);
	encoder_free(e);
	decoder_free(d);
}

static void
test_round_trip(void **state)
{
	(void)state;
	srandom(1);
	round_trip(8, DECODER_BGRX, ENCODE_PIECE_MAX_BYTES, 60);
	round_trip(16, DECODER_RGBX, 4096, 60);
	round_trip(32, DECODER_BGRX, 7, 10);
	round_trip(32, DECODER_RGBX, 1, 4);
}

static void
test_sizes_and_layouts(void **state)
{
	(void)state;
	static const uint16_t sizes[][2] = {
		{1, 1}, {2, 3}, {16384, 1}, {1, 16384}, {1920, 1080}, {1366, 768}};
	struct encoder *e;
	struct decoder *d;
	assert_int_equal(encoder_new(8, NULL, &e), 0);
	assert_int_equal(decoder_new(8, DECODER_BGRX, &d), 0);
	for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct image image;
		struct rect all = {0, 0, sizes[i][0], sizes[i][1]};
		assert_int_equal(image_init(&image, all.w, all.h), 0);
		image_at(&image, all.w - 1, all.h - 1)[1] = 77;
		assert_int_equal(decoder_layout(d, all.w, all.h), 0);
		carry(e, d, i + 1, &image, &all, 1, ENCODE_PIECE_MAX_BYTES);
		assert_same(decoder_image(d), &image, DECODER_BGRX);
		image_fini(&image);
	}
	encoder_free(e);
	decoder_free(d);
}

/* History: what was on the screen before costs next to nothing. */
static void
test_history(void **state)
{
	(void)state;
	struct encoder *e;
	struct decoder *d;
	struct image image;
	struct rect all = {0, 0, 400, 300};
	srandom(5);
	assert_int_equal(encoder_new(8, NULL, &e), 0);
	assert_int_equal(decoder_new(8, DECODER_BGRX, &d), 0);
	assert_int_equal(image_init(&image, 400, 300), 0);
	assert_int_equal(decoder_layout(d, 400, 300), 0);
	for (size_t i = 0; i < 400 * 300 * 4; i++)
		image.bytes[i] = (uint8_t)random();
	assert_true(carry(e, d, 1, &image, &all, 1, 60000) > 300000);
	assert_true(carry(e, d, 2, &image, &all, 1, 60000) < 1000);
	image_fini(&image);
	encoder_free(e);
	decoder_free(d);
}

/* Tried: a client that draws the pixels it is sent, and forgets about the mark. It shows the mark:
 * what leaves the office PC has it. */
static void
test_attack_client_that_draws_no_mark(void **state)
{
	(void)state;
	enum {
		SIDE = 64,
		CELL = 16,
		HEAD = 10,
		ITEM = 9,
		MARK = CELL * CELL / 8
	};
	static uint8_t wire[65536], plain_bytes[65536];
	static uint8_t mask[CELL * CELL] = {[0] = 1};
	struct watermark *watermark;
	struct encoder *e;
	struct image image;
	struct rect all = {0, 0, SIDE, SIDE};
	int last = 0;
	size_t len = 0;
	assert_int_equal(watermark_new(mask, CELL, CELL, &watermark), 0);
	assert_int_equal(encoder_new(8, watermark, &e), 0);
	assert_int_equal(image_init(&image, SIDE, SIDE), 0);
	memset(image.bytes, 0xff, image.stride * SIDE);
	encoder_start(e, 1, &image, &(struct encode_change){.rects = &all, .rect_count = 1});
	while (!last)
		len += (size_t)encoder_next(e, wire + len, 1000, &last);
	ZSTD_DStream *zstd = ZSTD_createDStream();
	ZSTD_inBuffer in = {wire, len, 0};
	ZSTD_outBuffer out = {plain_bytes, sizeof plain_bytes, 0};
	assert_false(ZSTD_isError(ZSTD_decompressStream(zstd, &out, &in)));
	assert_int_equal(out.pos, HEAD + ITEM + MARK + ITEM + SIDE * SIDE * PICTURE_PIXEL_BYTES);
	watermark_apply(watermark, &image, 0, 0);
	const uint8_t *sent = plain_bytes + HEAD + ITEM + MARK + ITEM;
	for (size_t y = 0; y < SIDE; y++)
		for (size_t x = 0; x < SIDE; x++, sent += PICTURE_PIXEL_BYTES)
			assert_memory_equal(sent, image_at(&image, x, y), PICTURE_PIXEL_BYTES);
	assert_int_not_equal(*image_at(&image, 0, 0), 0xff);
	ZSTD_freeDStream(zstd);
	image_fini(&image);
	encoder_free(e);
	watermark_free(watermark);
}

static void
test_parameters(void **state)
{
	(void)state;
	struct encoder *e = NULL;
	struct decoder *d = NULL;
	static const uint32_t wrong[] = {0, 1, 7, 24, 64, 1u << 31};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		assert_int_equal(encoder_new(wrong[i], NULL, &e), -EINVAL);
		assert_int_equal(decoder_new(wrong[i], DECODER_BGRX, &d), -EINVAL);
	}
	encoder_free(NULL);
	decoder_free(NULL);
}

/* ---- a hostile coder ---- */

enum {
	W = 8,
	H = 4
};

/* A zstd stream of raw blocks: RFC 8878 3.1.1. */
struct forged {
	uint8_t bytes[200000];
	struct wr w;
};

static void
forge_open(struct forged *f, unsigned window_log)
{
	f->w = wr_init(f->bytes, sizeof f->bytes);
	wr_u32(&f->w, 0x28b52ffd);
	wr_u8(&f->w, 0); /* no content size, no checksum */
	wr_u8(&f->w, (uint8_t)((window_log - 10) << 3));
}

static void
forge_block(struct forged *f, const void *plain, size_t len, int last)
{
	uint32_t head = (uint32_t)len << 3 | (uint32_t)last;
	wr_u8(&f->w, (uint8_t)head);
	wr_u8(&f->w, (uint8_t)(head >> 8));
	wr_u8(&f->w, (uint8_t)(head >> 16));
	wr_bytes(&f->w, plain, len);
}

static struct wr
plain_head(uint8_t *out, size_t cap, uint32_t seq, uint16_t width, uint16_t height, uint16_t n)
{
	struct wr w = wr_init(out, cap);
	wr_u32(&w, seq);
	wr_u16(&w, width);
	wr_u16(&w, height);
	wr_u16(&w, n);
	return w;
}

static void
plain_rect(struct wr *w, uint8_t kind, uint16_t x, uint16_t y, uint16_t width, uint16_t height,
	size_t pixels)
{
	wr_u8(w, kind);
	wr_u16(w, x);
	wr_u16(w, y);
	wr_u16(w, width);
	wr_u16(w, height);
	for (size_t i = 0; i < pixels * 3; i++)
		wr_u8(w, (uint8_t)i);
}

static struct decoder *
decoder(void)
{
	struct decoder *d;
	assert_int_equal(decoder_new(8, DECODER_BGRX, &d), 0);
	assert_int_equal(decoder_layout(d, W, H), 0);
	return d;
}

/* Gives plain bytes as picture 1 and returns the decoder's answer; after an error it must stay
 * dead. */
static int
offer(const struct wr *plain, const uint8_t *bytes)
{
	static struct forged f;
	struct decoder *d = decoder();
	assert_false(plain->failed);
	forge_open(&f, 23);
	forge_block(&f, bytes, plain->len, 0);
	int r = decoder_frame(d, 1, 1, f.bytes, f.w.len);
	if (r < 0) {
		forge_open(&f, 23);
		assert_int_equal(decoder_frame(d, 1, 0, f.bytes, f.w.len), -ERR_PROTOCOL);
		assert_int_equal(decoder_frame(d, 2, 0, f.bytes, 0), -ERR_PROTOCOL);
		assert_int_equal(decoder_layout(d, W, H), -ERR_PROTOCOL);
	}
	decoder_free(d);
	return r;
}

static uint8_t plain[150000];

static int
offer_one(uint32_t seq, uint16_t width, uint16_t height, uint16_t n, uint8_t kind, uint16_t x,
	uint16_t y, uint16_t w, uint16_t h, size_t pixels)
{
	struct wr wr = plain_head(plain, sizeof plain, seq, width, height, n);
	plain_rect(&wr, kind, x, y, w, h, pixels);
	return offer(&wr, plain);
}

static void
test_one_rectangle(void **state)
{
	(void)state;
	assert_int_equal(offer_one(1, W, H, 1, 1, 0, 0, W, H, W * H), 1);
	assert_int_equal(offer_one(2, W, H, 1, 1, 0, 0, W, H, W * H), -ERR_PROTOCOL);
	assert_int_equal(offer_one(0, W, H, 1, 1, 0, 0, W, H, W * H), -ERR_PROTOCOL);
	assert_int_equal(offer_one(1, H, W, 1, 1, 0, 0, H, W, W * H), -ERR_PROTOCOL);
	assert_int_equal(offer_one(1, W, H, 1, 0, 0, 0, W, H, W * H), -ERR_PROTOCOL);
	assert_int_equal(offer_one(1, W, H, 1, 4, 0, 0, W, H, W * H), -ERR_PROTOCOL);
	/* outside, empty, wrapping around */
	assert_int_equal(offer_one(1, W, H, 1, 1, 1, 0, W, H, W * H), -ERR_PROTOCOL);
	assert_int_equal(offer_one(1, W, H, 1, 1, 0, 1, W, H, W * H), -ERR_PROTOCOL);
	assert_int_equal(offer_one(1, W, H, 1, 1, 0, 0, W, 0, 0), -ERR_PROTOCOL);
	assert_int_equal(offer_one(1, W, H, 1, 1, 0, 0, 0, H, 0), -ERR_PROTOCOL);
	assert_int_equal(offer_one(1, W, H, 1, 1, 0xffff, 0, 1, 1, 1), -ERR_PROTOCOL);
	assert_int_equal(offer_one(1, W, H, 1, 1, 0, 0xffff, 1, 1, 1), -ERR_PROTOCOL);
	assert_int_equal(offer_one(1, W, H, 1, 1, 0, 0, 0xffff, 0xffff, 1), -ERR_PROTOCOL);
	/* too few and too many bytes */
	assert_int_equal(offer_one(1, W, H, 1, 1, 0, 0, W, H, W * H - 1), -ERR_PROTOCOL);
	assert_int_equal(offer_one(1, W, H, 1, 1, 0, 0, W, H, W * H + 1), -ERR_PROTOCOL);
	assert_int_equal(offer_one(1, W, H, 2, 1, 0, 0, W, H, W * H), -ERR_PROTOCOL);
	assert_int_equal(offer_one(1, W, H, 0, 1, 0, 0, W, H, W * H), -ERR_PROTOCOL);
	/* the first picture covers the screen */
	assert_int_equal(offer_one(1, W, H, 1, 1, 0, 0, W - 1, H, (W - 1) * H), -ERR_PROTOCOL);
}

static void
test_area(void **state)
{
	(void)state;
	/* within the area, but twice the same place: not covered */
	struct wr w = plain_head(plain, sizeof plain, 1, W, H, 2);
	plain_rect(&w, 1, 0, 0, W, H / 2, W * H / 2);
	plain_rect(&w, 1, 0, 0, W, H / 2, W * H / 2);
	assert_int_equal(offer(&w, plain), -ERR_PROTOCOL);
	w = plain_head(plain, sizeof plain, 1, W, H, 2);
	plain_rect(&w, 1, 0, 0, W, H / 2, W * H / 2);
	plain_rect(&w, 1, 0, H / 2, W, H / 2, W * H / 2);
	assert_int_equal(offer(&w, plain), 1);
	/* one pixel more than the screen has */
	w = plain_head(plain, sizeof plain, 1, W, H, 2);
	plain_rect(&w, 1, 0, 0, W, H, W * H);
	plain_rect(&w, 1, 0, 0, 1, 1, 1);
	assert_int_equal(offer(&w, plain), -ERR_PROTOCOL);
	/* more rectangles than allowed, refused at the number */
	w = plain_head(plain, sizeof plain, 1, W, H, PICTURE_RECTS_MAX + 1);
	assert_int_equal(offer(&w, plain), -ERR_PROTOCOL);
	w = plain_head(plain, sizeof plain, 1, W, H, 0xffff);
	assert_int_equal(offer(&w, plain), -ERR_PROTOCOL);
}

static void
plain_copy(struct wr *w, uint16_t x, uint16_t y, uint16_t width, uint16_t height, uint16_t from_x,
	uint16_t from_y)
{
	plain_rect(w, PICTURE_COPY, x, y, width, height, 0);
	wr_u16(w, from_x);
	wr_u16(w, from_y);
}

/* A whole picture, and a copy after it (or before). */
static int
offer_copy(uint16_t x, uint16_t y, uint16_t w, uint16_t h, uint16_t from_x, uint16_t from_y,
	int before)
{
	struct wr wr = plain_head(plain, sizeof plain, 1, W, H, 2);
	if (before)
		plain_copy(&wr, x, y, w, h, from_x, from_y);
	plain_rect(&wr, 1, 0, 0, W, H, W * H);
	if (!before)
		plain_copy(&wr, x, y, w, h, from_x, from_y);
	return offer(&wr, plain);
}

static void
test_copies(void **state)
{
	(void)state;
	assert_int_equal(offer_copy(0, 0, W, H, 0, 0, 0), 1);
	assert_int_equal(offer_copy(1, 0, W - 1, H, 0, 0, 1), 1);
	assert_int_equal(offer_copy(0, 1, W, H - 1, 0, 0, 0), 1);
	assert_int_equal(offer_copy(1, 0, W - 1, H, 2, 0, 0), -ERR_PROTOCOL);
	assert_int_equal(offer_copy(0, 1, W, H - 1, 0, 2, 0), -ERR_PROTOCOL);
	assert_int_equal(offer_copy(1, 0, W, H, 0, 0, 0), -ERR_PROTOCOL);
	assert_int_equal(offer_copy(0, 0, 1, 1, 0xffff, 0, 0), -ERR_PROTOCOL);
	assert_int_equal(offer_copy(0, 0, 1, 1, 0, 0xffff, 0), -ERR_PROTOCOL);
	assert_int_equal(offer_copy(0, 0, 0, 1, 0, 0, 0), -ERR_PROTOCOL);
	assert_int_equal(offer_copy(0, 0, 1, 0, 0, 0, 0), -ERR_PROTOCOL);
	/* together larger than the screen */
	struct wr wr = plain_head(plain, sizeof plain, 1, W, H, 3);
	plain_rect(&wr, 1, 0, 0, W, H, W * H);
	plain_copy(&wr, 0, 0, W, H, 0, 0);
	plain_copy(&wr, 0, 0, 1, 1, 0, 0);
	assert_int_equal(offer(&wr, plain), -ERR_PROTOCOL);
	/* a copy covers nothing that was not covered */
	wr = plain_head(plain, sizeof plain, 1, W, H, 2);
	plain_rect(&wr, 1, 0, 0, W / 2, H, W * H / 2);
	plain_copy(&wr, W / 2, 0, W / 2, H, 0, 0);
	assert_int_equal(offer(&wr, plain), 1);
	wr = plain_head(plain, sizeof plain, 1, W, H, 2);
	plain_copy(&wr, W / 2, 0, W / 2, H, 0, 0);
	plain_rect(&wr, 1, 0, 0, W / 2, H, W * H / 2);
	assert_int_equal(offer(&wr, plain), -ERR_PROTOCOL);
}

/* A picture that begins with a mark of this size whose rows are rows bytes of the same bits. */
static int
offer_mark(uint16_t x, uint16_t w, uint16_t h, size_t rows, uint8_t bits, int times)
{
	struct wr wr = plain_head(plain, sizeof plain, 1, W, H, (uint16_t)(times + 1));
	for (int i = 0; i < times; i++) {
		plain_rect(&wr, PICTURE_MARK, x, 0, w, h, 0);
		for (size_t k = 0; k < rows; k++)
			wr_u8(&wr, k ? 0 : bits);
	}
	plain_rect(&wr, 1, 0, 0, W, H, W * H);
	return offer(&wr, plain);
}

static void
test_marks(void **state)
{
	(void)state;
	assert_int_equal(offer_mark(0, 13, 20, 40, 1, 1), 1);
	assert_int_equal(offer_mark(0, 13, 20, 40, 0, 1), 1);
	assert_int_equal(offer_mark(0, 1, 1, 1, 0, 1), 1);
	assert_int_equal(offer_mark(0, 4096, 1, 512, 0xff, 1), 1);
	assert_int_equal(offer_mark(0, 13, 20, 40, 0xff, 1), -ERR_PROTOCOL); /* too many */
	assert_int_equal(offer_mark(0, 4, 100, 100, 16, 1), -ERR_PROTOCOL);  /* after the row */
	assert_int_equal(offer_mark(0, 13, 20, 39, 1, 1), -ERR_PROTOCOL);
	assert_int_equal(offer_mark(0, 13, 20, 40, 1, 2), -ERR_PROTOCOL);
	assert_int_equal(offer_mark(1, 13, 20, 40, 1, 1), -ERR_PROTOCOL);
	assert_int_equal(offer_mark(0, 4097, 1, 513, 0, 1), -ERR_PROTOCOL);
	assert_int_equal(offer_mark(0, 0, 1, 0, 0, 1), -ERR_PROTOCOL);
	assert_int_equal(offer_mark(0, 1, 0, 0, 0, 1), -ERR_PROTOCOL);
	/* not the first item */
	struct wr wr = plain_head(plain, sizeof plain, 1, W, H, 2);
	plain_rect(&wr, 1, 0, 0, W, H, W * H);
	plain_rect(&wr, PICTURE_MARK, 0, 0, 1, 1, 0);
	wr_u8(&wr, 0);
	assert_int_equal(offer(&wr, plain), -ERR_PROTOCOL);
}

/* Pieces: numbers, ends, layouts between and inside pictures. */
static void
test_order(void **state)
{
	(void)state;
	static struct forged f;
	struct wr w = plain_head(plain, sizeof plain, 1, W, H, 1);
	plain_rect(&w, 1, 0, 0, W, H, W * H);

	struct decoder *d = decoder();
	forge_open(&f, 23);
	forge_block(&f, plain, w.len, 0);
	for (size_t i = 0; i < f.w.len; i++)
		assert_int_equal(decoder_frame(d, 1, 0, f.bytes + i, 1), 0);
	assert_int_equal(decoder_frame(d, 1, 1, NULL, 0), 1);
	/* an empty change, then a layout, then a picture of the old size */
	f.w = wr_init(f.bytes, sizeof f.bytes);
	w = plain_head(plain, sizeof plain, 2, W, H, 0);
	forge_block(&f, plain, w.len, 0);
	assert_int_equal(decoder_frame(d, 2, 1, f.bytes, f.w.len), 1);
	assert_int_equal(decoder_layout(d, W + 1, H), 0);
	f.w = wr_init(f.bytes, sizeof f.bytes);
	w = plain_head(plain, sizeof plain, 3, W, H, 0);
	forge_block(&f, plain, w.len, 0);
	assert_int_equal(decoder_frame(d, 3, 1, f.bytes, f.w.len), -ERR_PROTOCOL);
	decoder_free(d);

	forge_open(&f, 23);
	d = decoder(); /* another number in the middle */
	assert_int_equal(decoder_frame(d, 1, 0, f.bytes, f.w.len), 0);
	assert_int_equal(decoder_frame(d, 2, 0, f.bytes, 0), -ERR_PROTOCOL);
	decoder_free(d);
	d = decoder(); /* a layout in the middle */
	assert_int_equal(decoder_frame(d, 1, 0, f.bytes, f.w.len), 0);
	assert_int_equal(decoder_layout(d, W, H), -ERR_PROTOCOL);
	decoder_free(d);
	d = decoder(); /* nothing, and the end */
	assert_int_equal(decoder_frame(d, 1, 1, f.bytes, f.w.len), -ERR_PROTOCOL);
	decoder_free(d);
	d = decoder(); /* not the first */
	assert_int_equal(decoder_frame(d, 2, 0, f.bytes, f.w.len), -ERR_PROTOCOL);
	decoder_free(d);
	d = decoder(); /* too large a screen takes no memory */
	assert_int_equal(decoder_layout(d, 16384, 16384), -ERR_PROTOCOL);
	decoder_free(d);
	assert_int_equal(decoder_new(8, DECODER_BGRX, &d), 0); /* no layout yet */
	assert_int_equal(decoder_frame(d, 1, 0, f.bytes, f.w.len), -ERR_PROTOCOL);
	decoder_free(d);
}

static int
offer_raw(const void *bytes, size_t len)
{
	struct decoder *d = decoder();
	int r = decoder_frame(d, 1, 1, bytes, len);
	decoder_free(d);
	return r;
}

static void
test_stream(void **state)
{
	(void)state;
	static struct forged f;
	struct wr w = plain_head(plain, sizeof plain, 1, W, H, 1);
	plain_rect(&w, 1, 0, 0, W, H, W * H);
	forge_open(&f, 23);
	forge_block(&f, plain, w.len, 0);
	assert_int_equal(offer_raw(f.bytes, f.w.len), 1);
	forge_open(&f, 24); /* a window beyond what was agreed */
	forge_block(&f, plain, w.len, 0);
	assert_int_equal(offer_raw(f.bytes, f.w.len), -ERR_PROTOCOL);
	forge_open(&f, 41); /* the largest there is */
	assert_int_equal(offer_raw(f.bytes, f.w.len), -ERR_PROTOCOL);
	forge_open(&f, 23); /* the stream ends */
	forge_block(&f, plain, w.len, 1);
	assert_int_equal(offer_raw(f.bytes, f.w.len), -ERR_PROTOCOL);
	forge_open(&f, 23); /* a piece of the next block's head came along */
	forge_block(&f, plain, w.len, 0);
	wr_u16(&f.w, 0x0100);
	assert_int_equal(offer_raw(f.bytes, f.w.len), 1);
	/* a skippable frame, old formats, noise */
	assert_int_equal(offer_raw("\x50\x2a\x4d\x18\x01\0\0\0x", 9), -ERR_PROTOCOL);
	assert_int_equal(offer_raw("\x25\xb5\x2f\xfd\0\0\0\0\0\0", 10), -ERR_PROTOCOL);
	assert_int_equal(offer_raw("\x27\xb5\x2f\xfd\0\0\0\0\0\0", 10), -ERR_PROTOCOL);
	assert_int_equal(offer_raw("GET / HTTP/1.1\r\n\r\n", 18), -ERR_PROTOCOL);
	assert_int_equal(offer_raw("", 0), -ERR_PROTOCOL);
}

/* 128 KiB of one byte from four bytes: stops at the picture's last pixel. */
static void
test_bomb(void **state)
{
	(void)state;
	static struct forged f;
	struct wr w = plain_head(plain, sizeof plain, 1, W, H, 1);
	plain_rect(&w, 1, 0, 0, W, H, 0);
	forge_open(&f, 23);
	forge_block(&f, plain, w.len, 0);
	for (int i = 0; i < 1000; i++) {
		uint32_t head = 0x20000u << 3 | 1u << 1; /* an RLE block */
		wr_u8(&f.w, (uint8_t)head);
		wr_u8(&f.w, (uint8_t)(head >> 8));
		wr_u8(&f.w, (uint8_t)(head >> 16));
		wr_u8(&f.w, 'x');
	}
	assert_int_equal(offer_raw(f.bytes, f.w.len), -ERR_PROTOCOL);
}

/* Every bit of a good stream turned over once: never a crash, and never a picture of another size.
 */
static void
test_every_bit(void **state)
{
	(void)state;
	static uint8_t piece[ENCODE_PIECE_MAX_BYTES], bent[ENCODE_PIECE_MAX_BYTES];
	struct encoder *e;
	struct image image;
	struct rect all = {0, 0, W, H};
	int last, kept = 0;
	assert_int_equal(encoder_new(8, NULL, &e), 0);
	assert_int_equal(image_init(&image, W, H), 0);
	image_at(&image, 3, 2)[0] = 200;
	encoder_start(e, 1, &image, &(struct encode_change){.rects = &all, .rect_count = 1});
	int len = encoder_next(e, piece, sizeof piece, &last);
	assert_true(len > 0 && last);
	for (size_t bit = 0; bit < (size_t)len * 8; bit++) {
		memcpy(bent, piece, (size_t)len);
		bent[bit / 8] ^= (uint8_t)(1 << bit % 8);
		kept += offer_raw(bent, (size_t)len) == 1;
	}
	assert_true(kept < len * 8 / 2);
	for (size_t cut = 0; cut < (size_t)len; cut++)
		assert_int_equal(offer_raw(piece, cut), -ERR_PROTOCOL);
	image_fini(&image);
	encoder_free(e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_sizes_and_layouts),
		cmocka_unit_test(test_history),
		cmocka_unit_test(test_attack_client_that_draws_no_mark),
		cmocka_unit_test(test_parameters),
		cmocka_unit_test(test_one_rectangle),
		cmocka_unit_test(test_area),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_bomb),
		cmocka_unit_test(test_every_bit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
