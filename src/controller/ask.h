/*
 * From a terminal ID to a ticket. Unknown, offline, pending and suspended terminals get the same
 * code, and every answer, also a ticket, is sent on the same grid of time after the same work:
 * nothing but the answer tells them apart.
 */
#pragma once
#include "controller/core.h"

enum {
	ASK_QUANTUM_MS = 60
};

/* The answer comes by core_grant(core, origin, …) with the request's number. */
void ask_start(struct core *core, uint64_t origin, const engawa_LinkAsk *ask);
void ask_cancel_all(struct core *core);
