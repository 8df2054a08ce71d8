/* WebSocket frames in one piece and byte by byte: the payload and the end must be the same. */
#include "feed_ws.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t whole[1 << 16], bytes[1 << 16];
	size_t whole_len, bytes_len;
	if (size > sizeof whole)
		return 0;
	int a = feed_ws(data, size, size, whole, &whole_len),
	    b = feed_ws(data, size, 1, bytes, &bytes_len);
	assert(a == b && whole_len == bytes_len && memcmp(whole, bytes, whole_len) == 0);
	return 0;
}
