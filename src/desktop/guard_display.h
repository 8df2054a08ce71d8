/* The display as the guard sees it: whether people can sit in front of it, and the mark that tells
 * one X server from the next. */
#pragma once
#include <stdint.h>
#include <xcb/xcb.h>

#include "desktop/guard.h"
#include "desktop/guard_journal.h"

struct guard_display {
	xcb_connection_t *c;
	xcb_window_t root;
	uint8_t xi_opcode; /* of its events */
	int has_saver;     /* MIT-SCREEN-SAVER */
	xcb_atom_t token, vt, xtest;
};

/* Takes over the connected socket. 0, -ERR_NO_DISPLAY, -ERR_DARK_FAILED (no RandR 1.3),
 * -ERR_INPUT_FAILED (no XInput 2). guard_display_close in all cases. */
int guard_display_open(struct guard_display *d, int fd, const struct guard_run *run);
void guard_display_close(struct guard_display *d);

/* 1 when the server is a guest of a Wayland compositor: it shows only X programs' windows, and
 * holds neither screen nor keyboard. */
int guard_display_is_guest(struct guard_display *d);
/* 1 when the console shows another virtual terminal than this display's. */
int guard_display_is_away(struct guard_display *d);
/* 1 when a program of the X screen saver's covers the screen. */
int guard_display_is_covered(struct guard_display *d);
/* 1 when a window hides everything and somebody else has the keyboard: what locks look like that
 * tell nobody (i3lock, xsecurelock, slock). A game can look so, too. */
int guard_display_is_held(struct guard_display *d);

/* 1 and the mark; 0: this server has none. */
int guard_display_token(struct guard_display *d, uint8_t ret_token[static JOURNAL_TOKEN_BYTES]);
void guard_display_set_token(
	struct guard_display *d, const uint8_t token[static JOURNAL_TOKEN_BYTES]);
void guard_display_drop_token(struct guard_display *d);

/* Everything asked so far has been done, or the connection is gone: 0 or -ERR_NO_DISPLAY. */
int guard_display_settle(struct guard_display *d);
