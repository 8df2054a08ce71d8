/* A dark screen: the colour tables (gamma ramps) of every part of the graphics card that feeds a
 * monitor are zero. The picture in memory stays as it is, and any input leaves it so, unlike with
 * DPMS. */
#pragma once
#include "desktop/guard_display.h"

/* Notes and darkens what is lit and not in the journal. 0, -ERR_DARK_FAILED, -ERR_SCREEN_JOURNAL.
 */
int screen_darken(struct guard_display *d, struct journal *journal);
/* The same for monitors that have come since; -ERR_DARK_UNDONE when one that was dark is not: it is
 * dark again then. */
int screen_watch(struct guard_display *d, struct journal *journal);
/* What the journal says. */
void screen_restore(struct guard_display *d, const struct journal *journal);
/* Without a journal: what is dark gets straight ramps. */
void screen_light(struct guard_display *d);
