/* What people type: whatever is accepted reads back to itself. */
#include "crypto/terminal.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[512], id[TERMINAL_ID_SIZE], shown[TERMINAL_ID_TEXT_SIZE], again[TERMINAL_ID_SIZE];
	if (size >= sizeof text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (terminal_id_parse(text, id) == 0) {
		terminal_id_format(id, shown);
		assert(terminal_id_parse(shown, again) == 0 && strcmp(id, again) == 0);
	}
	return 0;
}
