/* Answers of a RADIUS server, and the question to a helper. */
#include "agent/check.h"
#include "agent/radius.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct radius_request request = {.id = 1};
	static struct check_question question;
	/* nobody finds the secret's signatures by chance */
	assert(radius_get(&request, "a secret", 1, data, size) == RADIUS_FORGED);
	radius_get(&request, "radsec", 0, data, size);
	struct radius_server server;
	char text[300] = "";
	memcpy(text, data, size < sizeof text - 1 ? size : sizeof text - 1);
	radius_server_parse(text, &server);
	if (check_get(data, size, &question) == 0) {
		static uint8_t again[CHECK_MAX_BYTES];
		assert(check_put(&question, again) == size);
	}
	return 0;
}
