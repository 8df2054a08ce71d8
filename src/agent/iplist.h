/*
 * Where a client may come from: an ordered list of "allow NETWORK" and "deny NETWORK", IPv4 and
 * IPv6 with prefix length; the first match decides, without a match it is allowed (the original's
 * rule). A list that cannot be read allows nobody.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"

enum {
	IPLIST_MAX = 4096,
	IPLIST_FILE_MAX_BYTES = 256 * 1024
};

struct iplist_entry {
	uint8_t network[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint8_t prefix;      /* 0 to 128 */
	uint8_t deny;
};

struct iplist {
	struct iplist_entry *entries;
	size_t count;
};

/* "192.0.2.0/24", "2001:db8::/32" or a single address. Bits behind the prefix must be zero:
 * 192.0.2.1/24 is a slip. 0 or -ERR_SETTING. */
int iplist_network(const char *text, struct iplist_entry *ret_entry);

/* Appends at place (0 first; beyond the end = last). 0, -ERR_EXISTS, -ERR_LIMIT, -ENOMEM. */
int iplist_insert(struct iplist *list, size_t place, const struct iplist_entry *entry);
/* 0 or -ERR_NOT_FOUND. */
int iplist_remove(struct iplist *list, size_t place);

/* Lines "allow NETWORK" and "deny NETWORK". 0; -ERR_SETTING with words in error, and the list is
 * empty. */
int iplist_parse(const char *text, size_t len, struct iplist *ret_list, struct conf_error *error);
/* The same lines; the heap, NULL when out of memory. */
char *iplist_text(const struct iplist *list);
void iplist_fini(struct iplist *list);

/* Address as the ticket carries it. 0, or -ERR_ADDRESS_DENIED, also for what is no address while
 * the list has entries. */
int iplist_check(const struct iplist *list, const char *address);
