/* A password as somebody types it, before it is taken. */
#include "agent/password.h"
#include "base/str.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[PASSWORD_MAX_BYTES + 8] = "";
	struct password_choice choice = {.kinds = size & 1, .alone = size & 2, .names = {"hinata"}};
	if (size >= sizeof text)
		return 0;
	memcpy(text, data, size);
	if (password_fit(text, &choice) == 0)
		assert(str_printable(text) && strlen(text) >= PASSWORD_MIN_CHARS &&
			strlen(text) <= PASSWORD_MAX_BYTES);
	return 0;
}
