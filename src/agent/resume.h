/*
 * A session goes on over another connection (docs/protocol.md 3.3). What the agent keeps for that
 * is in struct session: the key of the next handshake, and the key before for as long as the client
 * may not have the next one yet. A ticket counts while its key is kept, so it is used once; an
 * attempt counts once because of its id.
 *
 *     MSG_RESUME ─▶ a session with a base ─Noise IKpsk2, Facts, the steps that ask no person─▶
 *     resume_adopt: it has the base's desktop, and is from there on what the base was
 *
 * Until then nothing happens to the base: whoever has a ticket only can disturb nobody.
 */
#pragma once
#include "agent/session.h"

enum {
	RESUME_TICKET_LIFE_S = 7 * 86400, /* longer than any session; the agent decides anyway */
};

/* From control: an attempt as a gate brought it, nothing in it believed yet. */
void agent_resume(struct agent *agent, const struct note *note);

/* The key for a handshake of this generation, NULL when there is none. */
const uint8_t *resume_psk(const struct session *base, uint32_t generation);
/* After a handshake of this generation: keeps what the next one takes. */
void resume_keep(struct session *session, uint32_t generation);
/* Puts the ticket for the next time into Start; none when that is switched off or it cannot be
 * made.
 */
void resume_ticket(const struct session *session, struct start *start);
/* The steps are passed: takes the base's desktop. 0 or a code for the client. */
int resume_adopt(struct session *session);
/* The relay hears which session waits for its client, if one does: when that changes, and when
 * there is a new connection to a gate. */
void resume_tell(struct agent *agent);
/* It has ended for good: who wants to go on with it is told why, also those who are about to. */
void resume_over(struct session *session);
