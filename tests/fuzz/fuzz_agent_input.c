/* A client's record in the work process: type, then the message. What reaches the desktop is whole
 * frames. */
#include "agent/work.h"
#include "fuzz.h"
#include "net/frame.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct work work = {.state = WORK_ENDED, .layout = {.width_px = 800, .height_px = 600}};
	const uint8_t *payload;
	uint8_t type;
	size_t len;
	buf_init(&work.to_desktop, 4096);
	if (size > 0 && work_input(&work, data[0], data + 1, size - 1) == 0 &&
		buf_len(&work.to_desktop)) {
		int used = frame_parse(buf_data(&work.to_desktop), buf_len(&work.to_desktop),
			FRAME_MAX_BYTES, &type, &payload, &len);
		assert(used > 0 && (size_t)used == buf_len(&work.to_desktop) && type == data[0]);
	}
	buf_fini(&work.to_desktop);
	return 0;
}
