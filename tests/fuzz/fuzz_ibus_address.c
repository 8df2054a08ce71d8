/* Where IBus listens, as a file of the desktop's person says. */
#include "agent/ibus_address.h"
#include "base/str.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char file[4097];
	struct sockaddr_un address;
	socklen_t len = 0;
	if (size >= sizeof file)
		return 0;
	memcpy(file, data, size);
	file[size] = '\0';
	if (ibus_address_find(file, &address, &len) == 0)
		assert(len > sizeof address.sun_family + 1 && len <= sizeof address &&
			address.sun_family == AF_UNIX &&
			(!address.sun_path[0] || address.sun_path[0] == '/'));
	return 0;
}
