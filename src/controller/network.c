#include "controller/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/str.h"

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
enum {
	V4_PREFIX_BITS = 96,
	ADDRESS_BITS = 128,
	V6_CUSTOMER_BYTES = 8
};

int
network_address(const char *text, uint8_t ret_address[static NETWORK_ADDRESS_BYTES])
{
	uint8_t v4[4];
	if (inet_pton(AF_INET6, text, ret_address) == 1)
		return 0;
	if (inet_pton(AF_INET, text, v4) != 1)
		return -EINVAL;
	memcpy(ret_address, v4_prefix, sizeof v4_prefix);
	memcpy(ret_address + sizeof v4_prefix, v4, sizeof v4);
	return 0;
}

void
network_source(const char *text, uint8_t ret_key[static NETWORK_ADDRESS_BYTES])
{
	if (network_address(text, ret_key) < 0)
		memset(ret_key, 0, NETWORK_ADDRESS_BYTES);
	else if (memcmp(ret_key, v4_prefix, sizeof v4_prefix) != 0)
		memset(ret_key + V6_CUSTOMER_BYTES, 0, NETWORK_ADDRESS_BYTES - V6_CUSTOMER_BYTES);
}

struct network {
	uint8_t address[NETWORK_ADDRESS_BYTES];
	unsigned bits;
};

static int
parse_one(const char *text, size_t len, struct network *ret)
{
	char copy[INET6_ADDRSTRLEN + sizeof "/128"];
	int64_t bits = -1;
	if (len >= sizeof copy)
		return -EINVAL;
	memcpy(copy, text, len);
	copy[len] = '\0';
	char *slash = strchr(copy, '/');
	if (slash)
		*slash++ = '\0';
	if (network_address(copy, ret->address) < 0)
		return -EINVAL;
	int offset = strchr(copy, ':') ? 0 : V4_PREFIX_BITS;
	if (slash && str_int(slash, 0, ADDRESS_BITS - offset, &bits) < 0)
		return -EINVAL;
	ret->bits = (unsigned)(slash ? bits + offset : ADDRESS_BITS);
	return 0;
}

static int
contains(const struct network *network, const uint8_t *address)
{
	unsigned bytes = network->bits / 8, rest = network->bits % 8;
	if (memcmp(network->address, address, bytes) != 0)
		return 0;
	return rest == 0 || (network->address[bytes] ^ address[bytes]) >> (8 - rest) == 0;
}

/* Next item of the list: 1, 0 at the end, -EINVAL. */
static int
next(const char **list, struct network *ret)
{
	*list += strspn(*list, " ,");
	size_t len = strcspn(*list, " ,");
	if (len == 0)
		return 0;
	int r = parse_one(*list, len, ret);
	*list += len;
	return r < 0 ? r : 1;
}

int
network_list_check(const char *list)
{
	struct network network;
	int r;
	while ((r = next(&list, &network)) == 1)
		;
	return r;
}

int
network_list_has(const char *list, const uint8_t address[static NETWORK_ADDRESS_BYTES])
{
	struct network network;
	int r, count = 0;
	for (; (r = next(&list, &network)) == 1; count++)
		if (contains(&network, address))
			return 1;
	return r == 0 && count == 0;
}
