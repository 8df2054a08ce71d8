#include <linux/input-event-codes.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "desktop/keymap.h"

enum {
	EVDEV_OFFSET = 8, /* X keycodes of the evdev rules */
	SYM_RETURN = 0xff0d,
	SYM_TAB = 0xff09,
	SYM_UP = 0xff52,
	SYM_DOWN = 0xff54,
	EVDEV_UP = 111,
	EVDEV_DOWN = 116,
	XFREE86_UP = 98,
	XFREE86_DOWN = 104,
	SAME_LAST = KEY_F12,      /* up to here both rules number alike */
	SYM_UNICODE = 0x01000000, /* X11 protocol, appendix A: keysyms of Unicode characters */
};

/* Displays without hardware number the keys beyond the first 88 as XFree86 did (xkeyboard-config,
 * keycodes/xfree86). */
static const uint8_t xfree86[] = {
	[KEY_KPENTER] = 108,
	[KEY_RIGHTCTRL] = 109,
	[KEY_KPSLASH] = 112,
	[KEY_SYSRQ] = 111,
	[KEY_RIGHTALT] = 113,
	[KEY_HOME] = 97,
	[KEY_UP] = XFREE86_UP,
	[KEY_PAGEUP] = 99,
	[KEY_LEFT] = 100,
	[KEY_RIGHT] = 102,
	[KEY_END] = 103,
	[KEY_DOWN] = XFREE86_DOWN,
	[KEY_PAGEDOWN] = 105,
	[KEY_INSERT] = 106,
	[KEY_DELETE] = 107,
	[KEY_PAUSE] = 110,
	[KEY_LEFTMETA] = 115,
	[KEY_RIGHTMETA] = 116,
	[KEY_COMPOSE] = 117,
	[KEY_KPEQUAL] = 126,
	[KEY_RO] = 123,
	[KEY_KATAKANAHIRAGANA] = 120,
	[KEY_HENKAN] = 129,
	[KEY_MUHENKAN] = 131,
	[KEY_YEN] = 133,
};

static xcb_keysym_t
sym_at(const struct keymap *m, unsigned code, unsigned level)
{
	if (code < m->first || code > m->last || level >= m->per_code)
		return 0;
	return m->syms[(size_t)(code - m->first) * m->per_code + level];
}

static enum keymap_rules
rules(const struct keymap *m)
{
	if (sym_at(m, EVDEV_UP, 0) == SYM_UP && sym_at(m, EVDEV_DOWN, 0) == SYM_DOWN)
		return KEYMAP_EVDEV;
	if (sym_at(m, XFREE86_UP, 0) == SYM_UP && sym_at(m, XFREE86_DOWN, 0) == SYM_DOWN)
		return KEYMAP_XFREE86;
	return KEYMAP_OTHER;
}

static int
read_map(struct keymap *m)
{
	const xcb_setup_t *setup = xcb_get_setup(m->c);
	m->first = setup->min_keycode;
	m->last = setup->max_keycode;
	xcb_get_keyboard_mapping_reply_t *reply = xcb_get_keyboard_mapping_reply(m->c,
		xcb_get_keyboard_mapping(m->c, m->first, (uint8_t)(m->last - m->first + 1)), NULL);
	if (!reply)
		return -ERR_DESKTOP_FAILED;
	size_t count = (size_t)(m->last - m->first + 1) * reply->keysyms_per_keycode;
	int ok = reply->keysyms_per_keycode > 0 &&
		 (size_t)xcb_get_keyboard_mapping_keysyms_length(reply) >= count;
	xcb_keysym_t *syms = ok ? malloc(count * sizeof *syms) : NULL;
	if (syms) {
		memcpy(syms, xcb_get_keyboard_mapping_keysyms(reply), count * sizeof *syms);
		free(m->syms);
		m->syms = syms;
		m->per_code = reply->keysyms_per_keycode;
		m->rules = rules(m);
		m->stale = 0;
	}
	free(reply);
	return syms ? 0 : -ERR_DESKTOP_FAILED;
}

static int
unbound(const struct keymap *m, unsigned code)
{
	for (unsigned level = 0; level < m->per_code; level++)
		if (sym_at(m, code, level))
			return 0;
	return 1;
}

