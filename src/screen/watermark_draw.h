/*
 * Draws the watermark's mask from lines of text and a code. The only user of Pango: opens font
 * files and may start threads, so it runs in a process that has nothing to lose (desktop/mark.c
 * forks one).
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
	WATERMARK_LINES_MAX = 4
};

/* Draws count lines of UTF-8 (control characters become spaces) and the code (NULL =
 * none) where it leaves room for it, as a pattern that repeats without a seam and covers at most
 * WATERMARK_COVER_PERMILLE of it. mask: cap bytes, one per pixel. 0 and the pattern's size, a
 * multiple of WATERMARK_PERIOD_PX; -EINVAL (no visible text, too many lines, not UTF-8); -ENOBUFS
 * (does not fit cap or WATERMARK_SIDE_MAX_PX); -ENOMEM. */
int watermark_draw(const char *const *lines, size_t count, const uint8_t *code, uint8_t *mask,
	size_t cap, uint32_t *ret_width, uint32_t *ret_height);
