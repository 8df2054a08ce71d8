/* Sealed boxes: nobody makes one by chance, and a short one is none. */
#include "crypto/seal.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t secret[32] = {7};
	static uint8_t out[65536];
	if (size <= sizeof out)
		assert(seal_open(secret, "fuzz", 4, data, size, out) < 0);
	return 0;
}
