/* The file of registered devices: what is taken has bounds, and every entry is found again. */
#include <assert.h>
#include <string.h>

#include "agent/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct registry registry;
	char number[REGISTRY_NUMBER_SIZE];
	if (registry_parse((const char *)data, size, &registry) < 0)
		assert(registry.count == 0);
	for (size_t i = 0; i < registry.count; i++) {
		const struct entry *e = &registry.list[i];
		assert(registry_find(&registry, e->hash) == e && e->mac_count <= FACTS_MACS_MAX);
		assert(memchr(e->name, '\0', sizeof e->name) && !strchr(e->name, '\n'));
		registry_number(e->hash, number);
		assert(strlen(number) + 1 == sizeof number);
	}
	assert(registry_count(&registry, ENTRY_APPLIED) <= APPLICATIONS_MAX);
	return 0;
}
