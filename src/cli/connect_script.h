/* What "engawa connect" does in a session: typing, keys, clicks, pauses and measurements, one after
 * another in the order given. */
#pragma once
#include <stddef.h>

#include "client/session.h"

struct script;

enum script_kind {
	SCRIPT_TYPE,
	SCRIPT_KEY,
	SCRIPT_CLICK,
	SCRIPT_WAIT,
	SCRIPT_LAYOUT,
	SCRIPT_LATENCY
};

struct script *script_new(struct loop *loop);
void script_free(struct script *script);

/*
 * One action, checked now; text stays the caller's: 0, -EINVAL, -ENOBUFS (too many).
 * TYPE text, of which newline and tab are keys; KEY "a", "Return", "Control+Shift+t"; CLICK "x,y"
 * or "x,y,button" (1 to 9); WAIT "500" milliseconds, or "2s"; LAYOUT as
 * monitors_parse; LATENCY "100" key presses.
 */
int script_add(struct script *script, enum script_kind kind, const char *text);

/* Runs the actions; fn comes from the loop, once, code 0 or what session_key and its like returned.
 */
typedef void script_fn(void *user, int code);
void script_start(struct script *script, struct session *session, script_fn *fn, void *user);
/* For every picture while it runs. */
void script_picture(struct script *script);

/* From a key press (the wait for the grid included) to a picture with a change wider than a text
 * cursor. Sorted in place. */
struct script_latency {
	size_t count; /* that were seen */
	size_t lost;  /* without a change within two seconds */
	double median_ms, p99_ms;
};
void script_latency(struct script *script, struct script_latency *ret_latency);

/* "10", "10s", "500ms", "2m" to milliseconds; a plain number has the unit given. 0 or -EINVAL. */
int script_duration(const char *text, uint64_t unit_ms, uint64_t *ret_ms);
