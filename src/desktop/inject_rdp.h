/* Hands of an RDP session. */
#pragma once
#include "desktop/inject.h"
#include "desktop/rdp.h"

struct inject {
	struct rdp *rdp;
	int touched; /* a key or a button has been pressed in this session */
	uint16_t x, y;
	uint16_t buttons; /* bit n: button n + 1 is down */
	struct inject_held {
		uint32_t usage, sym; /* as the client named it */
		uint16_t code;       /* scancode.h; 0: nothing is held for it */
	} held[INJECT_HELD_MAX];
	size_t held_count;
};
