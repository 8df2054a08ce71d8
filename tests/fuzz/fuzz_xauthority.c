/* The X authority file that a desktop's person wrote. */
#include "agent/xauthority.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct display_auth auth = {.name = ""}, again;
	uint8_t out[MESSAGE_MAX_BYTES];
	if (xauthority_find(data, size, "7", &auth) == 0)
		assert(auth.data_len <= size && auth.data_len <= sizeof auth.data &&
			display_auth_get(out, display_auth_put(&auth, out), &again) == 0);
	return 0;
}
