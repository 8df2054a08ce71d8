/* This machine's network cards. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
	MAC_BYTES = 6
};

/* Permanent addresses, as they left the factory, of at most max cards. Cards without one are left
 * out. */
size_t mac_permanent(uint8_t (*ret_macs)[MAC_BYTES], size_t max);
