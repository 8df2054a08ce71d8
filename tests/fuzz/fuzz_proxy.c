/* The PROXY header in front of a browser's bytes. */
#include "net/proxy.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy proxy;
	size_t need = 0;
	int r = proxy_parse(data, size, &proxy, &need);
	assert(r <= (int)size && (r != 0 || need > 0));
	assert(r <= 0 || proxy.source_len <= sizeof proxy.source);
	return 0;
}
