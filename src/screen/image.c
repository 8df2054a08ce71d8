#include "screen/image.h"

#include <errno.h>
#include <stdlib.h>

int
image_fits(uint32_t width, uint32_t height)
{
	return width > 0 && height > 0 && width <= IMAGE_SIDE_MAX_PX &&
	       height <= IMAGE_SIDE_MAX_PX && (uint64_t)width * height <= IMAGE_AREA_MAX_PX;
}

int
image_init(struct image *image, uint32_t width, uint32_t height)
{
	if (!image_fits(width, height))
		return -EINVAL;
	/* calloc checks the product; the limits above keep it far from overflowing */
	uint8_t *bytes = calloc((size_t)width * height, IMAGE_PIXEL_BYTES);
	if (!bytes)
		return -ENOMEM;
	*image = (struct image){
		bytes, (size_t)width * IMAGE_PIXEL_BYTES, (uint16_t)width, (uint16_t)height};
	return 0;
}

void
image_fini(struct image *image)
{
	if (!image)
		return;
	free(image->bytes);
	*image = (struct image){0};
}

int
rect_inside(const struct rect *rect, uint32_t width, uint32_t height)
{
	return rect->w > 0 && rect->h > 0 && (uint32_t)rect->x + rect->w <= width &&
	       (uint32_t)rect->y + rect->h <= height;
}

int
rect_overlap(const struct rect *a, const struct rect *b)
{
	return a->x < b->x + b->w && b->x < a->x + a->w && a->y < b->y + b->h && b->y < a->y + a->h;
}

int
rect_within(const struct rect *a, const struct rect *b)
{
	return a->x >= b->x && a->y >= b->y && a->x + a->w <= b->x + b->w &&
	       a->y + a->h <= b->y + b->h;
}

/* Between corners; empty when they are the wrong way round. */
static struct rect
between(int x0, int y0, int x1, int y1)
{
	if (x0 >= x1 || y0 >= y1)
		return (struct rect){0};
	return (struct rect){(uint16_t)x0, (uint16_t)y0, (uint16_t)(x1 - x0), (uint16_t)(y1 - y0)};
}

struct rect
rect_common(const struct rect *a, const struct rect *b)
{
	int ax1 = a->x + a->w, ay1 = a->y + a->h, bx1 = b->x + b->w, by1 = b->y + b->h;
	return between(a->x > b->x ? a->x : b->x, a->y > b->y ? a->y : b->y, ax1 < bx1 ? ax1 : bx1,
		ay1 < by1 ? ay1 : by1);
}

size_t
rect_without(
	const struct rect *a, const struct rect *b, struct rect ret_parts[static RECT_PARTS_MAX])
{
	struct rect c = rect_common(a, b);
	if (c.w == 0) {
		ret_parts[0] = *a;
		return 1;
	}
	int x1 = a->x + a->w, y1 = a->y + a->h, cx1 = c.x + c.w, cy1 = c.y + c.h;
	const struct rect parts[RECT_PARTS_MAX] = {
		between(a->x, a->y, x1, c.y),
		between(a->x, c.y, c.x, cy1),
		between(cx1, c.y, x1, cy1),
		between(a->x, cy1, x1, y1),
	};
	size_t count = 0;
	for (size_t i = 0; i < RECT_PARTS_MAX; i++)
		if (parts[i].w)
			ret_parts[count++] = parts[i];
	return count;
}

struct rect
rect_union(struct rect a, struct rect b)
{
	if (a.w == 0 || a.h == 0)
		return b;
	if (b.w == 0 || b.h == 0)
		return a;
	unsigned x0 = a.x < b.x ? a.x : b.x, y0 = a.y < b.y ? a.y : b.y;
	unsigned ax1 = (unsigned)a.x + a.w, bx1 = (unsigned)b.x + b.w;
	unsigned ay1 = (unsigned)a.y + a.h, by1 = (unsigned)b.y + b.h;
	unsigned x1 = ax1 > bx1 ? ax1 : bx1, y1 = ay1 > by1 ? ay1 : by1;
	return (struct rect){(uint16_t)x0, (uint16_t)y0, (uint16_t)(x1 - x0), (uint16_t)(y1 - y0)};
}
