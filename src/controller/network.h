/* Internet addresses as 16 bytes (IPv4 as ::ffff:a.b.c.d), and lists of networks. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
	NETWORK_ADDRESS_BYTES = 16
};

/* 0 or -EINVAL. */
int network_address(const char *text, uint8_t ret_address[static NETWORK_ADDRESS_BYTES]);
/* What stands for one customer in limits: the address, of IPv6 its /64. Text that is no address
 * gives zeroes. */
void network_source(const char *text, uint8_t ret_key[static NETWORK_ADDRESS_BYTES]);
/* Networks apart by blanks: "10.0.0.0/8 2001:db8::/32 192.0.2.1". 0 or -EINVAL. */
int network_list_check(const char *list);
/* 1 when the address is in one of them; an empty list has everything in it. */
int network_list_has(const char *list, const uint8_t address[static NETWORK_ADDRESS_BYTES]);
