/* How like two pictures are. */
#pragma once
#include "screen/image.h"

/* Mean structural similarity (Wang et al. 2004; Y, blocks of 8x8, step 4) inside the rectangle of
 * two pictures of one size. mask: a byte for each pixel, not 0: it does not count; NULL: all do. */
double similar(const struct image *a, const struct image *b, struct rect at, const uint8_t *mask);
