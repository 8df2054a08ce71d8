/*
 * How much of a gate one organisation may hold. Its name comes out of a certificate or a ticket
 * that has been checked, so nobody uses up somebody else's part. Waiting office PCs and joined
 * sessions are counted in each worker's row of the common segment (limit.h), so a dead worker's
 * counts go with it. Organisations that share the last row of the table share its limits.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "gate/fair.h"
#include "gate/wheel.h"

struct worker;

enum quota {
	QUOTA_AGENTS,
	QUOTA_SESSIONS
};

/* What one worker has worked out. */
struct quotas {
	uint64_t weights; /* of all organisations that hold something */
	wheel_tick at;
	uint8_t known;
};

/* Row of an organisation; 0 where there is no name, or no common table yet. */
size_t quota_row(struct worker *w, const char *organisation);
void quota_name(const struct worker *w, size_t row, char ret_name[static FAIR_NAME_SIZE]);
/* May it have one more: 0 or -ERR_ORGANISATION_FULL, and a line in the log. */
int quota_ask(struct worker *w, size_t row, enum quota which);
void quota_count(struct worker *w, size_t row, enum quota which, int by);
/* A handshake with a certificate of this organisation. 0, or -ERR_TOO_MANY when they come too fast
 * and it may be refused. */
int quota_handshake(struct worker *w, size_t row, int may_refuse);
