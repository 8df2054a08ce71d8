#include "screen/watermark.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct watermark {
	uint32_t width, height;
	uint32_t *rows; /* strokes of row y: columns[rows[y]] to columns[rows[y + 1]], ascending */
	uint16_t *columns;
};

static size_t
strokes(const uint8_t *mask, size_t pixels)
{
	size_t count = 0;
	for (size_t i = 0; i < pixels; i++)
		count += mask[i] != 0;
	return count;
}

int
watermark_new(
	const uint8_t *mask, uint32_t width, uint32_t height, struct watermark **ret_watermark)
{
	if (width == 0 || height == 0 || width > WATERMARK_SIDE_MAX_PX ||
		height > WATERMARK_SIDE_MAX_PX)
		return -EINVAL;
	size_t count = strokes(mask, (size_t)width * height), next = 0;
	if (count * 1000 > (size_t)width * height * WATERMARK_COVER_PERMILLE)
		return -EINVAL;
	struct watermark *m = calloc(1, sizeof *m);
	if (!m)
		return -ENOMEM;
	m->width = width;
	m->height = height;
	m->rows = calloc((size_t)height + 1, sizeof *m->rows);
	m->columns = calloc(count + 1, sizeof *m->columns);
	if (!m->rows || !m->columns) {
		watermark_free(m);
		return -ENOMEM;
	}
	for (uint32_t y = 0; y < height; y++) {
		for (uint32_t x = 0; x < width; x++)
			if (mask[(size_t)y * width + x])
				m->columns[next++] = (uint16_t)x;
		m->rows[y + 1] = (uint32_t)next;
	}
	*ret_watermark = m;
	return 0;
}

void
watermark_free(struct watermark *watermark)
{
	if (!watermark)
		return;
	free(watermark->rows);
	free(watermark->columns);
	free(watermark);
}

/* Swaps neighbouring blocks of values, from the top: 255..234 with 233..212, and so on; white and
 * light ground get darker by it, black lighter. */
static uint8_t
swapped(uint8_t v)
{
	enum {
		BLOCK = WATERMARK_STRENGTH,
		DARK = 256 % (2 * BLOCK)
	};
	_Static_assert(DARK == 2 * WATERMARK_STRENGTH_DARK, "the rest is a pair of blocks, too");
	if (v < DARK)
		return (uint8_t)(v < DARK / 2 ? v + DARK / 2 : v - DARK / 2);
	return (uint8_t)((255 - v) / BLOCK % 2 ? v + BLOCK : v - BLOCK);
}

void
watermark_row(const struct watermark *m, uint8_t *pixels, size_t step, uint32_t x, uint32_t y,
	uint32_t width)
{
	const uint16_t *first = m->columns + m->rows[y % m->height],
		       *end = m->columns + m->rows[y % m->height + 1];
	if (first == end)
		return;
	/* the mask's copies that touch [x, x + width) */
	for (uint32_t base = x - x % m->width; base < x + width; base += m->width)
		for (const uint16_t *c = first; c < end && base + *c < x + width; c++) {
			if (base + *c < x)
				continue;
			uint8_t *p = pixels + (size_t)(base + *c - x) * step;
			for (int i = 0; i < 3; i++)
				p[i] = swapped(p[i]);
		}
}

void
watermark_apply(const struct watermark *watermark, struct image *view, uint16_t x, uint16_t y)
{
	if (!watermark)
		return;
	for (uint32_t row = 0; row < view->height; row++)
		watermark_row(watermark, image_at(view, 0, row), IMAGE_PIXEL_BYTES, x, y + row,
			view->width);
}

void
watermark_size(const struct watermark *watermark, uint32_t *ret_width, uint32_t *ret_height)
{
	*ret_width = watermark->width;
	*ret_height = watermark->height;
}

void
watermark_bits(const struct watermark *m, uint32_t y, uint8_t *out)
{
	memset(out, 0, watermark_row_bytes(m->width));
	for (uint32_t i = m->rows[y]; i < m->rows[y + 1]; i++)
		out[m->columns[i] / 8] |= (uint8_t)(1 << m->columns[i] % 8);
}
