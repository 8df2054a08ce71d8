/*
 * The watermark (電子透かし): a stroke mask, fixed for the session and repeated over the whole
 * screen, that is put into every pixel before it is coded: text to read, and a code for
 * photographs. It deters and identifies photographs of the screen; it is no protection against
 * somebody who edits pixels.
 *
 * Deterministic, and its own inverse: marking a marked pixel gives back what it was. So a copy
 * inside a marked picture can be set right exactly where its old and its new strokes lie.
 */
#pragma once
#include "screen/image.h"

enum {
	WATERMARK_SIDE_MAX_PX = 4096, /* of the mask, before it repeats */
	/* enough for the longest text that a session can have */
	WATERMARK_MASK_MAX_BYTES = 16 << 20,
	/* Strokes cost contrast and break matches of the coder: at most this part of the pixels
	 * (the design allows 20). */
	WATERMARK_COVER_PERMILLE = 12,
	WATERMARK_STRENGTH = 22,      /* steps of 255 that a stroke differs from what is under it */
	WATERMARK_STRENGTH_DARK = 18, /* the same below 36 */
};

/* The coded part (mark/code.h): a dash in each cell of a grid, at one of four places around its
 * middle; cells repeat after WATERMARK_CELLS in both directions. What a dash costs is to break what
 * the coder has found, whatever its length: so there are few, and they are long. */
enum {
	WATERMARK_PITCH_PX = 67, /* nothing else on a screen repeats after 67 pixels */
	WATERMARK_CELLS = 16,
	WATERMARK_PERIOD_PX = WATERMARK_CELLS * WATERMARK_PITCH_PX,
	WATERMARK_OFFSET_PX = 4, /* of the dash from the middle, to both sides and up and down */
	WATERMARK_DASH_PX = 8,   /* one pixel high: breaks a single row for the coder */
	/* a symbol of two bits for each cell, row by row, the first in the lowest bits: bit 0 right
	 * of the middle, bit 1 below it */
	WATERMARK_CODE_BYTES = WATERMARK_CELLS * WATERMARK_CELLS / 4,
};

struct watermark;

/* mask: width * height bytes, row by row, not zero where a stroke is; may go afterwards. 0, -EINVAL
 * (size, or more strokes than WATERMARK_COVER_PERMILLE), -ENOMEM. */
int watermark_new(
	const uint8_t *mask, uint32_t width, uint32_t height, struct watermark **ret_watermark);
void watermark_free(struct watermark *watermark);

/* Marks view, the part of the screen whose upper left corner is x, y. watermark NULL = none.
 * Applied again, it takes the mark away. */
void watermark_apply(const struct watermark *watermark, struct image *view, uint16_t x, uint16_t y);

/* The same for width pixels of a row, of step bytes each (3 or 4), as if they lay at x, y. */
void watermark_row(const struct watermark *watermark, uint8_t *pixels, size_t step, uint32_t x,
	uint32_t y, uint32_t width);

/* The mask's size, and one of its rows: a bit for each pixel, the lowest first, in
 * watermark_row_bytes(width) bytes. */
void watermark_size(const struct watermark *watermark, uint32_t *ret_width, uint32_t *ret_height);
void watermark_bits(const struct watermark *watermark, uint32_t y, uint8_t *out);
static inline size_t
watermark_row_bytes(uint32_t width)
{
	return (width + 7) / 8;
}