static void
find_spares(struct keymap *m)
{
	/* from the top: low ones without a meaning are keys that some keyboards have */
	for (unsigned code = m->last; code >= m->first && m->spare_count < KEYMAP_SPARES_MAX;
		code--)
		if (unbound(m, code))
			m->spares[m->spare_count++].code = (xcb_keycode_t)code;
}

/* Both levels, so that a Shift held by somebody changes nothing. */
static void
set_key(struct keymap *m, xcb_keycode_t code, xcb_keysym_t sym)
{
	xcb_keysym_t syms[2] = {sym, sym};
	xcb_change_keyboard_mapping(m->c, 1, code, 2, syms);
}

static void
write_note(struct keymap *m)
{
	uint32_t note[2 * KEYMAP_SPARES_MAX], n = 0;
	for (size_t i = 0; i < m->spare_count; i++)
		if (m->spares[i].sym) {
			note[n++] = m->spares[i].code;
			note[n++] = m->spares[i].sym;
		}
	if (n > 0)
		xcb_change_property(m->c, XCB_PROP_MODE_REPLACE, m->root, m->note,
			XCB_ATOM_CARDINAL, 32, n, note);
	else
		xcb_delete_property(m->c, m->root, m->note);
}

static void
find_note(struct keymap *m)
{
	static const char name[] = "_ENGAWA_SPARE_KEYS";
	xcb_intern_atom_reply_t *atom =
		xcb_intern_atom_reply(m->c, xcb_intern_atom(m->c, 0, sizeof name - 1, name), NULL);
	m->note = atom ? atom->atom : XCB_NONE;
	free(atom);
}

/* Only what still means what it was given. 1 when there was something. */
static int
clean_up(struct keymap *m)
{
	xcb_get_property_reply_t *note = xcb_get_property_reply(m->c,
		xcb_get_property(
			m->c, 1, m->root, m->note, XCB_ATOM_CARDINAL, 0, 2 * KEYMAP_SPARES_MAX),
		NULL);
	int found = 0,
	    count = note && note->format == 32 ? xcb_get_property_value_length(note) / 8 : 0;
	for (int i = 0; i < count; i++) {
		uint32_t pair[2];
		memcpy(pair, (const uint8_t *)xcb_get_property_value(note) + (size_t)i * 8, 8);
		if (pair[0] > UINT8_MAX || !pair[1] || sym_at(m, pair[0], 0) != pair[1] ||
			sym_at(m, pair[0], 1) != pair[1])
			continue;
		set_key(m, (xcb_keycode_t)pair[0], 0);
		found = 1;
	}
	free(note);
	return found;
}

int
keymap_init(struct keymap *keymap, xcb_connection_t *c, xcb_window_t root)
{
	*keymap = (struct keymap){.c = c, .root = root};
	find_note(keymap);
	int r = read_map(keymap);
	if (r == 0 && clean_up(keymap))
		r = read_map(keymap);
	if (r == 0)
		find_spares(keymap);
	return r;
}

static void
bind_spare(struct keymap *m, struct keymap_spare *spare, xcb_keysym_t sym)
{
	spare->sym = sym;
	write_note(m); /* first: a process that is killed here has noted too much */
	set_key(m, spare->code, sym);
}

static void
give_back(struct keymap *m)
{
	int bound = 0;
	for (size_t i = 0; i < m->spare_count; i++) {
		if (m->spares[i].sym)
			set_key(m, m->spares[i].code, 0);
		bound |= m->spares[i].sym != 0;
		m->spares[i].sym = 0;
	}
	if (bound)
		write_note(m);
}

void
keymap_fini(struct keymap *keymap)
{
	give_back(keymap);
	free(keymap->syms);
	*keymap = (struct keymap){.c = keymap->c};
}

int
keymap_run(struct keymap *m, struct mono now)
{
	struct mono last = {0};
	for (size_t i = 0; i < m->spare_count; i++)
		if (m->spares[i].sym && mono_before(last, m->spares[i].rest))
			last = m->spares[i].rest;
	if (!last.ns)
		return -1;
	struct mono end = mono_add_ms(last, KEYMAP_KEEP_MS - KEYMAP_REST_MS);
	if (mono_before(now, end))
		return (int)mono_diff_ms(now, end) + 1;
	give_back(m);
	return -1;
}

