/* A Pointer, Key or Text message in the desktop's process, first byte the type: what is taken gets
 * done and leaves nothing behind. */
#include "base/str.h"
#include "desktop/input.h"
#include "fuzz.h"
#include "no_desktop.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct input input;
	static const struct source_shape shape = {.width = 800, .height = 600};
	input_init(&input, NULL, &shape);
	if (size == 0 || input_take(&input, data[0], data + 1, size - 1) < 0)
		return 0;
	assert(input.count <= 1 && str_utf8(input.queue[0].text, strlen(input.queue[0].text)));
	struct mono now = mono_now();
	for (int ms; (ms = input_run(&input, now)) >= 0;)
		now = mono_add_ms(now, (uint64_t)ms);
	assert(input.count == 0);
	return 0;
}
