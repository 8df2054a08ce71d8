/* What comes over bounce.sock: a token is accepted in one spelling only, and nobody makes one. */
#include "base/err.h"
#include "controller/bounce.h"
#include "fuzz.h"

#include <strings.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[BOUNCE_KEY_BYTES] = {1, 2, 3};
	struct bounce_report report;
	struct bounce bounce;
	char again[BOUNCE_SENDER_SIZE];
	if (bounce_report_get(data, size, &report) < 0)
		return 0;
	assert(report.code == ERR_MAIL_CAME_BACK || report.code == ERR_MAIL_DELAYED);
	assert(bounce_status_ok(report.status));
	if (bounce_open(key, report.token, 1800000000, &bounce) < 0)
		return 0;
	assert(bounce_sender(key, &bounce, 1800000000, "b@example.jp", again) == 0);
	assert(strncasecmp(again + 2, report.token, BOUNCE_TOKEN_CHARS) == 0);
	return 0;
}
