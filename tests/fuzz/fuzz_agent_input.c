/* A client's record in the work process: type, then the message. What reaches the desktop is whole
 * frames, what reaches the monitor a report or nothing. */
#include "agent/work.h"
#include "fuzz.h"
#include "net/frame.h"

static void
on_tell(uint16_t type, const void *payload, size_t len)
{
	struct report report;
	assert(type == MSG_POSTURE && (len == 0 || report_get(payload, len, &report) == 0));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct work work = {.tell = on_tell, .state = WORK_ENDED, .layout = {800, 600}};
	const uint8_t *payload;
	uint8_t type;
	size_t len, used;
	rates_init(&work.rates, work.now);
	buf_init(&work.to_desktop, 4096);
	if (size > 0 && work_input(&work, data[0], data + 1, size - 1) == 0 &&
		(used = buf_len(&work.to_desktop)) > 0)
		assert(frame_parse(buf_data(&work.to_desktop), used, FRAME_MAX_BYTES, &type,
			       &payload, &len) == (int)used &&
			type == data[0]);
	buf_fini(&work.to_desktop);
	return 0;
}
