/* Messages between the agent's processes; the first byte says which. What is accepted comes back as
 * it was. */
#include "agent/message.h"
#include "fuzz.h"

#define EACH(X)                                                                              \
	X(facts)                                                                             \
	X(reply)                                                                             \
	X(ready) X(display_auth) X(prompt) X(refusal) X(start) X(work_run) X(lost) X(report) \
		X(notice)
#define TRY(name)                                               \
	struct name name;                                       \
	if (which-- == 0 && name##_get(data, size, &name) == 0) \
		assert(name##_put(&name, out) == size && memcmp(out, data, size) == 0);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[MESSAGE_MAX_BYTES];
	int which = size ? *data % 11 : 0;
	if (size == 0 || --size > sizeof out)
		return 0;
	data++;
	EACH(TRY)
	return 0;
}
