/*
 * Text that was composed at home, given to the program in front as an input method gives it: exact,
 * whatever the keyboard map has room for. Through IBus of the person's session, as an engine that
 * is chosen while text comes and takes no key.
 *
 *   WAITING (Hello, RegisterComponent) -> READY -> text -> ASKING (which engine is chosen?)
 *   -> CHOOSING (ours) -> CHOSEN: CommitText, one at a time, each until IBus has dealt with it
 *   -> RETURNING (the engine of before) -> READY.  Connection gone, or it refuses: GONE.
 *
 * D-Bus and IBus 1.5: bus/ibusimpl.c, src/ibusengine.c of its sources.
 */
#pragma once

#include "base/clock.h"

struct commit;

enum {
	COMMIT_HOLD_MS = 300, /* without text, until the engine of before comes back */
	COMMIT_KEY_MS = 250,  /* from a key to text: the key must have arrived, on a busy PC, too */
	COMMIT_GAP_MS = 60, /* between two texts: Xlib turns those of XIM round that come at once */
};

/* fd: connected to IBus, taken over; -1 = there is none. NULL when there is none. */
struct commit *commit_new(int fd);
/* The engine of before comes back. NULL is fine, as everywhere here. */
void commit_free(struct commit *commit);

/* For poll: descriptor, -1 = none, and *ret_events. */
int commit_poll(struct commit *commit, short *ret_events);
/* What has come, and what time brings. Milliseconds until more is to be done, -1 = when something
 * comes. */
int commit_run(struct commit *commit, struct mono now);

/* 1 when IBus is there, so that it is worth while to ask. */
int commit_possible(const struct commit *commit);
/* Gives a text without control characters to the program in front. 0: it has it. Positive:
 * milliseconds to wait at most before asking again for the same one. -ERR_NOT_FOUND: there is
 * nobody who takes it. */
int commit_text(struct commit *commit, const char *text, struct mono now);
/* A key follows: 0 when the person's engine is back, or milliseconds to wait at most. */
int commit_key(struct commit *commit, struct mono now);
/* A key was pressed. */
void commit_pressed(struct commit *commit, struct mono now);
/* The text that is under way is not wanted any more. */
void commit_drop(struct commit *commit);
