/*
 * Pictures and rectangles. A pixel is four bytes B G R X in memory (what X11 of depth 24 gives on
 * little-endian machines); the fourth byte carries nothing. Pure: no OS calls, also built for
 * WebAssembly.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
	IMAGE_PIXEL_BYTES = 4,
	IMAGE_SIDE_MAX_PX = 16384,    /* coordinates fit an int16 of X11 and a u16 of the picture
					 format with room */
	IMAGE_AREA_MAX_PX = 32 << 20, /* four displays of 3840x2160; 128 MiB of memory */
};

struct rect {
	uint16_t x, y, w, h; /* pixels */
};

/* Owns its bytes after image_init; a view borrows them. */
struct image {
	uint8_t *bytes;
	size_t stride; /* bytes from row to row */
	uint16_t width, height;
};

/* 1 when a screen of this size is within the limits (and not empty). */
int image_fits(uint32_t width, uint32_t height);

/* Zeroed pixels. 0, -EINVAL (size), -ENOMEM; on failure *image is as it was. */
int image_init(struct image *image, uint32_t width, uint32_t height);
void image_fini(struct image *image);

static inline uint8_t *
image_at(const struct image *image, size_t x, size_t y)
{
	return image->bytes + y * image->stride + x * IMAGE_PIXEL_BYTES;
}

/* 1 when the rectangle is not empty and lies inside width x height. */
int rect_inside(const struct rect *rect, uint32_t width, uint32_t height);

/* 1 when they have pixels in common. */
int rect_overlap(const struct rect *a, const struct rect *b);

/* What they have in common; w and h 0: nothing. */
struct rect rect_common(const struct rect *a, const struct rect *b);

enum {
	RECT_PARTS_MAX = 4
};
/* The parts of a that are not in b. Returns how many. */
size_t rect_without(
	const struct rect *a, const struct rect *b, struct rect ret_parts[static RECT_PARTS_MAX]);

/* 1 when all of a is in b. */
int rect_within(const struct rect *a, const struct rect *b);

static inline uint32_t
rect_area(const struct rect *rect)
{
	return (uint32_t)rect->w * rect->h;
}

/* Smallest rectangle around both; an empty one (w or h 0) adds nothing. */
struct rect rect_union(struct rect a, struct rect b);
