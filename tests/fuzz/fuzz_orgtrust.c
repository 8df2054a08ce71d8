/* What is remembered of an organisation, damaged: refused, and never taken for a first use. */
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/orgtrust.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char path[] = "/tmp/fuzz-orgtrust-XXXXXX";
	struct orgfile org = {.id = "hinata-city", .revision = 3};
	char told[ORGFILE_FINGERPRINT_SIZE];
	struct stat st;
	static int made;
	if (!made) {
		made = mkstemp(path);
		assert(made >= 0);
		close(made);
	}
	assert(conf_write_file(path, data, size, 0600) == 0);
	orgfile_fingerprint(&org, told);
	int r = org_trust(path, &org, told, ERR_LANG_EN);
	assert(r == 0 || (stat(path, &st) == 0 && (size_t)st.st_size == size)); /* kept as it is */
	assert(r == 0 || r == -ERR_SETTING || r == -ERR_ORG_CHANGED || r == -ERR_ORG_OLD ||
		r == -ERR_ORG_FORKED);
	unlink(path);
	return 0;
}
