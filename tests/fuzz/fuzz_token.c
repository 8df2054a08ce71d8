/* What the process with the card's driver answers, and what it is asked. What is accepted comes
 * back as it was. */
#include "crypto/token.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct token_question question;
	static struct token_answer answer;
	static uint8_t out[TOKEN_ANSWER_MAX_BYTES];
	int code;
	if (token_question_get(data, size, &question) == 0)
		assert(token_question_put(&question, out) == size && memcmp(out, data, size) == 0);
	if (token_answer_get(data, size, &code, &answer) == 0)
		assert(token_answer_put(code, &answer, out) == size &&
			memcmp(out, data, size) == 0);
	return 0;
}
