/* A ticket off the wire; and any body under a good signature. */
#include "crypto/ticket.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct evp_pkey_st *key;
	uint8_t point[1][SIGN_POINT_BYTES], ticket[TICKET_MAX_BYTES];
	engawa_TicketBody body;
	size_t len;
	if (!key)
		key = sign_key_generate();
	sign_key_point(key, point[0]);
	ticket_verify((const void *)point, 1, data, size, 1800000000, &body);
	if (sign_envelope(key, "engawa ticket v1", data, size, ticket, sizeof ticket, &len) == 0 &&
		ticket_verify((const void *)point, 1, ticket, len, 1800000000, &body) == 0)
		assert(body.gates_count > 0 && body.session_id.size == 16);
	return 0;
}
