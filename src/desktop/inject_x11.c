#include <stdlib.h>
#include <xcb/xtest.h>

#include "base/err.h"
#include "base/str.h"
#include "desktop/inject_x11.h"
#include "desktop/same_key.h"
#include "desktop/usage.h"

enum {
	SYM_BACKSPACE = 0xff08,
	SYM_F1 = 0xffbe,
	SYM_F12 = 0xffc9,
	SYM_SHIFT_L = 0xffe1,
	SYM_SHIFT_R = 0xffe2,
	SYM_CONTROL_L = 0xffe3,
	SYM_CONTROL_R = 0xffe4,
	SYM_META_L = 0xffe7,
	SYM_ALT_R = 0xffea,   /* Meta_R and Alt_L between them */
	SYM_HYPER_R = 0xffee, /* Control to Hyper: all but Shift and the locks */
};

static void
fake(struct inject *in, uint8_t type, uint8_t detail, int16_t x, int16_t y)
{
	xcb_test_fake_input(
		in->display->c, type, detail, XCB_CURRENT_TIME, in->display->root, x, y, 0);
}

static void
key(struct inject *in, xcb_keycode_t code, int down)
{
	fake(in, down ? XCB_KEY_PRESS : XCB_KEY_RELEASE, code, 0, 0);
}

/* A process that was killed could not release: a key would repeat for ever. Keys held on a real
 * keyboard stay: XTEST has a keyboard of its own, and releases only what is down there. */
static void
release_strangers(struct inject *in)
{
	xcb_connection_t *c = in->display->c;
	xcb_query_keymap_reply_t *keys = xcb_query_keymap_reply(c, xcb_query_keymap(c), NULL);
	for (unsigned code = 8; keys && code < 256; code++)
		if (keys->keys[code / 8] >> code % 8 & 1)
			key(in, (xcb_keycode_t)code, 0);
	free(keys);
	for (uint8_t button = 1; button <= INJECT_BUTTONS; button++)
		fake(in, XCB_BUTTON_RELEASE, button, 0, 0);
}

int
inject_init(struct inject *inject, struct display *display)
{
	*inject = (struct inject){.display = display};
	release_strangers(inject);
	return keymap_init(&inject->keymap, display->c, display->root);
}

void
inject_fini(struct inject *inject)
{
	if (!inject->display)
		return;
	inject_release(inject);
	keymap_fini(&inject->keymap);
}

void
inject_motion(struct inject *inject, uint16_t x, uint16_t y)
{
	fake(inject, XCB_MOTION_NOTIFY, 0, (int16_t)x, (int16_t)y);
}

void
inject_button(struct inject *inject, unsigned button, int down)
{
	uint16_t bit = (uint16_t)(1u << (button - 1));
	if (!(inject->buttons & bit) == !down)
		return;
	inject->buttons ^= bit;
	fake(inject, down ? XCB_BUTTON_PRESS : XCB_BUTTON_RELEASE, (uint8_t)button, 0, 0);
}

int
inject_holds_button(const struct inject *inject, unsigned button)
{
	return inject->buttons >> (button - 1) & 1;
}

/* The person's Shift keys as they are held. */
static void
shift_back(struct inject *in)
{
	if (in->shift.pressed)
		key(in, in->shift.pressed, 0);
	while (in->shift.lifted_count > 0)
		key(in, in->shift.lifted[--in->shift.lifted_count], 1);
	in->shift.pressed = 0;
}

void
inject_release_keys(struct inject *inject)
{
	shift_back(inject);
	uint16_t code;
	while (held_take_last(&inject->held, &code))
		key(inject, (xcb_keycode_t)code, 0);
}

void
inject_release(struct inject *inject)
{
	commit_drop(inject->commit);
	inject_release_keys(inject);
	for (unsigned button = 1; button <= INJECT_BUTTONS; button++)
		inject_button(inject, button, 0);
}

/* Something between two keysyms is held. */
static int
holds_sym(const struct inject *in, xcb_keysym_t first, xcb_keysym_t last)
{
	for (size_t i = 0; i < in->held.count; i++) {
		xcb_keysym_t sym =
			keymap_level(&in->keymap, (xcb_keycode_t)in->held.keys[i].code, 0);
		if (sym >= first && sym <= last)
			return 1;
	}
	return 0;
}

/* Ctrl+Alt+F1 would show another console, which nobody captures; Ctrl+Alt+Backspace may end the
 * display. */
static int
forbidden(const struct inject *in, xcb_keycode_t code)
{
	xcb_keysym_t sym = keymap_level(&in->keymap, code, 0);
	return (sym == SYM_BACKSPACE || (sym >= SYM_F1 && sym <= SYM_F12)) &&
	       holds_sym(in, SYM_CONTROL_L, SYM_CONTROL_R) && holds_sym(in, SYM_META_L, SYM_ALT_R);
}

static int
is_letter(xcb_keysym_t sym)
{
	return (sym >= 'a' && sym <= 'z') || (sym >= 'A' && sym <= 'Z');
}

