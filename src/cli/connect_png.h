/* A picture to a PNG file. */
#pragma once
#include "screen/image.h"

/* Whole or not at all. 0, -errno. */
int png_save(const struct image *image, const char *path);
