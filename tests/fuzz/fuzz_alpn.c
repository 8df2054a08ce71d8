/* The protocols that a ClientHello offers: adding engawa/1 to a list that is accepted or not makes
 * it one that is. */
#include "crypto/tls.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t native[] = "\010engawa/1";
	uint8_t list[1024];
	tls_alpn_native(data, size);
	if (size + 2 + sizeof native > sizeof list)
		return 0;
	size_t len = size + sizeof native - 1;
	list[0] = (uint8_t)(len >> 8), list[1] = (uint8_t)len;
	memcpy(list + 2, native, sizeof native - 1);
	memcpy(list + 2 + sizeof native - 1, data, size);
	assert(tls_alpn_native(list, len + 2) == 1);
	assert(tls_alpn_native(list, len + 1) == 0);
	return 0;
}
