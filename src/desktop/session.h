/*
 * One session with the desktop: the loop over the agent's descriptor and the display.
 *
 * Pictures:  IDLE --changes, pace allows--> CAPTURE --pixels differ--> SEND --last piece--> IDLE
 *            CAPTURE --nothing differs, or the display refused--> IDLE
 * A new size of the screen is told between pictures, in IDLE; the next picture is then whole.
 */
#pragma once
#include <stdint.h>

#include "desktop/display.h"
#include "screen/watermark.h"

struct session_settings {
	uint32_t window_mib;
	uint32_t interval_ms;              /* between captures under continuous change */
	const struct watermark *watermark; /* NULL = none; outlives the session */
	int film;                          /* the client shows H.264 */
	int own_display;                   /* its monitors become those of the home PC */
	/* those, to begin with; their scale in per cent. 0 = as it is */
	struct display_monitor monitors[DISPLAY_MONITORS_MAX];
	size_t monitor_count;
	uint32_t scale_percent;
	int ibus_fd; /* connected to the input method of the session, taken over; -1 = none */
};

struct session;

/* Sends DesktopReady. The descriptor and the display stay the caller's. 0, -errno,
 * -ERR_DESKTOP_FAILED. */
int session_new(int fd, struct display *display, const struct session_settings *settings,
	struct session **ret_session);
/* Releases all keys and buttons, waits at most a moment for the display to have done so. */
void session_free(struct session *session);

/* Until *stop becomes true (by a signal that ppoll lets through), the agent closes, or something
 * fails; then End has been sent where there is somebody to read it. Returns -ERR_CLOSED for the
 * agent's end, 0 for the signal's, or what failed. */
int session_run(struct session *session, const volatile int *stop);
