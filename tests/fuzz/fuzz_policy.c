/* Policies whose signature is right, so that the lines behind it are reached. */
#include "base/str.h"
#include "crypto/orgfile.h"
#include "fuzz.h"

static int
on_line(void *user, const char *key, const char *value)
{
	assert(!user && *key && str_printable(key) && str_printable(value));
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct evp_pkey_st *key;
	uint8_t point[SIGN_POINT_BYTES];
	struct conf_error error;
	char *whole = NULL;
	key = key ? key : sign_key_generate();
	sign_key_point(key, point);
	if (orgfile_sign((const char *)data, size, POLICY_PURPOSE, key, &whole) == 0)
		policy_parse(whole, strlen(whole), point, 1800000000, on_line, NULL, &error);
	free(whole);
	return 0;
}
