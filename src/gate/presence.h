/* Which agents wait at this worker, and which may not. Control connections of agents:
 * proto/outer.proto, docs/protocol.md 3. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "gate/leg.h"
#include "gate/tell.h"

enum {
	PRESENCE_DENIED_MAX = 65536
};

struct presence {
	struct leg **buckets; /* chained by leg->agent.next */
	size_t mask, count;
	size_t announced_to; /* bucket that link_announce comes to next */
	struct tell_deny *denied;
	size_t denied_count, denied_cap;
};

/* Buckets for so many agents; aborts when memory is out. */
void presence_init(struct presence *presence, size_t agents);
void presence_fini(struct presence *presence);

/* NULL when it does not wait here. */
struct leg *presence_find(struct worker *w, const uint8_t agent_id[static 16]);

/* An agent's control connection after its Hello: takes the place of an older one of the same agent.
 */
void presence_enter(struct worker *w, struct leg *l, const uint8_t agent_id[static 16],
	const uint8_t instance[static 16]);
/* Out of the table, or back, and nobody hears of it. */
void presence_detach(struct worker *w, struct leg *l);
void presence_attach(struct worker *w, struct leg *l);
/* It waited at another process, and waits here from now on. */
void presence_arrive(struct worker *w, struct leg *l);
/* It is gone. */
void presence_leave(struct worker *w, struct leg *l, int code);
/* It has come to another worker. */
void presence_taken(struct worker *w, const struct tell_place *place);
/* Keepalive: ping, or close after silence. Sets the next time. */
void presence_due(struct worker *w, struct leg *l);
/* Tells the agent, if it waits here, that this session (NULL: each of its sessions) has been ended
 * and is not to go on over another connection. */
void presence_ended(struct worker *w, const uint8_t agent_id[static 16], const uint8_t *session_id,
	uint32_t code);
void presence_goaway(struct worker *w, int code);

/* 0, or the code that an agent was denied with. */
uint32_t presence_denied(const struct presence *presence, const uint8_t agent_id[static 16]);
/* Denies and cuts: its control connection and its sessions. */
void presence_deny(struct worker *w, const struct tell_deny *deny);
void presence_allow(struct worker *w, const uint8_t agent_id[static 16]);
void presence_allow_all(struct presence *presence);
