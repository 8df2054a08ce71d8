#include "desktop/scancode.h"

#include <linux/input-event-codes.h>
#include <stddef.h>

#include "desktop/usage.h"

/* The kernel's numbers are those of set 1 up to F12; these are the others. */
static const struct {
	uint8_t evdev;
	uint16_t code;
} others[] = {
	{KEY_ZENKAKUHANKAKU, 0x29},
	{KEY_RO, 0x73},
	{KEY_KATAKANA, 0x70},
	{KEY_HIRAGANA, 0x70},
	{KEY_KATAKANAHIRAGANA, 0x70},
	{KEY_HENKAN, 0x79},
	{KEY_MUHENKAN, 0x7b},
	{KEY_YEN, 0x7d},
	/* かな and 英数 of a Mac turn its input method on and off, as 変換 and 無変換 do */
	{KEY_HANGEUL, 0x79},
	{KEY_HANJA, 0x7b},
	{KEY_KPJPCOMMA, 0x7e},
	{KEY_KPCOMMA, 0x7e},
	{KEY_KPEQUAL, 0x59},
	{KEY_KPENTER, SCANCODE_EXTENDED | 0x1c},
	{KEY_KPSLASH, SCANCODE_EXTENDED | 0x35},
	{KEY_RIGHTCTRL, SCANCODE_EXTENDED | 0x1d},
	{KEY_RIGHTALT, SCANCODE_EXTENDED | 0x38},
	{KEY_SYSRQ, SCANCODE_EXTENDED | 0x37},
	{KEY_HOME, SCANCODE_EXTENDED | 0x47},
	{KEY_UP, SCANCODE_EXTENDED | 0x48},
	{KEY_PAGEUP, SCANCODE_EXTENDED | 0x49},
	{KEY_LEFT, SCANCODE_EXTENDED | 0x4b},
	{KEY_RIGHT, SCANCODE_EXTENDED | 0x4d},
	{KEY_END, SCANCODE_EXTENDED | 0x4f},
	{KEY_DOWN, SCANCODE_EXTENDED | 0x50},
	{KEY_PAGEDOWN, SCANCODE_EXTENDED | 0x51},
	{KEY_INSERT, SCANCODE_EXTENDED | 0x52},
	{KEY_DELETE, SCANCODE_EXTENDED | 0x53},
	{KEY_LEFTMETA, SCANCODE_EXTENDED | 0x5b},
	{KEY_RIGHTMETA, SCANCODE_EXTENDED | 0x5c},
	{KEY_COMPOSE, SCANCODE_EXTENDED | 0x5d},
	{KEY_PAUSE, SCANCODE_PAUSE},
	{KEY_F13, 0x64},
	{KEY_F14, 0x65},
	{KEY_F15, 0x66},
	{KEY_F16, 0x67},
	{KEY_F17, 0x68},
	{KEY_F18, 0x69},
	{KEY_F19, 0x6a},
	{KEY_F20, 0x6b},
	{KEY_F21, 0x6c},
	{KEY_F22, 0x6d},
	{KEY_F23, 0x6e},
	{KEY_F24, 0x76},
};

uint16_t
scancode_of_usage(uint32_t usage)
{
	uint16_t evdev = usage_evdev(usage);
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (others[i].evdev == evdev)
			return others[i].code;
	return evdev <= KEY_F12 ? evdev : 0;
}

uint32_t
scancode_usage_of_sym(uint32_t sym)
{
	static const struct {
		uint32_t sym, usage;
	} keys[] = {{0xff08, 0x2a}, {0xff09, 0x2b}, {0xff0d, 0x28}, {0xff1b, 0x29}, {0xffff, 0x4c},
		{0xff50, 0x4a}, {0xff51, 0x50}, {0xff52, 0x52}, {0xff53, 0x4f}, {0xff54, 0x51},
		{0xff55, 0x4b}, {0xff56, 0x4e}, {0xff57, 0x4d}, {0xff63, 0x49}, {0xff22, 0x8b},
		{0xff23, 0x8a}, {0xff2a, 0x35}, {0xffe1, 0xe1}, {0xffe2, 0xe5}, {0xffe3, 0xe0},
		{0xffe4, 0xe4}, {0xffe9, 0xe2}, {0xffea, 0xe6}, {0xffeb, 0xe3}, {0xffec, 0xe7}};
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		if (keys[i].sym == sym)
			return keys[i].usage;
	/* F1 to F12 */
	return sym >= 0xffbe && sym <= 0xffc9 ? 0x3a + (sym - 0xffbe) : 0;
}
