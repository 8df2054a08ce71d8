/* Physical keys as RDP knows them: scan codes of set 1 (MS-RDPBCGR 2.2.8.1.1.3.1.1.1). */
#pragma once
#include <stdint.h>

enum {
	SCANCODE_MASK = 0xff,
	SCANCODE_EXTENDED = 0x100, /* E0 before it */
	SCANCODE_PAUSE = 0x200,    /* a sequence of its own, not held */
};

/* Of a USB HID usage; 0 when there is no such key (as usage_evdev). */
uint16_t scancode_of_usage(uint32_t usage);

/* Usage of the key that a keysym without one means (a keyboard drawn on the screen), 0 = none. */
uint32_t scancode_usage_of_sym(uint32_t sym);
