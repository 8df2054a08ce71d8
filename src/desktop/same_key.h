/*
 * Which key of this display's map does what a key of the home PC's keyboard does there. Places
 * agree for letters, digits and most functions; signs, and what only Japanese or Apple keyboards
 * have, lie elsewhere on another kind of keyboard. keysymdef.h, HID Usage Tables 1.4 section 10.
 */
#pragma once
#include "desktop/keymap.h"

enum same_key {
	SAME_PLACE,   /* the key at that place, Shift as it is */
	SAME_MEANING, /* a key that gives *ret_sym, with the Shift that this takes */
};

/* sym: of the home layout, 0 = unknown. shift: the person holds one; command: Control, Alt or Super
 * are held. */
enum same_key same_key(const struct keymap *keymap, uint32_t usage, xcb_keysym_t sym, int shift,
	int command, xcb_keysym_t *ret_sym);
