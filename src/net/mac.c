#include "net/mac.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"

/* 1 when the card has one. */
static int
ask(int sock, const char *interface, uint8_t ret_mac[static MAC_BYTES])
{
	union {
		struct ethtool_perm_addr head;
		uint8_t bytes[sizeof(struct ethtool_perm_addr) + MAC_BYTES];
	} query = {.head = {.cmd = ETHTOOL_GPERMADDR, .size = MAC_BYTES}};
	static const uint8_t none[MAC_BYTES];
	struct ifreq request = {.ifr_data = (char *)&query};
	const uint8_t *address = query.bytes + offsetof(struct ethtool_perm_addr, data);
	if (str_copy(request.ifr_name, sizeof request.ifr_name, interface) < 0 ||
		ioctl(sock, SIOCETHTOOL, &request) < 0 || query.head.size != MAC_BYTES ||
		memcmp(address, none, MAC_BYTES) == 0)
		return 0;
	memcpy(ret_mac, address, MAC_BYTES);
	return 1;
}

size_t
mac_permanent(uint8_t (*ret_macs)[MAC_BYTES], size_t max)
{
	size_t count = 0;
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct if_nameindex *list = if_nameindex();
	for (struct if_nameindex *i = list; i && i->if_name && sock >= 0 && count < max; i++)
		count += (size_t)ask(sock, i->if_name, ret_macs[count]);
	if (list)
		if_freenameindex(list);
	if (sock >= 0)
		close(sock);
	return count;
}
