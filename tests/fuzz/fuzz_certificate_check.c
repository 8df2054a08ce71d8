/* The question to the process that looks at certificates, and its answer: what is accepted comes
 * back as it was. */
#include "agent/check_certificate.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct certificate_question question;
	static uint8_t out[CERTIFICATE_QUESTION_MAX_BYTES + 4096];
	struct certificate_answer answer;
	if (certificate_question_get(data, size, &question) == 0)
		assert(certificate_question_put(&question, out) == size &&
			memcmp(out, data, size) == 0);
	if (certificate_answer_get(data, size, &answer) == 0)
		assert(certificate_answer_put(&answer, out) == size &&
			memcmp(out, data, size) == 0);
	return 0;
}
