/*
 * What the controller said, as each worker tells it: for a worker that starts while the controller
 * is away, and for a new version of the program. A worker reads what the network sends, so none
 * speaks for the others: ticket keys are handed on only while all that have said any say the same,
 * and an agent stays denied until every worker that denied it has taken that back. Running workers
 * hear it from the controller themselves, and never from one another.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "gate/process.h"
#include "gate/tell.h"

enum {
	SAID_FORMER =
		64, /* the seat of the gate before an upgrade: counts until one of ours speaks */
	SAID_DENIED_MAX = 65536,
	SAID_WELCOME_MAX_BYTES = 1024,
};

struct said {
	size_t seats; /* workers of this gate */
	struct said_welcome {
		uint8_t *bytes; /* NULL = has said none */
		size_t len;
	} welcomes[SAID_FORMER + 1];
	struct said_denied {
		struct tell_deny deny;
		uint64_t by; /* seats */
		int former;
	} * denied;
	size_t denied_count;
	int overflow; /* the list is not whole: nothing is handed on any more */
};

void said_fini(struct said *said);
/* Its payload: LinkWelcome with the ticket keys and nothing else. What was denied begins anew. */
void said_welcome(struct said *said, size_t seat, const uint8_t *payload, size_t len);
void said_deny(struct said *said, size_t seat, const uint8_t *payload, size_t len, int allow);
/* What a process that starts may believe: WELCOME and DENY..., or only DENY... 0 or negative. */
int said_tell(const struct said *said, struct process *process);
