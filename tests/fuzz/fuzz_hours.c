/* Working hours: a line that is taken ends within weeks, wherever one stands in it. */
#include "agent/hours.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char line[64];
	char *items[] = {line};
	const struct conf_list hours = {items, 1}, none = {0};
	if (size >= sizeof line)
		return 0;
	memcpy(line, data, size);
	line[size] = '\0';
	int fits = hours_fits(line) == 0;
	for (uint64_t quarter = 0; fits && quarter < 7 * 24 * 4; quarter++)
		assert(hours_left_s(&hours, &none, 1800000000 + quarter * 900) < 40 * 86400);
	return 0;
}
