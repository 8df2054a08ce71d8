#include "screen/watermark.h"

#include <errno.h>
#include <stdlib.h>

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

static uint8_t
darker(uint8_t v)
{
	return v > WATERMARK_STRENGTH ? (uint8_t)(v - WATERMARK_STRENGTH) : 0;
}

static uint8_t
lighter(uint8_t v)
{
	return v < 255 - WATERMARK_STRENGTH ? (uint8_t)(v + WATERMARK_STRENGTH) : 255;
}

/* Darker on light ground and lighter on dark, so that it shows on every colour. */
static void
mark(uint8_t *bgr)
{
	int light = bgr[0] + 5 * bgr[1] + 2 * bgr[2] >= 8 * 128;
	for (int i = 0; i < 3; i++)
		bgr[i] = light ? darker(bgr[i]) : lighter(bgr[i]);
}

static void
mark_row(const struct watermark *m, uint32_t mask_y, uint8_t *pixels, uint32_t x, uint32_t width)
{
	const uint16_t *first = m->columns + m->rows[mask_y],
		       *end = m->columns + m->rows[mask_y + 1];
	/* the mask's copies that touch [x, x + width) */
	for (uint32_t base = x - x % m->width; base < x + width; base += m->width)
		for (const uint16_t *c = first; c < end && base + *c < x + width; c++)
			if (base + *c >= x)
				mark(pixels + (size_t)(base + *c - x) * IMAGE_PIXEL_BYTES);
}

void
watermark_apply(const struct watermark *watermark, struct image *view, uint16_t x, uint16_t y)
{
	if (!watermark)
		return;
	for (uint32_t row = 0; row < view->height; row++)
		mark_row(watermark, (y + row) % watermark->height, image_at(view, 0, row), x,
			view->width);
}
