/* When certificates were last good: what is damaged was never good, and what is good has a time. */
#include <sys/mman.h>
#include <unistd.h>

#include "agent/lastgood.h"
#include "base/str.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	static char path[32];
	uint8_t hash[32];
	memset(hash, 0xab, sizeof hash);
	if (fd < 0) {
		fd = memfd_create("lastgood", MFD_CLOEXEC);
		assert(fd >= 0 && str_print(path, sizeof path, "/proc/self/fd/%d", fd) == 0);
	}
	assert(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
	assert(lastgood_find(path, hash) <= INT64_MAX);
	return 0;
}
