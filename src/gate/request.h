/*
 * Questions at the controller that a connection waits for: Ask, Enrol (twice: of a new agent and of
 * one that renews), SendCode. A ring in the order of asking, which is also the order of their
 * deadlines. The number on the wire is the place in it.
 */
#pragma once
#include <stdint.h>

#include "gate/leg.h"
#include "gate/limit.h"

enum {
	REQUESTS_OF_ONE =
		8 /* open at a time for one connection: an agent logs in few people at once */
};

enum request_kind {
	REQUEST_ASK,
	REQUEST_ENROL,
	REQUEST_RENEW, /* an agent's next certificate: it stays connected */
	REQUEST_SEND_CODE
};

struct request {
	wheel_tick due;
	int fd;
	uint32_t serial;
	uint8_t kind, open;
	uint8_t about[16]; /* SEND_CODE: the session; ASK: the device */
};

struct requests {
	struct request ring[LIMIT_REQUESTS_MAX];
	uint64_t first, next; /* numbers; first == next: none */
};

void requests_init(struct requests *requests);
/* *ret_number for the wire: to be sent next; when the link breaks at that, link_gone refuses it
 * like all others. 0, -ERR_NO_CONTROLLER, -ERR_LIMIT. about: 16 bytes, or NULL. */
int request_new(struct worker *w, struct leg *l, enum request_kind kind, const uint8_t *about,
	uint64_t *ret_number);
/* The answer came: who asked, and ret_about (16 bytes, or NULL) about what. NULL when nobody waits
 * for it any more. */
struct leg *request_take(
	struct worker *w, uint64_t number, enum request_kind kind, uint8_t *ret_about);
/* Tells who asked that there is no answer. */
void request_refuse(struct worker *w, struct leg *l, enum request_kind kind,
	const uint8_t *session_id, int code);
/* Refuses those whose time is over, or all. */
void requests_due(struct worker *w);
void requests_refuse_all(struct worker *w, int code);
