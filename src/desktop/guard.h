/*
 * engawa-guard: the people at the office PC. While somebody works from home on a display that
 * people can see, its screen is dark, its keyboards and mice are taken off the desktop, and when
 * the session ends the desktop is locked before everything is put back.
 *
 * Descriptor 3 is the monitor (base/ipc), 4 the journal (guard_journal.h), 5 the display. Started
 * as the desktop's person. Its end puts everything back, whatever the end is: of the monitor, of
 * the channel, by a signal; after SIGKILL the next one does, from the journal.
 *
 *   checks ──▶ journal ──▶ dark, disconnected ──GUARD_STATE 0──▶ watching ──▶ locking ──▶ put back,
 * exit
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum guard_message {
	GUARD_RUN = 0x100, /* monitor -> guard, once: struct guard_run */
	GUARD_STATE,       /* guard -> monitor: code u32: 0 = in force, else why not (any more) */
	GUARD_END,         /* monitor -> guard, empty: the session is over */
};

enum {
	GUARD_CHANNEL = 3,
	GUARD_JOURNAL = 4,
	GUARD_DISPLAY = 5,
	GUARD_RUN_MAX_BYTES = 128,
};

enum guard_flags {
	GUARD_RESTORE_ONLY = 1, /* what an earlier one left is put back; there is no session */
	GUARD_SHOW_LOCKED = 2,  /* a locked desktop is no reason against a session */
};

struct guard_run {
	uint8_t flags;
	char auth_name[32]; /* "" = no authorization */
	uint8_t auth_data[64];
	size_t auth_len;
};

/* The payload's length. */
size_t guard_run_put(const struct guard_run *run, uint8_t out[static GUARD_RUN_MAX_BYTES]);
/* 0 or -ERR_PROTOCOL. */
int guard_run_get(const uint8_t *p, size_t len, struct guard_run *ret_run);
