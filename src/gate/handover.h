/*
 * The state of one live connection as a message, so that another process can go on with it: a
 * worker that has the other end of a session, or a new version of the program. The descriptor goes
 * beside it (SCM_RIGHTS). The only place that knows the format; a field is added at the end, with a
 * new version. A reader takes its own version and no other: who hands over asks first (upgrade.h).
 *
 * In it: what the connection is and whom it belongs to, TLS keys and sequence numbers, WebSocket
 * state, bytes that came and were not used, wire bytes that were not sent, which directions have
 * ended, how long ago things were and how long they may still take. Not in it: pointers, timers,
 * serial numbers: those are the process's own.
 */
#pragma once
#include "gate/leg.h"

struct session;

enum {
	HANDOVER_VERSION = 3,
	HANDOVER_MAX_BYTES = 60000, /* one message of base/ipc.h */
	HANDOVER_SESSION_MAX_BYTES = 256,
};

/*
 * The leg in the state that it had before it was frozen, with left ticks to its deadline (0 =
 * none). organisation: of a waiting agent. Length at out, which has HANDOVER_MAX_BYTES, or
 * -ERR_TOO_LONG. As many queued bytes go along as there is room for: *ret_more of them are left for
 * handover_more. The leg is established. Secrets: wipe it.
 */
int handover_encode(const struct leg *l, enum leg_state state, const char *organisation,
	wheel_tick left, wheel_tick now, uint8_t *out, size_t *ret_more);
/* The queued bytes from the last more on, at most HANDOVER_MAX_BYTES. Their count. */
size_t handover_more(const struct leg *l, size_t more, uint8_t *out);

/*
 * A leg as it was, on this descriptor (which stays the caller's on failure), in no table and not
 * watched; its timer's due is how much is left; ret_organisation "" unless it is an agent.
 * *ret_more queued bytes are still to be added. Only states that may be handed over. 0,
 * -ERR_PROTOCOL or -ENOMEM.
 */
int handover_decode(struct pool *pool, const uint8_t *data, size_t len, int fd, wheel_tick now,
	struct leg **ret, char ret_organisation[static FAIR_NAME_SIZE], size_t *ret_more);
/* One that was never put to use; the descriptor stays open. */
void handover_free(struct pool *pool, struct leg *l);

/* A session without its legs. Length at out, which has HANDOVER_SESSION_MAX_BYTES. */
size_t handover_session(const struct session *s, wheel_tick now, uint8_t *out);
/* *ret is the caller's. 0, -ERR_PROTOCOL or -ENOMEM. */
int handover_session_decode(const uint8_t *data, size_t len, wheel_tick now, struct session **ret);
