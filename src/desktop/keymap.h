/*
 * The display's keyboard map: which key gives a keysym, and keys without a meaning that can be
 * given one for a while. Programs read a changed map late, so a key is bound a moment before it is
 * used, and is not bound anew while a program may still have its last press in front of it. What is
 * bound is also written down at the display, for the next process when this one was killed.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <xcb/xcb.h>

#include "base/clock.h"

enum {
	KEYMAP_SPARES_MAX = 32,
	KEYMAP_SETTLE_MS = 40, /* from binding to the first press */
	KEYMAP_REST_MS = 400,  /* from the last press to the next binding */
	KEYMAP_KEEP_MS = 5000, /* after the last press of them the map is as it was found */
};

struct keymap {
	xcb_connection_t *c;
	xcb_window_t root;
	xcb_atom_t note;     /* _ENGAWA_SPARE_KEYS at the root: code, keysym and so on */
	uint8_t first, last; /* keycodes */
	uint8_t per_code;    /* keysyms of a keycode */
	xcb_keysym_t *syms;
	enum keymap_rules {
		KEYMAP_OTHER,
		KEYMAP_EVDEV,
		KEYMAP_XFREE86
	} rules;   /* how physical keys are numbered */
	int stale; /* somebody else changed the map */
	struct keymap_spare {
		xcb_keycode_t code;
		xcb_keysym_t sym; /* 0 = not bound */
		struct mono ready, rest;
	} spares[KEYMAP_SPARES_MAX];
	size_t spare_count;
};

struct keymap_key {
	xcb_keycode_t code;
	int shift;
};

/* Reads the map, and takes away what an earlier process left in it. 0, -ERR_DESKTOP_FAILED. */
int keymap_init(struct keymap *keymap, xcb_connection_t *c, xcb_window_t root);
/* Takes the meanings from spare keys again. */
void keymap_fini(struct keymap *keymap);

/* The same when none was used for a while. Milliseconds until then, -1 = there is nothing. */
int keymap_run(struct keymap *keymap, struct mono now);

/* A MappingNotify came. */
void keymap_changed(struct keymap *keymap);

/* Key of the keysym: in the map (first two levels), or else a spare key, bound if need be. 0;
 * milliseconds to wait before asking again; -ERR_NOT_FOUND when there is no way to type it. */
int keymap_find(
	struct keymap *keymap, xcb_keysym_t sym, struct mono now, struct keymap_key *ret_key);
/* The key was pressed just now. */
void keymap_used(struct keymap *keymap, xcb_keycode_t code, struct mono now);

/* Keycode of a physical key (usage_evdev), 0 when unknown. */
xcb_keycode_t keymap_physical(const struct keymap *keymap, uint16_t evdev);

/* What the key gives without modifiers (level 0) or with Shift (1), 0 = nothing. */
xcb_keysym_t keymap_level(const struct keymap *keymap, xcb_keycode_t code, unsigned level);

/* Keysym of a character: newline is Return, tab is Tab, 0 for other control characters. */
xcb_keysym_t keymap_sym(uint32_t codepoint);
