/* Backups: the header of a file that may be anything, and what is inside when somebody who knows
 * the passphrase made it. */
#include "agent/backup.h"
#include "base/err.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct backup backup;
	struct backup_header header;
	if (backup_header_read(data, size, &header) == 0)
		assert(header.memory_kib <= BACKUP_MEMORY_MAX_KIB &&
			header.passes <= BACKUP_PASSES_MAX);
	if (backup_entries_read(data, size, &backup) < 0) {
		assert(backup.count == 0);
		return 0;
	}
	for (size_t i = 0; i < backup.count; i++)
		assert(backup_name_fit(backup.files[i].name) && !strchr(backup.files[i].name, '/'));
	backup_fini(&backup);
	return 0;
}
