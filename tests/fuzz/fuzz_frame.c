/* Frames and every message of outer.proto and link.proto: what decodes can be encoded again and
 * decodes to the same. */
#include <assert.h>
#include <string.h>

#include "link.pb.h"
#include "net/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define M(name) engawa_##name##_fields
static const pb_msgdesc_t *const messages[] = {M(Hello), M(Bye), M(Ping), M(Pong), M(Welcome),
	M(Knock), M(Refuse), M(SendCode), M(CodeSent), M(Goaway), M(Ask), M(Grant), M(Join),
	M(Answer), M(Joined), M(Enrol), M(Enrolled), M(LinkHello), M(LinkWelcome), M(AgentUp),
	M(LinkAsk), M(LinkGrant), M(LinkEnrol), M(LinkEnrolled), M(LinkSendCode), M(LinkCodeSent),
	M(SessionUp), M(SessionDown), M(EndSession), M(Deny)};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint64_t first[4096], second[4096]; /* larger than any message */
	static uint8_t out[2][FRAME_HEADER_BYTES + FRAME_MAX_BYTES];
	uint8_t type;
	const uint8_t *payload;
	size_t len;
	int used = frame_parse(data, size, FRAME_MAX_BYTES, &type, &payload, &len);
	assert(used <= (int)size);
	if (used <= 0)
		return 0;
	assert(payload == data + FRAME_HEADER_BYTES && len == (size_t)used - FRAME_HEADER_BYTES);
	const pb_msgdesc_t *fields = messages[type % (sizeof messages / sizeof messages[0])];
	if (frame_decode(fields, first, payload, len) < 0)
		return 0;
	int n = frame_encode(type, fields, first, out[0], sizeof out[0]);
	assert(n >= FRAME_HEADER_BYTES);
	assert(frame_decode(fields, second, out[0] + FRAME_HEADER_BYTES,
		       (size_t)n - FRAME_HEADER_BYTES) == 0);
	assert(frame_encode(type, fields, second, out[1], sizeof out[1]) == n &&
		memcmp(out[0], out[1], (size_t)n) == 0);
	return 0;
}
