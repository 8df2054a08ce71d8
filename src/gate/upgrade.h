/*
 * The old parent's part of an upgrade: starts the program that now lies at our path, and hands over
 * everything when it is up. Until the new parent has said that it will go on (COMMIT) nothing is
 * given away: whatever goes wrong, the new one is killed and everybody goes on here. Then this
 * parent waits for what could not cross at once, and ends.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "gate/process.h"
#include "gate/tell.h"

struct parent;

enum upgrade_step {
	UPGRADE_NONE,
	UPGRADE_STARTING, /* the new one loads its settings */
	UPGRADE_FILLING,  /* it starts its keeper and workers */
	UPGRADE_AGENTS,   /* waiting agents cross */
	UPGRADE_REST,     /* sessions cross, and everybody else */
	UPGRADE_ASKED,    /* all is there: will it go on? */
	UPGRADE_LATE,     /* it is the gate; stragglers follow */
};

struct upgrade {
	struct process next;
	enum upgrade_step step;
	uint32_t count; /* that have begun */
	uint8_t wanted; /* while the one before it is still finishing */
	struct mono begun, paused, deadline;
	uint8_t done[64]; /* workers that have, in this step */
	uint32_t agents, sessions, others;
};

/* Begins, unless there is a reason not to: logged. */
void upgrade_start(struct parent *p);
/* All of it is off, and everybody stays. code: why. */
void upgrade_abort(struct parent *p, int code);
/* Something came from the new parent. */
void upgrade_hear(struct parent *p);
/* A worker has handed over, or can't. */
void upgrade_on_left(struct parent *p, size_t seat, const uint8_t *payload, size_t len);
void upgrade_worker_gone(struct parent *p, size_t seat);
void upgrade_tick(struct parent *p);
