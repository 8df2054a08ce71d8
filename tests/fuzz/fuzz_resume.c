/* A resume ticket off the wire, as a gate reads it; and any body under a good signature. */
#include <assert.h>

#include "crypto/resume.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct evp_pkey_st *key;
	uint8_t point[SIGN_POINT_BYTES], ticket[SIGN_ENVELOPE_MAX_BYTES];
	engawa_ResumeBody body;
	size_t len;
	if (!key)
		key = sign_key_generate();
	sign_key_point(key, point);
	resume_open(data, size, 1800000000, NULL, &body);
	if (sign_envelope(key, "engawa resume v1", data, size, ticket, sizeof ticket, &len) == 0 &&
		resume_open(ticket, len, 1800000000, point, &body) == 0)
		assert(body.generation > 0 && body.session_id.size == 16 &&
			body.certificate.size > 0);
	return 0;
}
