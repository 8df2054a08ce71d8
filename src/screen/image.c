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
