#include "desktop/same_key.h"

#include "desktop/usage.h"

enum {
	USAGE_RO = 0x87, /* ろ and ¥ of Japanese keyboards: Windows calls both \ */
	USAGE_YEN = 0x89,
	USAGE_LANG1 = 0x90, /* かな and 英数 of Macs; kernels call them Hangul and Hanja */
	USAGE_LANG2 = 0x91,
	SYM_YEN = 0xa5,
	SYM_DEAD_FIRST = 0xfe50,
	SYM_DEAD_LAST = 0xfe93,
	SYM_KANJI = 0xff21,
	SYM_MUHENKAN = 0xff22,
	SYM_HENKAN = 0xff23,
	SYM_ROMAJI = 0xff24,
	SYM_HIRAGANA_KATAKANA = 0xff27,
	SYM_ZENKAKU = 0xff28,
	SYM_ZENKAKU_HANKAKU = 0xff2a,
	SYM_KANA_LOCK = 0xff2d,
	SYM_KANA_SHIFT = 0xff2e,
	SYM_EISU_SHIFT = 0xff2f,
	SYM_EISU_TOGGLE = 0xff30,
	SYM_CAPS_LOCK = 0xffe5,
};

static int
is_letter(xcb_keysym_t sym)
{
	return (sym >= 'a' && sym <= 'z') || (sym >= 'A' && sym <= 'Z');
}

static int
is_sign(xcb_keysym_t sym)
{
	return sym > ' ' && sym <= 0xff && !is_letter(sym);
}

/* Names that keyboards and browsers have for one key of a Japanese keyboard. 0: no such key. */
static int
family(xcb_keysym_t sym)
{
	switch (sym) {
	case SYM_MUHENKAN:
	case SYM_HENKAN:
		return (int)sym;
	case SYM_KANJI:
		return SYM_ZENKAKU_HANKAKU;
	case SYM_KANA_LOCK:
	case SYM_KANA_SHIFT:
		return SYM_HIRAGANA_KATAKANA;
	case SYM_EISU_SHIFT:
	case SYM_EISU_TOGGLE:
		return SYM_EISU_TOGGLE;
	default:
		return sym >= SYM_ROMAJI && sym <= SYM_HIRAGANA_KATAKANA  ? SYM_HIRAGANA_KATAKANA
		       : sym >= SYM_ZENKAKU && sym <= SYM_ZENKAKU_HANKAKU ? SYM_ZENKAKU_HANKAKU
									  : 0;
	}
}

static int
in_family(const struct keymap *m, xcb_keycode_t code, int wanted)
{
	return family(keymap_level(m, code, 0)) == wanted ||
	       family(keymap_level(m, code, 1)) == wanted;
}

/* ¥ and \ are one sign to those who write Japanese. */
static int
same_sign(uint32_t usage, xcb_keysym_t home, xcb_keysym_t here)
{
	return home == here ||
	       ((usage == USAGE_RO || usage == USAGE_YEN) && (home == SYM_YEN || home == '\\') &&
		       (here == SYM_YEN || here == '\\'));
}

static enum same_key
sign(const struct keymap *m, xcb_keycode_t code, uint32_t usage, xcb_keysym_t sym, int shift,
	int command)
{
	xcb_keysym_t plain = keymap_level(m, code, 0);
	if (same_sign(usage, sym, keymap_level(m, code, shift ? 1 : 0)))
		return SAME_PLACE;
	/* Ctrl+Shift+2 means the keys, and so does Option+A, whatever it would write */
	if (command && (is_letter(plain) || (plain >= '0' && plain <= '9')))
		return SAME_PLACE;
	return SAME_MEANING;
}

enum same_key
same_key(const struct keymap *m, uint32_t usage, xcb_keysym_t sym, int shift, int command,
	xcb_keysym_t *ret_sym)
{
	xcb_keycode_t code = keymap_physical(m, usage_evdev(usage));
	if (usage == USAGE_LANG1 || usage == USAGE_LANG2)
		sym = usage == USAGE_LANG1 ? SYM_HIRAGANA_KATAKANA : SYM_EISU_TOGGLE;
	*ret_sym = sym;
	if (!code)
		return SAME_MEANING;
	int japanese = family(sym);
	/* Caps Lock without a Japanese map is nothing but Caps Lock */
	if (japanese && sym != SYM_CAPS_LOCK) {
		*ret_sym = (xcb_keysym_t)japanese;
		return in_family(m, code, japanese) ? SAME_PLACE : SAME_MEANING;
	}
	if (is_letter(sym)) {
		*ret_sym = sym | 0x20; /* Shift and Caps Lock are as the person has them */
		return keymap_level(m, code, 0) == *ret_sym ? SAME_PLACE : SAME_MEANING;
	}
	if (is_sign(sym))
		return sign(m, code, usage, sym, shift, command);
	if (sym >= SYM_DEAD_FIRST && sym <= SYM_DEAD_LAST)
		return keymap_level(m, code, shift ? 1 : 0) == sym ? SAME_PLACE : SAME_MEANING;
	return SAME_PLACE;
}
