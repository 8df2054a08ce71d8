/* Shares of organisations that cross an upgrade: what is taken can be told on and is the same
 * there. */
#include <stdlib.h>

#include "fuzz.h"
#include "gate/fair.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fair_table from, to;
	static uint8_t packed[400000];
	size_t next = 0;
	memset(&from, 0, sizeof from);
	memset(&to, 0, sizeof to);
	(void)fair_unpack(&from, data, size, 5000);
	size_t len = fair_pack(&from, &next, packed, sizeof packed);
	assert(len < sizeof packed);
	assert(fair_unpack(&to, packed, len, 5000) == 0);
	assert(memcmp(&from, &to, sizeof from) == 0);
	return 0;
}
