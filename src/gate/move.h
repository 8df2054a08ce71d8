/*
 * Handing a connection over to the worker that has its other half: the one that the agent of a
 * client's ticket waits at, or that the session of an agent's answer is at. The connection crosses
 * before its frame is handled (Join or Answer crosses as bytes that came), so the worker it comes
 * to checks everything itself.
 *
 * The order is that of tests/model/handover.pml: HAND (the model's BATCH), ACK, COMMIT. From HAND
 * on nobody touches the connection until COMMIT, or until the other side is known to be dead
 * (GONE).
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "gate/tell.h"

struct leg;
struct worker;
struct address;

struct moves {
	struct move_out *out; /* ours, frozen */
	struct move_in *in;   /* of others, frozen */
	uint32_t next;
};

/* In a handler: the leg stops here, with the frame that is being handled not used, and goes to
 * whoever has this id. 0; -ERR_NOT_FOUND when there is nobody else, or it has been handed over
 * already. */
int move_start(struct worker *w, struct leg *l, enum tell_kind kind, const uint8_t id[static 16]);
/* The work of a leg in LEG_MOVING. */
void move_run(struct worker *w, struct leg *l);
/* Those that wait for a second try. Every tick. */
void move_tick(struct worker *w);

/* One that was frozen with frames not handled yet: as if they had come now. */
void move_go_on(struct worker *w, struct leg *l);

/* Messages. 0 or -ERR_PROTOCOL. */
int move_on_hand(struct worker *w, const uint8_t *payload, size_t len, int fd);
int move_on_step(struct worker *w, enum tell type, const uint8_t *payload, size_t len);