void
keymap_changed(struct keymap *keymap)
{
	keymap->stale = 1;
}

static int
is_spare(const struct keymap *m, unsigned code)
{
	for (size_t i = 0; i < m->spare_count; i++)
		if (m->spares[i].code == code)
			return 1;
	return 0;
}

/* After somebody changed the map: spare keys that got a meaning meanwhile are theirs. */
static void
refresh(struct keymap *m)
{
	if (!m->stale || read_map(m) < 0)
		return;
	size_t kept = 0;
	for (size_t i = 0; i < m->spare_count; i++)
		if (sym_at(m, m->spares[i].code, 0) == m->spares[i].sym)
			m->spares[kept++] = m->spares[i];
	m->spare_count = kept;
}

static int
find_mapped(const struct keymap *m, xcb_keysym_t sym, struct keymap_key *ret_key)
{
	for (unsigned level = 0; level < 2; level++)
		for (unsigned code = m->first; code <= m->last; code++)
			if (sym_at(m, code, level) == sym && !is_spare(m, code)) {
				*ret_key = (struct keymap_key){(xcb_keycode_t)code, (int)level};
				return 0;
			}
	return -ERR_NOT_FOUND;
}

/* Milliseconds until t, rounded up. */
static int
until(struct mono now, struct mono t)
{
	return mono_before(now, t) ? (int)mono_diff_ms(now, t) + 1 : 0;
}

/* The one whose last use is the longest ago: what is typed often stays bound. */
static struct keymap_spare *
oldest(struct keymap *m)
{
	struct keymap_spare *best = &m->spares[0];
	for (size_t i = 1; i < m->spare_count; i++)
		if (mono_before(m->spares[i].rest, best->rest))
			best = &m->spares[i];
	return best;
}

int
keymap_find(struct keymap *m, xcb_keysym_t sym, struct mono now, struct keymap_key *ret_key)
{
	refresh(m);
	if (sym == 0)
		return -ERR_NOT_FOUND;
	if (find_mapped(m, sym, ret_key) == 0)
		return 0;
	if (m->spare_count == 0)
		return -ERR_NOT_FOUND;
	struct keymap_spare *spare = NULL;
	for (size_t i = 0; i < m->spare_count && !spare; i++)
		if (m->spares[i].sym == sym)
			spare = &m->spares[i];
	if (!spare) {
		spare = oldest(m);
		int wait = until(now, spare->rest);
		if (wait > 0)
			return wait;
		bind_spare(m, spare, sym);
		spare->ready = mono_add_ms(now, KEYMAP_SETTLE_MS);
		spare->rest = mono_add_ms(now, KEYMAP_SETTLE_MS + KEYMAP_REST_MS);
	}
	*ret_key = (struct keymap_key){spare->code, 0};
	return until(now, spare->ready);
}

void
keymap_used(struct keymap *m, xcb_keycode_t code, struct mono now)
{
	for (size_t i = 0; i < m->spare_count; i++)
		if (m->spares[i].code == code)
			m->spares[i].rest = mono_add_ms(now, KEYMAP_REST_MS);
}

xcb_keycode_t
keymap_physical(const struct keymap *m, uint16_t evdev)
{
	unsigned code = 0;
	if (m->rules == KEYMAP_EVDEV || (m->rules == KEYMAP_XFREE86 && evdev <= SAME_LAST))
		code = evdev ? evdev + EVDEV_OFFSET : 0;
	else if (m->rules == KEYMAP_XFREE86 && evdev < sizeof xfree86)
		code = xfree86[evdev];
	return code >= m->first && code <= m->last ? (xcb_keycode_t)code : 0;
}

xcb_keysym_t
keymap_level(const struct keymap *m, xcb_keycode_t code, unsigned level)
{
	return sym_at(m, code, level);
}

xcb_keysym_t
keymap_sym(uint32_t codepoint)
{
	if (codepoint == '\n' || codepoint == '\r')
		return SYM_RETURN;
	if (codepoint == '\t')
		return SYM_TAB;
	if (codepoint < 0x20 || (codepoint >= 0x7f && codepoint < 0xa0))
		return 0;
	return codepoint < 0x100 ? codepoint : SYM_UNICODE | codepoint;
}
