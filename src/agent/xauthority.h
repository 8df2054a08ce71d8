/* The X authority file of a desktop (Xau(3)): its person writes it, so nothing in it is believed.
 */
#pragma once
#include <stddef.h>

#include "agent/message.h"

/* The cookie of the local display with that number ("7"). 0 or -ERR_NOT_FOUND. */
int xauthority_find(
	const void *file, size_t file_len, const char *number, struct display_auth *ret_auth);
