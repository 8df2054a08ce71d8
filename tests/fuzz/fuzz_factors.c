/* The second factors and a typed code: what is read is written and read back to the same. */
#include "agent/factors.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct factors *factors, *again;
	char text[2][FACTORS_TEXT_SIZE];
	if (size < FACTORS_TEXT_SIZE) { /* as a code that somebody types, too */
		memcpy(text[0], data, size);
		text[0][size] = '\0';
		factors_is_recovery(text[0]);
	}
	if (size >= FACTORS_TEXT_SIZE || factors_parse((const char *)data, size, &factors) < 0)
		return 0;
	assert(factors_recovery_left(factors) <= RECOVERY_COUNT);
	assert(factors_text(factors, text[0]) == 0);
	assert(factors_parse(text[0], strlen(text[0]), &again) == 0);
	assert(factors_text(again, text[1]) == 0 && strcmp(text[0], text[1]) == 0);
	factors_free(factors);
	factors_free(again);
	return 0;
}
