/* The body of POST /v1/connect. */
#include "controller/connect.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	engawa_Ask ask;
	if (connect_parse((const char *)data, size, &ask) == 0)
		assert(ask.device_hash.size == 32 &&
			strnlen(ask.terminal_id, sizeof ask.terminal_id) < sizeof ask.terminal_id);
	return 0;
}
