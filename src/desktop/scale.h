/*
 * How large text and controls are: dots per inch, told to programs that run (XSETTINGS, where the
 * desktop has no manager of its own) and to those that start (Xft.dpi in RESOURCE_MANAGER).
 * XSETTINGS 0.5 of freedesktop.org; GTK reads Xft/DPI and Gdk/UnscaledDPI.
 */
#pragma once
#include <stdint.h>
#include <xcb/xcb.h>

struct scale {
	xcb_connection_t *c;
	xcb_window_t root;
	xcb_window_t manager; /* ours; 0: there is another */
	uint32_t serial;
	uint8_t *resources; /* RESOURCE_MANAGER as it was found; NULL: there was none */
	uint32_t resources_len;
	uint32_t percent; /* 0: nothing was changed */
};

void scale_init(struct scale *scale, xcb_connection_t *c, xcb_window_t root);
/* Puts RESOURCE_MANAGER back and gives the selection up. */
void scale_fini(struct scale *scale);
/* percent of 96 dots per inch, 100 to 300. Nothing happens when it is that already. */
void scale_set(struct scale *scale, uint32_t percent);
