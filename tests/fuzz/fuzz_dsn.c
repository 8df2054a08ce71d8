/* A mail that came back, or says so: what is taken over fits for a log. */
#include "cli/dsn.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dsn dsn;
	if (dsn_read((const char *)data, size, &dsn) < 0)
		return 0;
	assert(dsn.action <= DSN_FAILED && strlen(dsn.status) < sizeof dsn.status);
	assert(!dsn.status[strspn(dsn.status, "0123456789.")]);
	assert(dsn.action != DSN_NONE || !dsn.status[0]);
	return 0;
}
