/*
 * The monitors of a virtual display (仮想マルチディスプレイ): each monitor of the home PC becomes a
 * real output of the X server, so that programs see it as one. Only for a display that is the
 * agent's own (setting DISPLAY_VIRTUAL); outputs of an Xorg with the dummy driver, which has 16.
 * Requests wait for the server's answers; RandR 1.5 of the X Resize and Rotate extension.
 */
#pragma once
#include "desktop/display.h"

struct layout;

enum {
	LAYOUT_SIDE_MIN_PX = 320
};

/* Remembers how the outputs stand. 0; -ERR_DESKTOP_FAILED when the display has no outputs that can
 * be arranged. display must outlive it. */
int layout_new(struct display *display, struct layout **ret_layout);
/* Puts everything back. NULL is fine. */
void layout_free(struct layout *layout);

/* 1 <= count <= SOURCE_MONITORS_MAX, the first one primary, positions relative to each other;
 * scale_percent: how much larger than at 96 dots per inch text and controls shall be. 0;
 * -EINVAL for sizes beyond the limits or more monitors than outputs; -ERR_DESKTOP_FAILED when the
 * server refuses: then it is as before. */
int layout_set(struct layout *layout, const struct source_monitor *monitors, size_t count,
	uint32_t scale_percent);
