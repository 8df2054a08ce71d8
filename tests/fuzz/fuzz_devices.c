/* Devices and their counters: what is read is written and read back to the same, and no counter is
 * lost. */
#include "agent/devices.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t nobody[DEVICE_HASH_BYTES];
	struct devices *devices, *again;
	uint32_t left = 0;
	if (devices_parse((const char *)data, size, &devices) < 0)
		return 0;
	char *text = devices_text(devices);
	assert(text && devices_parse(text, strlen(text), &again) == 0);
	char *twice = devices_text(again);
	assert(twice && strcmp(text, twice) == 0);
	devices_check(devices, nobody, 1800000000, &left);
	free(text);
	free(twice);
	devices_free(devices);
	devices_free(again);
	return 0;
}
