/* The parts of an input for the picture decoder. */
#pragma once
#include "base/wire.h"
#include "fuzz.h"
#include "screen/decode.h"

enum {
	FEED_LEN_MAX = 127,
	FEED_PIECE_BYTES = 6 + 3 + FEED_LEN_MAX,
};

/* Two bytes: width and height, less one. */
static inline int
feed_layout(struct decoder *d, struct rd *in)
{
	uint32_t width = rd_u8(in) + 1u, height = rd_u8(in) + 1u;
	return decoder_layout(d, width, height);
}

/* At most len of the input's bytes; raw: as a raw block of a zstd frame of 8 MiB, with the frame's
 * head before the first one. Returns the bytes written. */
static inline size_t
feed_piece(struct rd *in, size_t len, int raw, int *begun, uint8_t out[static FEED_PIECE_BYTES])
{
	struct wr w = wr_init(out, FEED_PIECE_BYTES);
	len = len < in->left ? len : in->left;
	if (raw && !*begun)
		wr_bytes(&w, "\x28\xb5\x2f\xfd\0\x68", 6);
	if (raw) /* RFC 8878 3.1.1.2 */
		wr_u24(&w, (uint32_t)((len << 3 & 0xff) << 16 | len >> 5 << 8));
	*begun = 1;
	wr_bytes(&w, rd_bytes(in, len), len);
	return w.len;
}

/* What a client does with a picture that is complete: everything it is told about lies inside. */
static inline void
feed_look(struct decoder *d)
{
	const struct image *image = decoder_image(d);
	struct rect film;
	size_t count, len, sum = 0;
	const struct rect *rects = decoder_rects(d, &count);
	for (size_t i = 0; i < count; i++) {
		assert(rect_inside(&rects[i], image->width, image->height));
		sum += *image_at(image, rects[i].x, rects[i].y);
		sum += *image_at(image, rects[i].x + rects[i].w - 1u, rects[i].y + rects[i].h - 1u);
	}
	const uint8_t *unit = decoder_film(d, &film, &len);
	for (size_t i = 0; unit && i < len; i++)
		sum += unit[i];
	assert(!unit || rect_inside(&film, image->width, image->height));
	assert(sum < SIZE_MAX);
}
