/*
 * Bytes to pictures: the client's side of screen/encode.h. Everything comes from the other side and
 * is checked before memory is taken for it: the window by zstd's limit, the layout by image_fits,
 * rectangles against the layout as they come. A picture is written straight into the framebuffer;
 * it is whole, and may be shown, when decoder_frame returns 1.
 *
 * Pure C over libzstd and base/wire: also built for WebAssembly. After an error the decoder only
 * goes to decoder_free.
 */
#pragma once
#include "screen/image.h"

struct decoder;

enum decoder_order {
	DECODER_BGRX, /* as struct image says */
	DECODER_RGBX, /* for an HTML canvas */
};

/* window_mib: the largest window the stream may use (8, 16 or 32). 0, -EINVAL, -ENOMEM. */
int decoder_new(uint32_t window_mib, enum decoder_order order, struct decoder **ret_decoder);
void decoder_free(struct decoder *decoder);

/* A Layout (the first in Start): the framebuffer becomes zeroed and of this size; the next picture
 * must cover it all. 0; -ERR_PROTOCOL inside a picture or beyond the limits; -ENOMEM. */
int decoder_layout(struct decoder *decoder, uint32_t width, uint32_t height);

/* The fields of one Frame message. Returns 1 when the picture is complete, 0 when more pieces must
 * come, -ERR_PROTOCOL for anything that docs/protocol.md 8.1 does not allow, -ENOMEM. */
int decoder_frame(struct decoder *decoder, uint32_t seq, int last, const uint8_t *data, size_t len);

/* The film of the last complete picture (screen/film.h): its unit and where it belongs. The caller
 * decodes it into the framebuffer before anything is shown or the next frame comes. NULL: none. */
const uint8_t *decoder_film(const struct decoder *decoder, struct rect *ret_at, size_t *ret_len);

/* The same framebuffer, for that. */
struct image *decoder_canvas(struct decoder *decoder);

/* The framebuffer; the fourth byte of every pixel written is 255. Valid until the next
 * decoder_layout. */
const struct image *decoder_image(const struct decoder *decoder);

/* What the last complete picture wrote, at most PICTURE_RECTS_MAX; valid until the next call of
 * decoder_frame. */
const struct rect *decoder_rects(const struct decoder *decoder, size_t *ret_count);