static int
is_shift(const struct inject *in, xcb_keycode_t code)
{
	xcb_keysym_t sym = keymap_level(&in->keymap, code, 0);
	return sym == SYM_SHIFT_L || sym == SYM_SHIFT_R;
}

/* Control, Alt or Super: what is pressed with them is a command, not a character. */
static int
holds_command(const struct inject *in)
{
	return holds_sym(in, SYM_CONTROL_L, SYM_CONTROL_R) ||
	       holds_sym(in, SYM_META_L, SYM_HYPER_R);
}

/* Shift as the next key needs it, until another key moves: what repeats stays the same. */
static void
shift_for(struct inject *in, int wanted, struct mono now)
{
	struct keymap_key shift;
	int held = holds_sym(in, SYM_SHIFT_L, SYM_SHIFT_R);
	if (wanted && !held && keymap_find(&in->keymap, SYM_SHIFT_L, now, &shift) == 0) {
		key(in, shift.code, 1);
		in->shift.pressed = shift.code;
	}
	for (size_t i = 0; !wanted && held && i < in->held.count && in->shift.lifted_count < 2;
		i++) {
		xcb_keycode_t code = (xcb_keycode_t)in->held.keys[i].code;
		if (is_shift(in, code)) {
			key(in, code, 0);
			in->shift.lifted[in->shift.lifted_count++] = code;
		}
	}
}

/* 0, -ERR_NOT_FOUND, or milliseconds to wait. *ret_shift: -1 = as it is. */
static int
find_key(struct inject *in, uint32_t usage, xcb_keysym_t sym, struct mono now,
	xcb_keycode_t *ret_code, int *ret_shift)
{
	struct keymap_key k;
	xcb_keycode_t place = keymap_physical(&in->keymap, usage_evdev(usage));
	int shift = holds_sym(in, SYM_SHIFT_L, SYM_SHIFT_R);
	*ret_shift = -1;
	*ret_code = place;
	if (same_key(&in->keymap, usage, sym, shift, holds_command(in), &sym) == SAME_PLACE)
		return place ? 0 : -ERR_NOT_FOUND;
	int r = keymap_find(&in->keymap, sym, now, &k);
	if (r == -ERR_NOT_FOUND)
		return place ? 0 : r;
	*ret_code = k.code;
	if (!is_letter(sym) && sym > ' ' && sym <= 0xff)
		*ret_shift = k.shift;
	else if (!place && k.shift)
		*ret_shift = 1;
	return r;
}

int
inject_key_down(struct inject *in, uint32_t usage, uint32_t sym, struct mono now)
{
	xcb_keycode_t code;
	int shift;
	if (!held_may_add(&in->held, usage, sym))
		return 0;
	int wait = commit_key(in->commit, now);
	if (wait == 0)
		wait = find_key(in, usage, sym, now, &code, &shift);
	if (wait != 0)
		return wait > 0 ? wait : 0;
	shift_back(in);
	if (held_has_code(&in->held, code) || forbidden(in, code))
		return 0;
	if (shift >= 0)
		shift_for(in, shift, now);
	key(in, code, 1);
	keymap_used(&in->keymap, code, now);
	commit_pressed(in->commit, now);
	held_add(&in->held, usage, sym, code);
	return 0;
}

void
inject_key_up(struct inject *in, uint32_t usage, uint32_t sym)
{
	uint16_t code;
	if (!held_take(&in->held, usage, sym, &code))
		return;
	shift_back(in);
	key(in, (xcb_keycode_t)code, 0);
}

void
inject_text_prepare(struct inject *in, const char *text, struct mono now)
{
	struct keymap_key ignored;
	uint32_t codepoint;
	/* the first that must wait for a spare key to rest ends it: later ones would take its place
	 */
	for (size_t n; *text && (n = str_utf8_next(text, &codepoint)) > 0; text += n)
		if (keymap_find(&in->keymap, keymap_sym(codepoint), now, &ignored) >
			KEYMAP_SETTLE_MS + 1)
			return;
}

/* Caps Lock turns letters over. */
static int
caps_lock(struct inject *in)
{
	xcb_connection_t *c = in->display->c;
	xcb_query_pointer_reply_t *p =
		xcb_query_pointer_reply(c, xcb_query_pointer(c, in->display->root), NULL);
	int on = p && p->mask & XCB_MOD_MASK_LOCK;
	free(p);
	return on;
}

int
inject_commits(const struct inject *in)
{
	return commit_possible(in->commit);
}

int
inject_commit(struct inject *in, const char *text, struct mono now)
{
	return commit_text(in->commit, text, now);
}

int
inject_character(struct inject *in, uint32_t codepoint, struct mono now)
{
	struct keymap_key k;
	xcb_keysym_t sym = keymap_sym(codepoint);
	int r = keymap_find(&in->keymap, sym, now, &k);
	if (r != 0)
		return r;
	inject_release_keys(in);
	if (is_letter(sym) && caps_lock(in))
		k.shift = !k.shift;
	shift_for(in, k.shift, now);
	key(in, k.code, 1);
	key(in, k.code, 0);
	shift_back(in);
	keymap_used(&in->keymap, k.code, now);
	commit_pressed(in->commit, now);
	return 0;
}
