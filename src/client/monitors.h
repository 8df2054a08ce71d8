/*
 * The monitors of the home PC as a person writes them: 1920x1080+0+0@100,1280x1024+1920+0@125.
 * Width and height in pixels, the place of the upper left corner, how large text shall be in per
 * cent of 96 dots per inch; place and scale may be left out (to the right of the one before, @100).
 * The first one is primary.
 */
#pragma once
#include <stddef.h>

#include "inner.pb.h"

enum {
	MONITORS_MAX = 4
};

/* 1 <= *ret_count <= MONITORS_MAX. 0 or -EINVAL. */
int monitors_parse(
	const char *text, engawa_Monitor ret_monitors[static MONITORS_MAX], size_t *ret_count);
