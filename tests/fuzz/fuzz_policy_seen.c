/* The newest policy that was seen: a damaged file is no revision, and what is read stays what it
 * is: nothing older and nothing else under its number is taken. */
#include <sys/mman.h>
#include <unistd.h>

#include "agent/policy_seen.h"
#include "base/str.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	static char path[32];
	struct policy_seen seen;
	if (fd < 0) {
		fd = memfd_create("seen", MFD_CLOEXEC);
		assert(fd >= 0 && str_print(path, sizeof path, "/proc/self/fd/%d", fd) == 0);
	}
	assert(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
	if (policy_seen_load(path, &seen) < 0)
		return 0;
	struct policy policy = {.revision = (int64_t)seen.revision};
	memcpy(policy.content, seen.content, sizeof policy.content);
	int had = seen.has_content;
	assert(policy_seen_take(&seen, &policy) == !had);
	policy.content[0] ^= 1;
	assert(policy_seen_take(&seen, &policy) < 0);
	return 0;
}
