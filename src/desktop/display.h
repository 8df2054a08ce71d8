/* The X display behind descriptor 4: connection, what it must be able to do, its size and monitors.
 */
#pragma once
#include <xcb/xcb.h>

#include "desktop/source.h"

struct display {
	xcb_connection_t *c;
	xcb_window_t root;
	uint8_t damage_event, cursor_event,
		screen_event; /* numbers of the events that are looked at */
	int shm; /* pictures can come through memory that the server shares by descriptor */
	struct source_shape shape;
};

/* Takes over the connected socket. auth_name "" = no authorization. 0, or -ERR_DESKTOP_FAILED with
 * *ret_why in words; display_close in both cases. */
int display_open(struct display *display, int fd, const char *auth_name, const void *auth_data,
	size_t auth_len, const char **ret_why);
void display_close(struct display *display);

/* Asks for size and monitors again. 1 when they are others than before, 0, -ERR_DESKTOP_FAILED. */
int display_measure(struct display *display);
