/*
 * The people at the office PC, and its sleep: before a session gets the desktop, engawa-guard makes
 * the screen dark and takes keyboards and mice off it (desktop/guard.h), and the session manager is
 * asked to keep the computer awake (standby.c). Where sessions are on no screen of the office PC,
 * what stands open on it is locked (console.c), and never unlocked. All of it holds from the first
 * session to the last of those that follow each other without a gap, so that a session that is
 * taken over never shows the desktop.
 */
#pragma once
#include "agent/agent.h"

struct office;

/* Puts back what an earlier run left at the office PC. */
struct office *office_new(struct agent *agent);
/* The guard goes on alone until everything is put back. NULL is fine. */
void office_free(struct office *office);

/* session_guarded follows, at once or later, or session_end with why not. */
void office_begin(struct agent *agent, struct session *session);
/* What has become of the screen since the agent's start. */
struct office_status {
	const char *guard;             /* "off", "starting", "dark", "locking" */
	uint64_t for_s;                /* so long */
	uint64_t guarded, ended, left; /* times dark; refused or ended by it; left by a guard that
					  died */
	uint32_t last_code;            /* of the last that was refused or ended, 0 = none */
	uint32_t console_code;         /* ERR_CONSOLE_OPEN while sessions go on beside it */
};
/* NULL is fine. */
void office_status(const struct office *office, struct office_status *ret_status);
/* The guard has something to put back. NULL is fine. */
int office_busy(const struct office *office);
/* No session has the desktop any more, and none waits for it. */
void office_end(struct agent *agent);
/* What the person at home should know about it. */
void office_tell(const struct agent *agent, struct session *session);
