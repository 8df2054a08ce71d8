/* The X display behind descriptor 4: connection, what it must be able to do, its size and monitors.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <xcb/xcb.h>

enum {
	DISPLAY_MONITORS_MAX = 4
};

struct display_monitor {
	int16_t x, y;
	uint16_t width, height;
};

/* 1, or 0 for sizes and places that no display has. */
int display_monitor_make(
	int32_t x, int32_t y, uint32_t width, uint32_t height, struct display_monitor *ret_monitor);

struct display {
	xcb_connection_t *c;
	xcb_window_t root;
	uint8_t damage_event, cursor_event,
		screen_event; /* numbers of the events that are looked at */
	int shm; /* pictures can come through memory that the server shares by descriptor */
	uint16_t width, height;
	struct display_monitor monitors[DISPLAY_MONITORS_MAX];
	size_t monitor_count;
};

/* Takes over the connected socket. auth_name "" = no authorization. 0, or -ERR_DESKTOP_FAILED with
 * *ret_why in words; display_close in both cases. */
int display_open(struct display *display, int fd, const char *auth_name, const void *auth_data,
	size_t auth_len, const char **ret_why);
void display_close(struct display *display);

/* Asks for size and monitors again. 1 when they are others than before, 0, -ERR_DESKTOP_FAILED. */
int display_measure(struct display *display);
