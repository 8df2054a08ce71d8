/* Numbers, hex, base64 and UTF-8 of base/str: what is read is written and read back to the same. */
#include "base/str.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[256] = "", again[512];
	uint8_t bytes[256];
	size_t len;
	int64_t number;
	uint32_t c = 0;
	if (size >= sizeof text)
		return 0;
	memcpy(text, data, size);
	if (str_unbase64(text, size, bytes, sizeof bytes, &len) == 0) {
		str_base64(again, bytes, len);
		assert(strlen(again) == size && memcmp(again, text, size) == 0);
	}
	assert(str_unhex(text, bytes, size / 2 + 1) < 0 || strlen(text) > size);
	if (str_int(text, -5, 5, &number) == 0)
		assert(number >= -5 && number <= 5);
	str_hex(again, data, size);
	assert(str_unhex(again, bytes, size) == 0 && memcmp(bytes, data, size) == 0);
	for (const char *p = text; str_utf8(text, size) && *p; p += str_utf8_next(p, &c))
		assert(c <= 0x10ffff);
	return 0;
}
