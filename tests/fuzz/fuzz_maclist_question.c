/* The question about a list of MAC addresses, and copies of lists. */
#include <assert.h>
#include <string.h>

#include "agent/check_maclist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct maclist_question question;
	static uint8_t out[MACLIST_QUESTION_MAX_BYTES];
	size_t len = size;
	if (maclist_question_get(data, size, &question) == 0)
		assert(maclist_question_put(&question, out) == size &&
			memcmp(out, data, size) == 0);
	const char *list = maclist_copy_of("https://lists.example/", (const char *)data, &len);
	assert(!list || (len < size && list + len == (const char *)data + size));
	return 0;
}
