/* Files of a home PC: the header of ClamAV's patterns and os-release. */
#include "client/posture_linux.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	engawa_Posture posture = {0};
	uint64_t s;
	if (posture_cvd_time((const char *)data, size, &s) == 0)
		assert(s > 946000000 && s < 253500000000); /* the years 2000 to 9999 */
	posture_os_release((const char *)data, size, &posture);
	assert(strlen(posture.os) < sizeof posture.os);
	assert(strlen(posture.os_version) < sizeof posture.os_version);
	return 0;
}
