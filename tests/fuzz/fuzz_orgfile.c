/* Organisation files: as they come, and with the signature line of a fixed key put on. */
#include "crypto/orgfile.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct evp_pkey_st *key;
	struct orgfile org;
	struct conf_error error;
	char *whole = NULL;
	if (!key)
		key = sign_key_generate();
	if (orgfile_parse((const char *)data, size, 1800000000, &org, &error) == 0)
		orgfile_fini(&org);
	if (orgfile_sign((const char *)data, size, ORGFILE_PURPOSE, key, &whole) == 0 &&
		orgfile_parse(whole, strlen(whole), 1800000000, &org, &error) == 0)
		orgfile_fini(&org);
	free(whole);
	return 0;
}
