/*
 * The gates' workers, each on its own connection to link.sock (docs/protocol.md 9). A link's number
 * is never used twice, so an answer that comes late finds its own link or none.
 */
#pragma once
#include "controller/core.h"

/* Takes over an accepted descriptor. */
void link_accept(struct core *core, int fd);
void link_free_all(struct core *core);

const char *link_gate(const struct link *link);

/* To one link by number: nothing happens when it is gone. */
void link_grant(struct core *core, uint64_t number, const engawa_LinkGrant *grant);
void link_enrolled(struct core *core, uint64_t number, const engawa_LinkEnrolled *enrolled);
void link_code_sent(struct core *core, uint64_t number, const engawa_LinkCodeSent *sent);
void link_shares(struct core *core, uint64_t number, const engawa_LinkShares *shares);

/* To each gate where its agent waits. */
void link_mail_state(struct core *core, const engawa_LinkMailState *state);

/* To all links: cut this agent and refuse it (code), or take that back (code 0). */
void link_deny_all(struct core *core, const uint8_t agent[static PRESENCE_ID_BYTES], int code);
/* To the gate that has it and to those where its agent waits. Returns how many those are. */
size_t link_end_session(struct core *core, const struct presence_session *session, int code);
/* Each session of this agent, also one that is between two connections. */
void link_end_agent(struct core *core, const uint8_t agent[static PRESENCE_ID_BYTES], int code);

struct link_info {
	const char *gate;
	uint32_t worker, build;
	uint64_t since_s;
	size_t agents;
};
typedef void link_fn(void *user, const struct link_info *info);
void link_each(struct core *core, link_fn *fn, void *user);
