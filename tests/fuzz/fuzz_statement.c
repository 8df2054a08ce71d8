/* A statement out of message 2, up to the slow derivation of the ID. */
#include "crypto/terminal.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	engawa_StatementBody body;
	if (statement_decode(data, size, &body) == 0)
		assert(body.anchor_key.size == SIGN_POINT_BYTES &&
			body.salt.size == TERMINAL_SALT_BYTES);
	return 0;
}
