/*
 * Lists of MAC addresses as municipalities keep them: one a line, with "-", ":", "." or nothing
 * between the digits, either case, "#" and "//" comments, BOM, CRLF. Sorted once, searched by
 * halves.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"
#include "net/mac.h"

enum {
	MACLIST_MAX = 100000,
	MACLIST_TEXT_MAX_BYTES = 4 << 20,
	MAC_TEXT_SIZE = sizeof "00-11-22-33-44-55"
};

struct maclist {
	uint8_t (*entries)[MAC_BYTES];
	size_t count;
};

/* 0; -ERR_SETTING with the line in error (a list with a slip in it is not half a list), -ERR_LIMIT,
 * -ENOMEM. */
int maclist_parse(const char *text, size_t len, struct maclist *ret_list, struct conf_error *error);
void maclist_fini(struct maclist *list);
int maclist_has(const struct maclist *list, const uint8_t mac[static MAC_BYTES]);

/* One address as people write it. 0, or -ERR_SETTING (also for broadcast, multicast and all zero).
 */
int mac_parse(const char *text, size_t len, uint8_t ret_mac[static MAC_BYTES]);
void mac_text(const uint8_t mac[static MAC_BYTES], char ret_text[static MAC_TEXT_SIZE]);
/* 1 when the address was made up by the system (locally administered): Wi-Fi privacy, virtual
 * adapters. */
int mac_is_random(const uint8_t mac[static MAC_BYTES]);
