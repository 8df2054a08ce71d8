/* Keys that the person holds down: what was asked for (a place, HID usage, or a keysym) and the key
 * that was pressed for it. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
	HELD_MAX = 32 /* more keys at once than hands can hold */
};

struct held_key {
	uint32_t usage, sym;
	uint16_t code; /* of the source; 0: none is down for it */
};

struct held {
	struct held_key keys[HELD_MAX];
	size_t count;
};

/* 1 when one more can be held: this one is not, and there is room. */
int held_may_add(const struct held *held, uint32_t usage, uint32_t sym);
void held_add(struct held *held, uint32_t usage, uint32_t sym, uint16_t code);
/* code 0 is never held. */
int held_has_code(const struct held *held, uint16_t code);

/* Takes one out, or the last: 1, and its code; 0 when there is none. */
int held_take(struct held *held, uint32_t usage, uint32_t sym, uint16_t *ret_code);
int held_take_last(struct held *held, uint16_t *ret_code);
