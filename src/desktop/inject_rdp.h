/* Hands of an RDP session. */
#pragma once
#include "desktop/held.h"
#include "desktop/inject.h"
#include "desktop/rdp.h"

struct inject {
	struct rdp *rdp;
	int touched; /* a key or a button has been pressed in this session */
	uint16_t x, y;
	uint16_t buttons; /* bit n: button n + 1 is down */
	struct held held; /* codes: scancode.h */
};
