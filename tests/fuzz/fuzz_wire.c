/* The cursor: each byte of the input is also a call, by the number of bytes it asks for. */
#include "base/wire.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd r = rd_init(data, size);
	uint8_t copy[256];
	for (size_t i = 0; i < size && !r.failed; i++) {
		size_t before = r.left, want = data[i];
		if (want == 1)
			rd_u8(&r);
		else if (want == 2)
			rd_u16(&r);
		else if (want == 4)
			rd_u32(&r);
		else if (want == 8)
			rd_u64(&r);
		else
			rd_copy(&r, copy, want);
		assert(r.left == before - (r.failed ? 0 : want) && r.failed == (want > before));
	}
	return 0;
}
