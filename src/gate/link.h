/* The worker's connection to the controller (proto/link.proto): kept up with back-off; sessions and
 * waiting agents do not depend on it. */
#pragma once
#include <pb.h>

#include "gate/leg.h"

enum {
	LINK_RETRY_FIRST_MS = 250,
	LINK_RETRY_MAX_MS = 5000, /* it is on the same machine */
	LINK_PING_S = 10,
	LINK_SILENCE_S = 40,
	CLOCK_OFF_S = 10,                /* from the controller's, before it is said */
	LINK_QUEUE_MAX_BYTES = 8 << 20,  /* a controller that does not read is as good as none */
	LINK_ANNOUNCE_BYTES = 128 << 10, /* agents are told of in pieces of this size */
};

struct link {
	struct leg *leg; /* NULL = none */
	uint32_t wait_ms;
	wheel_tick retry_at;
	uint8_t asked;   /* the parent is connecting */
	uint8_t telling; /* agents or sessions are still to be announced */
};

void link_init(struct link *link);
/* Retries, pings. Every tick. */
void link_tick(struct worker *w);
/* The parent's answer; -1 = could not connect. */
void link_connected(struct worker *w, int fd);
void link_gone(struct worker *w, struct leg *l, int code);
/* 1 when the controller has welcomed us. */
int link_up(const struct worker *w);
/* 0 or -ERR_NO_CONTROLLER. */
int link_send(struct worker *w, uint8_t type, const pb_msgdesc_t *fields, const void *msg);
/* Goes on telling of agents and sessions that the controller does not know yet. */
void link_announce(struct worker *w);
/* A LinkWelcome, from the controller or kept by the parent. 0 or -ERR_PROTOCOL. */
int link_welcome(struct worker *w, const uint8_t *payload, size_t len);

void link_agent_up(struct worker *w, struct leg *agent);
void link_agent_down(struct worker *w, const struct leg *agent, int code);
void link_session_up(struct worker *w, struct session *s);
void link_session_down(struct worker *w, const struct session *s, int code);
