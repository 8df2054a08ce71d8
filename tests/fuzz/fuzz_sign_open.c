/* The envelope around every signed thing. */
#include "crypto/sign.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* the first bytes are the key, so that points off the curve are tried too */
	uint8_t point[1][SIGN_POINT_BYTES], body[100];
	size_t len = 0;
	if (size < sizeof point)
		return 0;
	for (size_t i = 0; i < sizeof point; i++)
		point[0][i] = data[i];
	data += sizeof point;
	size -= sizeof point;
	if (sign_open((const void *)point, 1, "fuzz", data, size, body, sizeof body, &len) == 0)
		assert(len <= sizeof body);
	sign_check(point[0], "fuzz", "", 0, data, size);
	return 0;
}
