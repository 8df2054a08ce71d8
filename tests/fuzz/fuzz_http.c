/* A request head: whatever is accepted lies within its bytes, and does not change when more come
 * behind it or fewer came before. */
#include "base/err.h"
#include "fuzz.h"
#include "net/http.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_head head, again;
	int used = http_head_parse(data, size, &head);
	assert(used <= (int)size && used <= HTTP_HEAD_MAX_BYTES);
	if (used <= 0)
		return 0;
	const struct http_span spans[] = {head.method, head.target, head.host, head.origin,
		head.ws_key, head.upgrade, head.ws_protocols, head.ws_version, head.connection,
		head.length, head.coding};
	for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
		const uint8_t *p = (const void *)spans[i].p;
		assert(!p || (p >= data && p + spans[i].len <= data + used));
	}
	assert(!(head.length.p && head.coding.p) && (head.host.p || head.minor == 0));
	assert(http_head_parse(data, (size_t)used, &again) == used &&
		memcmp(&head, &again, sizeof head) == 0);
	for (int cut = used > 64 ? used - 64 : 0; cut < used; cut++)
		assert(http_head_parse(data, (size_t)cut, &again) == 0);
	return 0;
}
