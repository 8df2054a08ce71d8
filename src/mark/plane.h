/* Pictures of floats, and what the watermark's reader makes of a photograph before it looks for the
 * pattern. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "mark/photo.h"

struct plane {
	float *at; /* width * height, row by row; owned */
	int width, height;
};

/* 0 or -ENOMEM. Zeroes. */
int plane_init(struct plane *plane, int width, int height);
void plane_fini(struct plane *plane);

/* The photograph (or what lies between the corners x, y of the screen: upper left, upper right,
 * lower right, lower left; NULL = all of it) with the longer side scaled to side pixels. 0, -EINVAL
 * (corners that are no quadrilateral), -ENOMEM. */
int plane_take(const struct photo *photo, const double *corners, int side, struct plane *ret_plane);

/* What is left when the ground is taken away, everywhere about as strong: dashes stand out, letters
 * no more than they. 0 or -ENOMEM. */
int plane_flatten(const struct plane *plane, struct plane *ret_plane);

/* In place, of a flattened plane: how much, lighter or darker. On photographs within the picture
 * some dashes are lighter than their ground and some darker. 0 or -ENOMEM. */
int plane_rectify(struct plane *flat);

/* Means over squares of 2 * radius + 1, in place. 0 or -ENOMEM. */
int plane_blur(struct plane *plane, int radius);

/* Of a flattened plane: what is as large as a dash and stands out of the noise around it, the rest
 * is 0. 0 or -ENOMEM. */
int plane_dashes(const struct plane *flat, struct plane *ret_plane);

/* Means over squares of factor pixels; what is left over at the right and below goes. 0, -EINVAL
 * (smaller than one square), -ENOMEM. */
int plane_shrink(const struct plane *plane, int factor, struct plane *ret_plane);

/* Between pixels; 0 outside. */
float plane_sample(const struct plane *plane, double x, double y);
