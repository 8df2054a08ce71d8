/* Keys as Key messages want them, by name and by character, for programs that have no keyboard in
 * front of them. */
#pragma once
#include <stdint.h>

struct key {
	uint32_t usage, keysym; /* of inner.proto's Key */
	int shift;              /* to be held down */
};

extern const struct key key_shift;

/* "Return", "F5", "Henkan", "a": letter case counts for characters only. 0 or -ERR_NOT_FOUND. */
int key_named(const char *name, struct key *ret_key);
/* Printable ASCII, newline and tab as typed on a US keyboard. 0 or -ERR_NOT_FOUND. */
int key_character(char c, struct key *ret_key);
