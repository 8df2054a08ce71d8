/*
 * The plain bytes are a small state machine's input, in whatever portions zstd gives them:
 *
 *   HEADER --n = 0--> END              take_header
 *   HEADER --n > 0--> RECT             take_header
 *   RECT -----------> PIXELS           take_rect
 *   PIXELS --more---> RECT             take_pixels
 *   PIXELS --all n--> END
 *   END ------------> HEADER           only in decoder_frame, at the picture's last piece; a byte
 * here is an error
 */
#include "screen/decode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/err.h"
#include "base/wire.h"
#include "screen/picture.h"

enum {
	OUT_BYTES = 64 * 1024
};

enum state {
	HEADER,
	RECT,
	PIXELS,
	END
};

struct decoder {
	ZSTD_DCtx *stream;
	enum decoder_order order;
	struct image image;
	int fresh;          /* the next picture must cover the whole screen */
	uint32_t seq;       /* of the open picture, or of the last one */
	int open;           /* pieces of a picture have come, its last has not */
	int dead;           /* failed before */
	size_t magic_len;   /* bytes of the stream's magic number that came */
	uint64_t area_left; /* pixels that the picture may still write */
	enum state state;
	size_t count, index; /* of rectangles */
	size_t x, y;         /* next pixel of rects[index], relative to it */
	size_t part_len;     /* bytes of an unfinished header, rectangle head or pixel */
	uint8_t part[PICTURE_HEADER_BYTES];
	struct rect rects[PICTURE_RECTS_MAX];
	uint8_t out[OUT_BYTES];
};

int
decoder_new(uint32_t window_mib, enum decoder_order order, struct decoder **ret_decoder)
{
	if (window_mib != 8 && window_mib != 16 && window_mib != 32)
		return -EINVAL;
	struct decoder *d = calloc(1, sizeof *d);
	if (!d)
		return -ENOMEM;
	d->order = order;
	d->stream = ZSTD_createDCtx();
	if (!d->stream || ZSTD_isError(ZSTD_DCtx_setParameter(d->stream, ZSTD_d_windowLogMax,
				  20 + __builtin_ctz(window_mib)))) {
		decoder_free(d);
		return -ENOMEM;
	}
	*ret_decoder = d;
	return 0;
}

void
decoder_free(struct decoder *decoder)
{
	if (!decoder)
		return;
	ZSTD_freeDCtx(decoder->stream);
	image_fini(&decoder->image);
	free(decoder);
}

int
decoder_layout(struct decoder *d, uint32_t width, uint32_t height)
{
	if (d->dead || d->open || !image_fits(width, height)) {
		d->dead = 1;
		return -ERR_PROTOCOL;
	}
	image_fini(&d->image);
	int r = image_init(&d->image, width, height);
	d->dead = r < 0;
	d->fresh = 1;
	d->count = 0;
	return r;
}

const struct image *
decoder_image(const struct decoder *decoder)
{
	return &decoder->image;
}

const struct rect *
decoder_rects(const struct decoder *decoder, size_t *ret_count)
{
	*ret_count = decoder->count;
	return decoder->rects;
}

/* Collects size bytes that may be split over calls. NULL: more must come. */
static const uint8_t *
collect(struct decoder *d, struct rd *r, size_t size)
{
	size_t need = size - d->part_len, take = need < r->left ? need : r->left;
	const uint8_t *p = rd_bytes(r, take);
	if (d->part_len == 0 && take == size)
		return p;
	memcpy(d->part + d->part_len, p, take);
	d->part_len += take;
	if (d->part_len < size)
		return NULL;
	d->part_len = 0;
	return d->part;
}

static int
take_header(struct decoder *d, struct rd *r)
{
	const uint8_t *p = collect(d, r, PICTURE_HEADER_BYTES);
	if (!p)
		return 0;
	struct rd head = rd_init(p, PICTURE_HEADER_BYTES);
	uint32_t seq = rd_u32(&head), width = rd_u16(&head), height = rd_u16(&head),
		 n = rd_u16(&head);
	if (seq != d->seq || width != d->image.width || height != d->image.height ||
		n > PICTURE_RECTS_MAX)
		return -ERR_PROTOCOL;
	d->area_left = (uint64_t)width * height;
	d->count = n;
	d->index = 0;
	d->state = n ? RECT : END;
	return 0;
}

static int
take_rect(struct decoder *d, struct rd *r)
{
	const uint8_t *p = collect(d, r, PICTURE_RECT_BYTES);
	if (!p)
		return 0;
	struct rd head = rd_init(p, PICTURE_RECT_BYTES);
	uint8_t kind = rd_u8(&head);
	struct rect rect;
	rect.x = rd_u16(&head);
	rect.y = rd_u16(&head);
	rect.w = rd_u16(&head);
	rect.h = rd_u16(&head);
	uint64_t area = (uint64_t)rect.w * rect.h;
	if (kind != PICTURE_PIXELS || !rect_inside(&rect, d->image.width, d->image.height) ||
		area > d->area_left)
		return -ERR_PROTOCOL;
	d->area_left -= area;
	d->rects[d->index] = rect;
	d->x = d->y = 0;
	d->state = PIXELS;
	return 0;
}

