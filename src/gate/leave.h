/*
 * An old worker's part of an upgrade: everything that it has goes to a worker of the new program,
 * in units that cross whole (a waiting agent; a session with its legs). tests/model/upgrade.pml has
 * the order.
 *
 * A unit is frozen, sent, and kept until the parent says that the new side has everything; then it
 * is closed here and COMMIT lets the other side go on with it. Until then all of it can be thawed
 * here: when the new side dies, or when the parent takes it back. What cannot cross yet (a TLS
 * handshake, a question at the controller) is finished here and follows.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "gate/outbox.h"
#include "gate/tell.h"
#include "gate/wheel.h"

struct leg;
struct worker;

enum {
	LEAVE_EVENT = 20 /* of its channel in the set of events */
};

struct leave {
	struct outbox box; /* to the new worker; sock -1 = no upgrade */
	struct unit *first, *last;
	struct unit *deferred; /* cross after all agents */
	uint32_t next, acked;
	size_t walked; /* descriptors that have been looked at */
	wheel_tick since;
	uint8_t phase, said; /* enum tell_phase: under way, and told the parent */
	uint32_t agents, sessions, others;
};

void leave_init(struct leave *leave);
/* A message of the parent. 0 or -ERR_PROTOCOL. */
int leave_on_phase(struct worker *w, const uint8_t *payload, size_t len, int fd);
/* Something came from the new worker, or there is room to send. */
void leave_hear(struct worker *w);
/* Hands over some of what is left. Every turn. */
void leave_run(struct worker *w);
void leave_tick(struct worker *w);
/* 1 when there is more to hand over and room for it. */
int leave_is_busy(const struct worker *w);

/* In a handler of a leg that needs somebody who is not here: it stops, its frame not used, and
 * crosses. 0; -ERR_NOT_FOUND when there is no upgrade. */
int leave_defer(struct worker *w, struct leg *l);
/* A session that has to end and is on its way, or gone. 1 when it was that. */
int leave_end(struct worker *w, const struct tell_end *end);
