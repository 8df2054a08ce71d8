/* The guard's journal and order: what is read stays within its limits. */
#include <string.h>

#include "desktop/guard.h"
#include "desktop/guard_journal.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct journal journal;
	struct guard_run run;
	uint8_t out[GUARD_RUN_MAX_BYTES];
	memset(&journal, 0, sizeof journal);
	if (journal_parse(&journal, (const char *)data, size) == 0 && !journal.used)
		assert(journal.gamma_count == 0 && journal.device_count == 0);
	for (size_t i = 0; i < journal.device_count; i++)
		assert(strlen(journal.devices[i].name) < JOURNAL_NAME_SIZE);
	journal_fini(&journal);
	if (guard_run_get(data, size, &run) == 0)
		assert(guard_run_put(&run, out) <= sizeof out);
	return 0;
}
