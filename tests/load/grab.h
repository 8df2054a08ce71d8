/* The screen of $DISPLAY, looked at whenever the server says that something was drawn: for the
 * programs of ./bench screen. Failures end the process. */
#pragma once
#include <stddef.h>

#include "screen/image.h"

struct grab;

struct grab *grab_open(void);
void grab_close(struct grab *grab);
/* The screen as last seen. */
const struct image *grab_image(const struct grab *grab);
/* Waits for a change, at most so long; then the areas that differ from before, count <= max. 0:
 * none came. */
size_t grab_wait(struct grab *grab, uint64_t timeout_ms, struct rect *ret_rects, size_t max);
