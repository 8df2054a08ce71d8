#include "agent/self.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <string.h>

#include "net/mac.h"

enum {
	CARDS_MAX = 64
};

/* What QEMU gives a card when nobody says anything else: no one machine's. */
static const uint8_t everybodys[MAC_BYTES] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};

int
self_has_mac(const struct facts *facts, const uint8_t (*macs)[6], size_t count)
{
	for (size_t i = 0; i < facts->mac_count; i++)
		for (size_t j = 0; j < count; j++)
			if (memcmp(macs[j], everybodys, sizeof everybodys) != 0 &&
				memcmp(facts->macs[i], macs[j], sizeof macs[j]) == 0)
				return 1;
	return 0;
}

static int
same_address(const struct sockaddr *a, int family, const void *address)
{
	if (!a || a->sa_family != family)
		return 0;
	if (family == AF_INET)
		return memcmp(&((const struct sockaddr_in *)(const void *)a)->sin_addr, address,
			       sizeof(struct in_addr)) == 0;
	return memcmp(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, address,
		       sizeof(struct in6_addr)) == 0;
}

static int
is_loopback(int family, const void *address)
{
	return family == AF_INET ? ((const uint8_t *)address)[0] == 127
				 : IN6_IS_ADDR_LOOPBACK((const struct in6_addr *)address);
}

int
self_has_address(const char *client_address)
{
	struct in6_addr address;
	struct ifaddrs *list;
	int found = 0, family = strchr(client_address, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(family, client_address, &address) != 1)
		return 0;
	if (family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&address)) {
		family = AF_INET;
		memmove(&address, address.s6_addr + 12, sizeof(struct in_addr));
	}
	if (is_loopback(family, &address) || getifaddrs(&list) < 0)
		return 0;
	for (struct ifaddrs *i = list; i && !found; i = i->ifa_next)
		found = same_address(i->ifa_addr, family, &address);
	freeifaddrs(list);
	return found;
}

int
self_is(const struct facts *facts, const char *client_address)
{
	uint8_t macs[CARDS_MAX][MAC_BYTES];
	size_t count = mac_permanent(macs, CARDS_MAX);
	return self_has_mac(facts, (const uint8_t(*)[6])macs, count) ||
	       self_has_address(client_address);
}
