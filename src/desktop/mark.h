/* The watermark of this session, drawn in a child: Pango opens files and starts threads, and
 * neither may be left behind in a process that then gives up its rights. */
#pragma once
#include <stddef.h>

#include "screen/watermark.h"

/* count lines; none gives NULL, which marks nothing. code: WATERMARK_CODE_BYTES, or NULL. 0,
 * -errno, -EIO when the child failed. */
int mark_draw(const char *const *lines, size_t count, const uint8_t *code,
	struct watermark **ret_watermark);
