/* An authenticator's secret in base32: nothing but its one form is accepted. */
#include "agent/totp.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[64] = "", again[TOTP_SECRET_TEXT_SIZE];
	struct totp totp;
	if (size >= sizeof text)
		return 0;
	memcpy(text, data, size);
	if (totp_secret_parse(text, &totp) < 0)
		return 0;
	totp_secret_text(&totp, again);
	assert(strcmp(text, again) == 0 && totp.last_step == 0);
	return 0;
}
