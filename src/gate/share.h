/*
 * This gate's part of rates that other gates use too (fair.h has what it does with it). The worker
 * in the first seat tells the controller once a second what was used, and hears which part is the
 * gate's. When nothing is heard for FAIR_SHARE_S, or the link is lost, all rates are whole again.
 */
#pragma once
#include <stdint.h>

#include "gate/fair.h"
#include "gate/wheel.h"

struct worker;

struct shares {
	uint64_t moved[FAIR_ORGANISATIONS]; /* when it was told last; bytes */
	uint64_t told_ns;
	uint32_t divided; /* rates that this gate has a part of */
	wheel_tick heard;
	uint8_t offered; /* this controller divides */
};

/* The name in a row. 0 when the controller would cut our link for it: a worker that went mad has
 * written it. */
int share_name(const struct fair_organisation *o, char ret_name[static FAIR_NAME_SIZE]);
/* Every tick. */
void share_tick(struct worker *w);
/* The link is there, or not any more. */
void share_begin(struct worker *w, int offered);
void share_end(struct worker *w);
