/*
 * The keyboards and mice of the office PC, taken off the desktop: each is detached from its master
 * (XInput 2) and grabbed, so that nobody but the guard hears it, who listens for the break keys:
 * Ctrl, Alt and Delete. What XTest makes, which is how the person at home types, is another device
 * and stays.
 */
#pragma once
#include <xcb/xinput.h>

#include "desktop/guard_display.h"

struct guard_input {
	struct guard_display *display;
	struct journal *journal;
	unsigned held[JOURNAL_DEVICES_MAX]; /* break keys held at the journal's devices */
};

/* Notes and disconnects all. 0, -ERR_INPUT_FAILED, -ERR_SCREEN_JOURNAL. */
int input_disconnect(struct guard_input *g, struct guard_display *d, struct journal *journal);
/* Something has changed among the devices: new ones go the same way; -ERR_INPUT_UNDONE when one
 * that was disconnected has been connected again. It is disconnected then. */
int input_watch(struct guard_input *g);
/* Of the display. 1: the break keys are pressed. */
int input_is_break(struct guard_input *g, const xcb_ge_generic_event_t *event);
/* Every device goes back to its master, or to the first one when that is gone. */
void input_restore(struct guard_display *d, const struct journal *journal);
/* Without a journal: devices that belong to nobody go back to the first masters. */
void input_adopt(struct guard_display *d);
