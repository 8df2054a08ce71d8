/* Lists of networks that codes are good for: a bad list has nobody in it. */
#include "controller/network.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char list[1024] = "";
	uint8_t address[NETWORK_ADDRESS_BYTES], source[NETWORK_ADDRESS_BYTES];
	if (size >= sizeof list)
		return 0;
	memcpy(list, data, size);
	network_source(list, source);
	if (network_address(list, address) == 0 && network_list_check(list) == 0)
		assert(network_list_has(list, address) == 1);
	network_address("192.0.2.1", address);
	int r = network_list_has(list, address);
	assert(network_list_check(list) < 0 || r >= 0);
	return 0;
}