static void
put_bgrx(uint8_t *out, const uint8_t *in, size_t count)
{
	for (size_t i = 0; i < count; i++, out += IMAGE_PIXEL_BYTES, in += PICTURE_PIXEL_BYTES) {
		out[0] = in[0];
		out[1] = in[1];
		out[2] = in[2];
		out[3] = 255;
	}
}

static void
put_rgbx(uint8_t *out, const uint8_t *in, size_t count)
{
	for (size_t i = 0; i < count; i++, out += IMAGE_PIXEL_BYTES, in += PICTURE_PIXEL_BYTES) {
		out[0] = in[2];
		out[1] = in[1];
		out[2] = in[0];
		out[3] = 255;
	}
}

/* Writes as many pixels as are there, at most to the end of the row. */
static int
take_pixels(struct decoder *d, struct rd *r)
{
	const struct rect *rect = &d->rects[d->index];
	size_t count = rect->w - d->x, whole = r->left / PICTURE_PIXEL_BYTES;
	const uint8_t *in;
	if (d->part_len > 0 || whole == 0) {
		count = 1;
		in = collect(d, r, PICTURE_PIXEL_BYTES);
	} else {
		count = count < whole ? count : whole;
		in = rd_bytes(r, count * PICTURE_PIXEL_BYTES);
	}
	if (!in)
		return 0;
	uint8_t *out = image_at(&d->image, rect->x + d->x, rect->y + d->y);
	if (d->order == DECODER_RGBX)
		put_rgbx(out, in, count);
	else
		put_bgrx(out, in, count);
	d->x += count;
	if (d->x < rect->w)
		return 0;
	d->x = 0;
	if (++d->y < rect->h)
		return 0;
	d->state = ++d->index < d->count ? RECT : END;
	return 0;
}

static int
take(struct decoder *d, const uint8_t *data, size_t len)
{
	struct rd r = rd_init(data, len);
	int result = 0;
	while (result == 0 && r.left > 0) {
		switch (d->state) {
		case HEADER:
			result = take_header(d, &r);
			break;
		case RECT:
			result = take_rect(d, &r);
			break;
		case PIXELS:
			result = take_pixels(d, &r);
			break;
		case END:
			result = -ERR_PROTOCOL;
			break;
		}
	}
	return result;
}

/* libzstd would also take skippable frames and the formats of its own youth, which have had their
 * own bugs. */
static int
magic_ok(struct decoder *d, const uint8_t *data, size_t len)
{
	static const uint8_t magic[] = {0x28, 0xb5, 0x2f, 0xfd}; /* RFC 8878 3.1.1 */
	for (size_t i = 0; i < len && d->magic_len < sizeof magic; i++)
		if (data[i] != magic[d->magic_len++])
			return 0;
	return 1;
}

/* Decompresses one piece; all of it is used, and everything that it can give is taken. */
static int
inflate_piece(struct decoder *d, const uint8_t *data, size_t len)
{
	if (!magic_ok(d, data, len))
		return -ERR_PROTOCOL;
	ZSTD_inBuffer from = {data, len, 0};
	int full;
	do {
		ZSTD_outBuffer to = {d->out, sizeof d->out, 0};
		size_t left = ZSTD_decompressStream(d->stream, &to, &from);
		/* 0 is the end of a zstd frame: a session's stream has none */
		if (left == 0 || ZSTD_isError(left))
			return -ERR_PROTOCOL;
		int r = take(d, d->out, to.pos);
		if (r < 0)
			return r;
		full = to.pos == sizeof d->out;
	} while (full || from.pos < len);
	return 0;
}

/* Every pixel written has 255 in its fourth byte, and a new framebuffer has 0. */
static int
covered(const struct image *image)
{
	for (size_t y = 0; y < image->height; y++)
		for (size_t x = 0; x < image->width; x++)
			if (image_at(image, x, y)[3] != 255)
				return 0;
	return 1;
}

static int
frame(struct decoder *d, uint32_t seq, int last, const uint8_t *data, size_t len)
{
	if (!d->image.bytes || seq != d->seq + !d->open)
		return -ERR_PROTOCOL;
	if (!d->open) {
		d->seq = seq;
		d->open = 1;
		d->state = HEADER;
		d->count = 0;
	}
	int r = inflate_piece(d, data, len);
	if (r < 0 || !last)
		return r;
	if (d->state != END || (d->fresh && !covered(&d->image)))
		return -ERR_PROTOCOL;
	d->fresh = d->open = 0;
	return 1;
}

int
decoder_frame(struct decoder *d, uint32_t seq, int last, const uint8_t *data, size_t len)
{
	int r = d->dead ? -ERR_PROTOCOL : frame(d, seq, last, data, len);
	if (r < 0)
		d->dead = 1;
	return r;
}
