/* Frames and every message of outer.proto and link.proto: what decodes can be encoded again and
 * decodes to the same. */
#include "fuzz.h"
#include "messages.h"
#include "net/frame.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint64_t first[4096], second[4096]; /* larger than any message */
	static uint8_t out[2][FRAME_HEADER_BYTES + FRAME_MAX_BYTES];
	uint8_t type;
	const uint8_t *payload;
	size_t len;
	int used = frame_parse(data, size, FRAME_MAX_BYTES, &type, &payload, &len);
	assert(used <= (int)size);
	if (used <= 0)
		return 0;
	assert(payload == data + FRAME_HEADER_BYTES && len == (size_t)used - FRAME_HEADER_BYTES);
	const pb_msgdesc_t *fields = messages[type % (sizeof messages / sizeof messages[0])];
	if (frame_decode(fields, first, payload, len) < 0)
		return 0;
	int n = frame_encode(type, fields, first, out[0], sizeof out[0]);
	assert(n >= FRAME_HEADER_BYTES);
	len = (size_t)n - FRAME_HEADER_BYTES;
	assert(frame_decode(fields, second, out[0] + FRAME_HEADER_BYTES, len) == 0);
	assert(frame_encode(type, fields, second, out[1], sizeof out[1]) == n);
	assert(memcmp(out[0], out[1], (size_t)n) == 0);
	return 0;
}
