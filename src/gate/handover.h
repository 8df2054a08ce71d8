/*
 * The state of one live connection as a message, so that another process can go on with it: a
 * worker that has the other end of a session, or a new version of the program. The descriptor goes
 * beside it (SCM_RIGHTS). The only place that knows the format; a field is added at the end, with a
 * new version.
 *
 * In it: what the connection is and whom it belongs to, TLS keys and sequence numbers, WebSocket
 * state, bytes that came and were not used, wire bytes that were not sent, and how long ago things
 * were. Not in it: pointers, timers, serial numbers: those are the process's own.
 */
#pragma once
#include "gate/leg.h"

enum {
	HANDOVER_VERSION = 1,
	HANDOVER_MAX_BYTES = 60000, /* one message of base/ipc.h */
};

/* Length at out, which has HANDOVER_MAX_BYTES, or -ERR_TOO_LONG. The leg is established, TLS, and
 * not half open. Secrets: wipe it. */
int handover_encode(const struct leg *l, wheel_tick now, uint8_t *out);

/*
 * A leg as it was, on this descriptor (which stays the caller's on failure), in no table and not
 * watched. Only states that may be handed over. 0, -ERR_PROTOCOL or -ENOMEM.
 */
int handover_decode(struct pool *pool, const uint8_t *data, size_t len, int fd, wheel_tick now,
	struct leg **ret);
/* One that was never put to use; the descriptor stays open. */
void handover_free(struct pool *pool, struct leg *l);
