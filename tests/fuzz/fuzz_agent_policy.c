/* Keys and values of a policy that is signed as it should be: what is refused leaves everything
 * closed. */
#include "agent/policy.h"
#include "crypto/orgfile.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct evp_pkey_st *key;
	static uint8_t point[SIGN_POINT_BYTES];
	struct conf_error error;
	struct policy policy;
	char *text;
	if (!key)
		assert((key = sign_key_generate()) && sign_key_point(key, point) == 0);
	if (orgfile_sign((const char *)data, size, POLICY_PURPOSE, key, &text) < 0)
		return 0;
	policy_init(&policy);
	if (policy_read(&policy, text, strlen(text), point, 1800000000, &error) < 0)
		assert(policy_wants_otp(&policy) && policy_wants_maccheck(&policy) &&
			policy.deny_clients_html5);
	assert(policy.lockout_count >= 1 && policy.idle_timeout_s >= 0);
	policy_fini(&policy);
	free(text);
	return 0;
}
