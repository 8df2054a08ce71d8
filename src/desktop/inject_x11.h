/* Hands of an X display: XTEST. */
#pragma once
#include "desktop/commit.h"
#include "desktop/display.h"
#include "desktop/held.h"
#include "desktop/inject.h"
#include "desktop/keymap.h"

struct inject {
	struct display *display;
	struct keymap keymap;
	struct commit *commit; /* of the session; NULL: characters are typed by keys only */
	uint16_t buttons;      /* bit n: button n + 1 is down */
	struct held held;      /* codes: keycodes */
	struct inject_shift {
		xcb_keycode_t pressed;   /* for the last key, 0 = none */
		xcb_keycode_t lifted[2]; /* likewise, though the person holds them */
		size_t lifted_count;
	} shift;
};

/* Releases what an earlier process may have left held. 0, -ENOMEM, -ERR_DESKTOP_FAILED. */
int inject_init(struct inject *inject, struct display *display);
/* Releases everything. */
void inject_fini(struct inject *inject);
