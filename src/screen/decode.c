/*
 * The plain bytes are a small state machine's input, in whatever portions zstd gives them:
 *
 *   HEADER --n = 0--> END              take_header
 *   HEADER --n > 0--> ITEM             take_header
 *   ITEM -----------> PIXELS           take_item, by the item's kind
 *   ITEM -----------> COPY
 *   ITEM -----------> MARK
 *   ITEM -----------> FILM
 *   PIXELS, COPY, MARK --more---> ITEM take_pixels, take_copy, take_mark
 *   PIXELS, COPY, MARK, FILM --all n--> END
 *   END ------------> HEADER           only in decoder_frame, at the picture's last piece; a byte
 *                                      here is an error
 */
#include "screen/decode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/err.h"
#include "base/wire.h"
#include "screen/move.h"
#include "screen/picture.h"
#include "screen/watermark.h"

enum {
	OUT_BYTES = 64 * 1024
};

enum state {
	HEADER,
	ITEM,
	PIXELS,
	COPY,
	MARK,
	FILM,
	END
};

struct decoder {
	ZSTD_DCtx *stream;
	enum decoder_order order;
	struct image image;
	int fresh;                      /* the next picture must cover the whole screen */
	uint32_t seq;                   /* of the open picture, or of the last one */
	int open;                       /* pieces of a picture have come, its last has not */
	int dead;                       /* failed before */
	size_t magic_len;               /* bytes of the stream's magic number that came */
	uint64_t area_left, moved_left; /* pixels that the picture may still write and copy */
	enum state state;
	size_t items_left; /* of the picture, with the present one */
	struct rect item;
	size_t x, y; /* next pixel of item, relative to it */
	struct watermark *watermark;
	uint8_t *mask;    /* of a watermark that is coming, one byte for each pixel */
	struct rect film; /* of this picture; w 0: none */
	uint8_t *unit;
	size_t unit_len, unit_have; /* unit_len 0: its length has not come */
	size_t part_len;            /* bytes of an unfinished header, rectangle head or pixel */
	uint8_t part[PICTURE_HEADER_BYTES];
	struct rect rects[PICTURE_RECTS_MAX]; /* written by the last picture */
	size_t count;
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
	watermark_free(decoder->watermark);
	free(decoder->mask);
	free(decoder->unit);
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

struct image *
decoder_canvas(struct decoder *decoder)
{
	return &decoder->image;
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
	d->area_left = d->moved_left = (uint64_t)width * height;
	d->count = 0;
	d->film.w = 0;
	d->items_left = n;
	d->state = n ? ITEM : END;
	return 0;
}

static void
next_item(struct decoder *d)
{
	d->state = --d->items_left ? ITEM : END;
}

/* It comes once, before anything else. */
static int
start_mark(struct decoder *d)
{
	const struct rect *r = &d->item;
	if (d->seq != 1 || d->count > 0 || d->watermark || r->x || r->y || r->w == 0 || r->h == 0 ||
		r->w > WATERMARK_SIDE_MAX_PX || r->h > WATERMARK_SIDE_MAX_PX)
		return -ERR_PROTOCOL;
	d->mask = malloc((size_t)r->w * r->h);
	if (!d->mask)
		return -ENOMEM;
	d->state = MARK;
	return 0;
}

/* An area that is written: pixels of a budget. */
static int
start_area(struct decoder *d, uint64_t *left, enum state state)
{
	uint64_t area = (uint64_t)d->item.w * d->item.h;
	if (!rect_inside(&d->item, d->image.width, d->image.height) || area > *left)
		return -ERR_PROTOCOL;
	*left -= area;
	d->rects[d->count++] = d->item;
	d->state = state;
	return 0;
}

/* The last item of a picture that is not the first. */
static int
start_film(struct decoder *d)
{
	const struct rect *r = &d->item;
	if (!rect_inside(r, d->image.width, d->image.height) || r->w % 2 || r->h % 2 || d->fresh ||
		d->items_left != 1)
		return -ERR_PROTOCOL;
	d->rects[d->count++] = d->film = *r;
	d->unit_len = d->unit_have = 0;
	d->state = FILM;
	return 0;
}

static int
take_unit_length(struct decoder *d, struct rd *r)
{
	const uint8_t *p = collect(d, r, PICTURE_UNIT_BYTES);
	if (!p)
		return 0;
	struct rd head = rd_init(p, PICTURE_UNIT_BYTES);
	size_t len = rd_u24(&head);
	if (len == 0 || len > PICTURE_UNIT_MAX_BYTES)
		return -ERR_PROTOCOL;
	free(d->unit);
	d->unit = malloc(len);
	d->unit_len = d->unit ? len : 0;
	return d->unit ? 0 : -ENOMEM;
}

static int
take_film(struct decoder *d, struct rd *r)
{
	if (d->unit_len == 0)
		return take_unit_length(d, r);
	size_t left = d->unit_len - d->unit_have, take = left < r->left ? left : r->left;
	memcpy(d->unit + d->unit_have, rd_bytes(r, take), take);
	d->unit_have += take;
	if (d->unit_have == d->unit_len)
		next_item(d);
	return 0;
}

const uint8_t *
decoder_film(const struct decoder *d, struct rect *ret_at, size_t *ret_len)
{
	*ret_at = d->film;
	*ret_len = d->unit_len;
	return d->film.w && !d->open ? d->unit : NULL;
}

static int
take_item(struct decoder *d, struct rd *r)
{
	const uint8_t *p = collect(d, r, PICTURE_RECT_BYTES);
	if (!p)
		return 0;
	struct rd head = rd_init(p, PICTURE_RECT_BYTES);
	uint8_t kind = rd_u8(&head);
	d->item.x = rd_u16(&head);
	d->item.y = rd_u16(&head);
	d->item.w = rd_u16(&head);
	d->item.h = rd_u16(&head);
	d->x = d->y = 0;
	switch (kind) {
	case PICTURE_PIXELS:
		return start_area(d, &d->area_left, PIXELS);
	case PICTURE_COPY:
		return start_area(d, &d->moved_left, COPY);
	case PICTURE_MARK:
		return start_mark(d);
	case PICTURE_FILM:
		return start_film(d);
	default:
		return -ERR_PROTOCOL;
	}
}

/* Moves the pixels, takes the mark of the old place off them and puts that of the new one on. */
static int
take_copy(struct decoder *d, struct rd *r)
{
	const uint8_t *p = collect(d, r, PICTURE_COPY_BYTES);
	if (!p)
		return 0;
	struct rd source = rd_init(p, PICTURE_COPY_BYTES);
	struct copy copy = {.to = d->item};
	copy.from_x = rd_u16(&source);
	copy.from_y = rd_u16(&source);
	struct rect from = {copy.from_x, copy.from_y, copy.to.w, copy.to.h};
	if (!rect_inside(&from, d->image.width, d->image.height))
		return -ERR_PROTOCOL;
	move_copy(&d->image, &copy);
	for (size_t y = 0; d->watermark && y < from.h; y++) {
		uint8_t *row = image_at(&d->image, copy.to.x, copy.to.y + y);
		watermark_row(d->watermark, row, IMAGE_PIXEL_BYTES, from.x, (uint32_t)(from.y + y),
			from.w);
		watermark_row(d->watermark, row, IMAGE_PIXEL_BYTES, copy.to.x,
			(uint32_t)(copy.to.y + y), from.w);
	}
	next_item(d);
	return 0;
}

/* Eight pixels of the mask. */
static int
take_mark(struct decoder *d, struct rd *r)
{
	uint8_t bits = rd_u8(r);
	uint8_t *row = d->mask + d->y * d->item.w;
	for (int i = 0; i < 8 && d->x < d->item.w; i++, bits >>= 1)
		row[d->x++] = bits & 1;
	if (bits) /* after the end of the row */
		return -ERR_PROTOCOL;
	if (d->x < d->item.w)
		return 0;
	d->x = 0;
	if (++d->y < d->item.h)
		return 0;
	int result = watermark_new(d->mask, d->item.w, d->item.h, &d->watermark);
	free(d->mask);
	d->mask = NULL;
	next_item(d);
	return result == -EINVAL ? -ERR_PROTOCOL : result;
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
	const struct rect *rect = &d->item;
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
	next_item(d);
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
		case ITEM:
			result = take_item(d, &r);
			break;
		case PIXELS:
			result = take_pixels(d, &r);
			break;
		case COPY:
			result = take_copy(d, &r);
			break;
		case MARK:
			result = take_mark(d, &r);
			break;
		case FILM:
			result = take_film(d, &r);
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
