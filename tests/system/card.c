/*
 * A network card with a permanent address, for an office PC under test: loaded before its program,
 * it answers for the loopback interface with the address in CARD (12 hex digits) and for all others
 * that they have none. Virtual machines and containers differ in what theirs have.
 */
#include <dlfcn.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

static unsigned card[6];

/* Before main: what the program starts has no environment. */
__attribute__((constructor)) static void
read_card(void)
{
	const char *text = getenv("CARD");
	if (!text || sscanf(text, "%2x%2x%2x%2x%2x%2x", &card[0], &card[1], &card[2], &card[3],
			     &card[4], &card[5]) != 6)
		memset(card, 0, sizeof card);
}

int
ioctl(int fd, unsigned long request, ...)
{
	static int (*real)(int, unsigned long, void *);
	va_list arguments;
	va_start(arguments, request);
	void *argument = va_arg(arguments, void *);
	va_end(arguments);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "ioctl");
	if (request != SIOCETHTOOL)
		return real(fd, request, argument);
	struct ifreq *interface = argument;
	struct ethtool_perm_addr *address = (void *)interface->ifr_data;
	if (address->cmd != ETHTOOL_GPERMADDR || address->size < sizeof card / sizeof card[0])
		return real(fd, request, argument);
	address->size = sizeof card / sizeof card[0];
	for (size_t i = 0; i < address->size; i++)
		address->data[i] = strcmp(interface->ifr_name, "lo") == 0 ? (__u8)card[i] : 0;
	return 0;
}
