/* Whose fault it was, and who is refused for it: from a connection to a key of fault.h. */
#pragma once
#include <stdint.h>

#include "gate/leg.h"

struct worker;

/* A connection ends: its fault, if it is one. */
void blame_close(struct worker *w, struct leg *l, enum leg_state was, int code);
/* A device (hash: H(its key)) at the address of this connection: who has seen another one's ticket
 * elsewhere does not have it refused where it is. shown: with a ticket; then the connection is
 * blamed for nothing more. */
void blame_device(struct worker *w, struct leg *l, const uint8_t hash[static 16], int shown);
/* An office PC comes: often is a fault too. */
void blame_agent(struct worker *w, const uint8_t agent_id[static 16]);

/* 0 or -ERR_TOO_OFTEN, and a line in the log. */
int blame_ask_device(struct worker *w, const struct leg *l, const uint8_t hash[static 16]);
int blame_ask_agent(struct worker *w, const uint8_t agent_id[static 16]);

enum blame {
	BLAME_NONE,
	BLAME_WAITS, /* it has its turn after the others */
	BLAME_FEW    /* likewise, and half-open places are short: it may have a few of them */
};
/* Whose fault it was is not known behind an address that many share: nobody is refused for it. */
enum blame blame_ask_source(struct worker *w, const struct address *address);
