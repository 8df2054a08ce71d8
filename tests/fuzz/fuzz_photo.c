/* Photographs that somebody hands in. The first byte says which of them are measured, too: small
 * ones, because that takes time. */
#include "fuzz.h"
#include "mark/photo.h"
#include "mark/read.h"

enum {
	MEASURED_PX = 64 * 64
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mark_table tables[MARK_TABLES_MAX];
	struct photo photo;
	if (size < 1 || photo_decode(data + 1, size - 1, &photo) < 0)
		return 0;
	size_t count = (size_t)photo.width * photo.height;
	photo_fini(&photo);
	if (data[0] == 1 && count <= MEASURED_PX)
		read_tables(data + 1, size - 1, NULL, 2, tables);
	return 0;
}
