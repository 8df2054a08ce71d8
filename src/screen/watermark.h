/*
 * The watermark (電子透かし): a stroke mask, fixed for the session and repeated over the whole
 * screen, that is put into every captured picture before it is compared and coded. It deters and
 * identifies photographs of the screen; it is no protection against somebody who edits pixels.
 *
 * Deterministic: the same mask on the same pixels gives the same picture, on every machine.
 */
#pragma once
#include "screen/image.h"

enum {
	WATERMARK_SIDE_MAX_PX = 4096, /* of the mask, before it repeats */
	/* enough for the longest text that a session can have */
	WATERMARK_MASK_MAX_BYTES = 16 << 20,
	/* Strokes cost contrast and break matches of the coder: at most this part of the pixels.
	 * The design allows 20, but the same scrolling took 3.5 Mbit/s at 20, 2.0 at 12, 0.7
	 * unmarked. */
	WATERMARK_COVER_PERMILLE = 12,
	WATERMARK_STRENGTH = 22, /* steps of 255 that a stroke differs from what is under it */
};

struct watermark;

/* mask: width * height bytes, row by row, not zero where a stroke is; may go afterwards. 0, -EINVAL
 * (size, or more strokes than WATERMARK_COVER_PERMILLE), -ENOMEM. */
int watermark_new(
	const uint8_t *mask, uint32_t width, uint32_t height, struct watermark **ret_watermark);
void watermark_free(struct watermark *watermark);

/* Marks view, the part of the screen whose upper left corner is x, y. watermark NULL = none. Not to
 * be applied twice. */
void watermark_apply(const struct watermark *watermark, struct image *view, uint16_t x, uint16_t y);
