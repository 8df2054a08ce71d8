/* A WebSocket stream given to the reader in steps of so many bytes. */
#pragma once
#include "fuzz.h"
#include "net/ws.h"

/* What its frames carry goes to out. 0, 1 (closed), or why it was refused. */
static inline int
feed_ws(const uint8_t *data, size_t size, size_t step, uint8_t *out, size_t *ret_len)
{
	static uint8_t held[1 << 16];
	struct ws ws = {0};
	struct ws_event event;
	size_t have = 0, at = 0;
	int n = 0;
	for (*ret_len = 0; n >= 0 && !ws.closed && (at < size || n > 0);) {
		size_t more = n > 0 ? 0 : step < size - at ? step : size - at;
		memcpy(held + have, data + at, more);
		at += more, have += more;
		n = ws_read(&ws, held, have, &event);
		assert(n <= (int)have && (n != 0 || have <= WS_HELD_MAX_BYTES));
		if (n > 0 && event.kind == WS_DATA)
			memcpy(out + *ret_len, event.data, event.len), *ret_len += event.len;
		if (n > 0)
			memmove(held, held + n, have -= (size_t)n);
	}
	return n < 0 ? n : ws.closed;
}
