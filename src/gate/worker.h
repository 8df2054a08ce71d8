/*
 * A worker: one process, one thread, one epoll loop, no files, no keys. Accepts connections and
 * serves them until they end. struct worker is the process; each module below owns the part of it
 * that carries its name.
 */
#pragma once
#include "base/clock.h"
#include "crypto/sign.h"
#include "gate/arrive.h"
#include "gate/leave.h"
#include "gate/leg.h"
#include "gate/limit.h"
#include "gate/link.h"
#include "gate/move.h"
#include "gate/outbox.h"
#include "gate/pool.h"
#include "gate/presence.h"
#include "gate/quota.h"
#include "gate/request.h"
#include "gate/secure.h"
#include "gate/session.h"
#include "gate/settings.h"
#include "gate/share.h"
#include "gate/wheel.h"
#include "net/frame.h"

enum {
	WORKER_LISTENERS_MAX = 16,
	WORKER_TICKET_KEYS_MAX = 4,            /* as LinkWelcome */
	WORKER_READ_BYTES = SECURE_READ_BYTES, /* one TLS record */
	WORKER_TURN_BYTES = 65536, /* what one leg may move before the others have their turn */
	LINGER_S = 3,              /* for a peer to take the last bytes and close */
	WORKER_SEARCHES = 64,
};

struct draft; /* certificates on their way from the parent */

struct worker {
	struct settings settings;
	int parent, epoll;
	struct tell_seat seat;
	struct outbox outbox;
	struct moves moves;
	struct leave leave;
	struct arrive arrive;
	struct {
		int fds[WORKER_LISTENERS_MAX];
		size_t count;
		int paused; /* out of descriptors or over a limit: not accepting until the next tick
			     */
	} listeners;
	struct secure_context *secure;
	struct draft *draft;

	struct mono started;
	struct wheel wheel;
	wheel_tick now;
	struct pool pool;
	struct limits limits;
	struct fair fair;
	struct shares shares;
	struct quotas quotas;
	struct presence presence;
	struct sessions sessions;
	struct requests requests;
	struct link link;
	struct {
		uint8_t points[WORKER_TICKET_KEYS_MAX][SIGN_POINT_BYTES];
		size_t count;
	} ticket_keys;

	struct leg **by_fd;
	size_t by_fd_count, leg_count;
	int64_t connections_most; /* of this worker */
	uint32_t serial;
	struct leg *run_head, *run_tail, *dead;
	struct leg *late_head, *late_tail; /* have had their turn, want another */
	struct leg *last_head, *last_tail; /* their source has had too many faults */
	struct leg *oldest, *newest;       /* half open */
	struct {
		uint8_t keys[WORKER_SEARCHES][FAULT_KEY_BYTES];
		wheel_tick at[WORKER_SEARCHES];
		size_t next;
	} searches; /* sources of which none was slow at that tick: door.c */
	struct log_limit close_log;
	size_t surplus; /* bytes behind the frame that is being handled */
	wheel_tick drain_until;
	uint8_t draining, stopping;
	uint8_t last_turn; /* the leg that runs has waited for the others */

	uint8_t raw[WS_HELD_MAX_BYTES + WORKER_READ_BYTES];
	uint8_t scratch[FRAME_HEADER_BYTES + FRAME_MAX_BYTES + WS_HELD_MAX_BYTES +
			WORKER_READ_BYTES];
	uint8_t relay[SECURE_RELAY_BYTES];
};

/* The process: talks to the parent on descriptor 3. Returns the exit status. */
int worker_main(void);

/* No new connections, and the old ones end in their time; the process ends with the last. */
void worker_drain(struct worker *w);

/* Short forms of ids in the log: enough to follow one, too little to use it. */
#define F_AGENT(id) F_HEX("agent", id, 4)
#define F_SESSION(id) F_HEX("session", id, 4)
