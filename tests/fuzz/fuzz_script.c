/* Actions of "engawa connect": first byte the kind, then the text. */
#include "cli/connect_script.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct loop *loop;
	char text[256] = "";
	uint64_t ms;
	if (size == 0 || size > sizeof text || (!loop && !(loop = loop_new())))
		return 0;
	memcpy(text, data + 1, size - 1);
	struct script *script = script_new(loop);
	script_add(script, data[0] % (SCRIPT_LATENCY + 1), text);
	if (script_duration(text, 1, &ms) == 0)
		assert(ms <= 1000ull * 3600 * 24 * 366);
	script_free(script);
	return 0;
}
