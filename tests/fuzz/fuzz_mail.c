/* A MailCode as an agent could have sealed it: nothing in it may end a header line early. */
#include "controller/mail.h"
#include "fuzz.h"
#include "net/frame.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t id[MAIL_ID_BYTES];
	engawa_MailCode code;
	char mail[MAIL_MAX_BYTES];
	if (frame_decode(engawa_MailCode_fields, &code, data, size) < 0 ||
		mail_compose(&code, "a@example.jp", id, 1800000000, mail, sizeof mail) < 0)
		return 0;
	const char *to = strstr(mail, "\r\nTo: <"), *next = strstr(mail, ">\r\nMessage-ID: <");
	assert(to && next && to < next && !memchr(to + 2, '\r', (size_t)(next - to - 2)));
	assert(!memchr(to + 2, '\n', (size_t)(next - to - 2)));
	return 0;
}
