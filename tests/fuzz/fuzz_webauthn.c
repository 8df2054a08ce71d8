/* A reply as it comes to the monitor, judged as an assertion: nothing that was not signed is right. */
#include <assert.h>

#include "../unit/soft_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct soft_key key;
	static const uint8_t hash[32];
	static const struct conf_list none;
	const struct webauthn_rp rp = {"a", &none, 1};
	struct reply reply;
	uint8_t challenge[32];
	uint32_t counter;
	const char *why = NULL;
	if (!key.key)
		soft_key_init(&key, WEBAUTHN_ES256, 1);
	const struct webauthn_key public = {-7, key.made.public_key, 64, 0};
	if (webauthn_challenge(hash, challenge) < 0 || reply_get(data, size, &reply) < 0)
		return 0;
	assert(webauthn_verify(&rp, challenge, &public, &reply.assertion, &counter, &why) < 0 && why);
	(void)webauthn_key_fit(reply.key.algorithm, reply.key.public_key, reply.key.public_key_len);
	return 0;
}
