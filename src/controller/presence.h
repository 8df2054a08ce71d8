/*
 * What the gates told us and what lives only as long as they say so: which agent waits at which
 * gate, which sessions run, and which session ids tickets were issued for lately. In memory; a gate
 * tells it again when it connects again.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
	PRESENCE_ID_BYTES = 16,
	PRESENCE_GATES_MAX = 8
};

struct presence;
struct link;

struct presence_session {
	uint8_t id[PRESENCE_ID_BYTES], agent[PRESENCE_ID_BYTES];
	char client_address[64], organisation[64];
	uint64_t started_s;
	int browser;
	struct link *link; /* NULL: it waits for its client, between two connections, */
	uint64_t until_s;  /* so long at most */
};

struct presence *presence_new(void);
void presence_free(struct presence *presence);

/* 0, 1 when the same agent already waits with another instance (a clone, or a reconnect the old
 * gate has not noticed), -ERR_LIMIT when it waits at too many gates. */
int presence_up(struct presence *presence, const uint8_t *agent, const uint8_t *instance,
	struct link *link);
/* Of this instance only. */
void presence_down(struct presence *presence, const uint8_t *agent, const uint8_t *instance,
	const struct link *link);
/* The links it waits at. Returns their count. */
size_t presence_links(const struct presence *presence, const uint8_t *agent,
	struct link *ret_links[static PRESENCE_GATES_MAX]);
size_t presence_agents(const struct presence *presence, const struct link *link);

/* 0, -ERR_EXISTS, -ERR_LIMIT. Copied. */
int presence_session_up(struct presence *presence, const struct presence_session *session);
/* What waits at an office PC; NULL: nothing does any more. */
void presence_session_waits(
	struct presence *presence, const uint8_t *agent, const struct presence_session *session);
/* Also of those that wait. NULL when unknown; valid until the next call that changes sessions. */
const struct presence_session *presence_session(
	const struct presence *presence, const uint8_t *id, uint64_t now_s);
void presence_session_down(struct presence *presence, const uint8_t *id);
typedef void presence_session_fn(void *user, const struct presence_session *session);
/* Those that run, and those that wait. fn must not change sessions. */
void presence_sessions(
	const struct presence *presence, uint64_t now_s, presence_session_fn *fn, void *user);

/* Forgets everything a link told; its sessions go to fn first. */
void presence_link_gone(
	struct presence *presence, const struct link *link, presence_session_fn *fn, void *user);

/* A ticket was issued: its session may ask for mail until it is forgotten (30 minutes; the oldest
 * goes first when there are too many). */
void presence_issued(
	struct presence *presence, const uint8_t *session, const uint8_t *agent, uint64_t now_s);
/* 1 when this session was issued for this agent, or runs. */
int presence_is_session_of(const struct presence *presence, const uint8_t *session,
	const uint8_t *agent, uint64_t now_s);
