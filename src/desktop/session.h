/*
 * One session with the desktop: the loop over the agent's descriptor and the source.
 *
 * Pictures:  IDLE --changes, pace allows--> CAPTURE --pixels differ--> SEND --last piece--> IDLE
 *            CAPTURE --nothing differs, or the source refused--> IDLE
 * A new size of the screen is told between pictures, in IDLE; the next picture is then whole.
 */
#pragma once
#include <stdint.h>

#include "desktop/pictures.h"
#include "desktop/source.h"

struct session;

/* Sends DesktopReady. The descriptor and the connected source stay the caller's. 0, -errno,
 * -ERR_DESKTOP_FAILED. */
int session_new(int fd, struct source *source, const struct pictures_settings *settings,
	struct session **ret_session);
void session_free(struct session *session);

/* Until *stop becomes true (by a signal that ppoll lets through), the agent closes, or something
 * fails; then End has been sent where there is somebody to read it. Returns -ERR_CLOSED for the
 * agent's end, 0 for the signal's, or what failed. */
int session_run(struct session *session, const volatile int *stop);
