/* What a home PC says about itself in /etc/os-release: the name fits and is UTF-8. */
#include "base/mem.h"
#include "base/str.h"
#include "client/facts.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	engawa_Facts facts = engawa_Facts_init_zero;
	char *text = mem_array(size + 1, 1);
	if (!text)
		return 0;
	memcpy(text, data, size);
	facts_os(text, facts.os, sizeof facts.os);
	assert(strlen(facts.os) < sizeof facts.os && str_utf8(facts.os, strlen(facts.os)));
	mem_wipe_free(text, size);
	return 0;
}
