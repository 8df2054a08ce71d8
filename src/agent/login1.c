#include "agent/login1.h"

#include <stdlib.h>
#include <systemd/sd-bus.h>

enum {
	CALL_US = 5000000
};

struct sd_bus *
login1_open(void)
{
	const char *address = getenv("DBUS_SYSTEM_BUS_ADDRESS");
	sd_bus *bus = NULL;
	if (!address || !*address)
		address = "unix:path=/run/dbus/system_bus_socket";
	if (sd_bus_new(&bus) >= 0 && sd_bus_set_address(bus, address) >= 0 &&
		sd_bus_set_bus_client(bus, 1) >= 0 && sd_bus_start(bus) >= 0 &&
		sd_bus_set_method_call_timeout(bus, CALL_US) >= 0)
		return bus;
	sd_bus_close_unref(bus);
	return NULL;
}
