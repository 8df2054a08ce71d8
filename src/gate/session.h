/* Sessions: a client's Join meets the agent's Answer; then two legs are a pipe. docs/protocol.md 1
 * and 4. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "gate/leg.h"
#include "gate/tell.h"

struct session {
	struct session *next;       /* in its bucket */
	struct leg *client, *agent; /* agent NULL until Answer */
	uint8_t id[16], agent_id[16];
	char organisation[64];
	uint64_t started_s, to_client, to_agent; /* bytes */
	struct mono joined;
	int64_t tokens; /* bytes that the client may send now */
	wheel_tick tokens_at;
	size_t share; /* row of its organisation */
	uint8_t browser, announced, resumes;
	uint8_t came; /* with an upgrade: over the channel of that number less one; 0 = no */
};

struct sessions {
	struct session **buckets;
	size_t mask, count;
	size_t announced_to;
};

/* Aborts when memory is out. */
void sessions_init(struct sessions *sessions, size_t count);
void sessions_fini(struct sessions *sessions);
struct session *session_find(struct worker *w, const uint8_t id[static 16]);
void sessions_end_agent(struct worker *w, const uint8_t agent_id[static 16], int code);
void sessions_end_all(struct worker *w, int code);

/* What a good ticket, or a good resume ticket, says about the session. */
struct session_claim {
	const uint8_t *id, *agent_id; /* 16 bytes each */
	const char *organisation;
	uint32_t prefecture, rate_class;
	uint8_t resumes;
};
/* A client with such a ticket: knocks at the agent with this frame. 0 or a code for Bye. */
int session_knock(struct worker *w, struct leg *client, const struct session_claim *claim,
	uint8_t type, const pb_msgdesc_t *fields, const void *msg);
/* The agent's new connection. 0 or a code for Bye. */
int session_answer(struct worker *w, struct leg *agent, const uint8_t agent_id[static 16],
	const uint8_t id[static 16]);
/* It is at another worker already. */
void session_taken(struct worker *w, const struct tell_place *place);
/* The agent, which waits here, will not come. */
void session_refuse(struct worker *w, const struct tell_refuse *refuse);
/* The same, from another worker: the session is here, or it is none. */
void session_refused(struct worker *w, const struct tell_refuse *refuse);
/* Out of the table, or back, and nobody hears of it. */
void session_detach(struct worker *w, struct session *s);
void session_attach(struct worker *w, struct session *s);
/* It was at another process, and is here from now on. */
void session_arrive(struct worker *w, struct session *s);
/* Ends both legs: what is queued still goes out. */
void session_end(struct worker *w, struct session *s, int code);

/* How many bytes may be read from this leg of a session now: the client's token bucket, and
 * the shares of its organisation and prefecture. 0: *ret_which is the limit. */
size_t session_allowance(
	struct worker *w, const struct leg *from, size_t want, enum limit *ret_which);
/* Counts bytes that were read from it. */
void session_count(struct worker *w, const struct leg *from, size_t len);
