/*
 * Something like a film in a window of $DISPLAY: moving X Y WIDTH HEIGHT PICTURES [noise]
 * Thirty smooth pictures a second, or what cannot be compressed, then the last one stays until
 * stdin ends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xcb/xcb.h>

#include "base/str.h"

enum {
	PICTURE_NS = 33333333,
	STRIP_ROWS = 16,
	PIXEL_BYTES = 4,
};

static void
draw_row(uint8_t *row, int64_t width, int64_t y, int64_t t)
{
	for (int64_t x = 0; x < width; x++, row += PIXEL_BYTES) {
		row[0] = (uint8_t)(x / 2 + y / 4 + t * 3);
		row[1] = (uint8_t)(255 - (x + 2 * t) / 2 - (x & 1));
		row[2] = (uint8_t)(60 + y / 2 + (x & 1));
	}
}

/* xorshift */
static void
draw_noise(uint8_t *row, int64_t width)
{
	static uint32_t v = 1;
	for (int64_t i = 0; i < width * PIXEL_BYTES; i++) {
		v ^= v << 13;
		v ^= v >> 17;
		v ^= v << 5;
		row[i] = (uint8_t)v;
	}
}

int
main(int argc, char **argv)
{
	int64_t at[5]; /* x, y, width, height, pictures */
	int noise = argc == 7 && strcmp(argv[6], "noise") == 0;
	if (argc != 6 && !noise)
		return 2;
	for (int i = 0; i < 5; i++)
		if (str_int(argv[i + 1], 0, 10000, &at[i]) < 0)
			return 2;
	xcb_connection_t *c = xcb_connect(NULL, NULL);
	if (xcb_connection_has_error(c))
		return 1;
	const xcb_screen_t *screen = xcb_setup_roots_iterator(xcb_get_setup(c)).data;
	xcb_window_t window = xcb_generate_id(c);
	xcb_gcontext_t gc = xcb_generate_id(c);
	uint16_t width = (uint16_t)at[2];
	uint32_t override = 1;
	xcb_create_window(c, XCB_COPY_FROM_PARENT, window, screen->root, (int16_t)at[0],
		(int16_t)at[1], width, (uint16_t)at[3], 0, XCB_WINDOW_CLASS_INPUT_OUTPUT,
		XCB_COPY_FROM_PARENT, XCB_CW_OVERRIDE_REDIRECT, &override);
	xcb_create_gc(c, gc, window, 0, NULL);
	xcb_map_window(c, window);
	size_t row_bytes = (size_t)width * PIXEL_BYTES;
	uint8_t *strip = calloc(STRIP_ROWS, row_bytes);
	if (!strip)
		return 1;
	for (int64_t t = 0; t < at[4]; t++) {
		for (int64_t y = 0; y < at[3]; y += STRIP_ROWS) {
			uint16_t rows = (uint16_t)(at[3] - y < STRIP_ROWS ? at[3] - y : STRIP_ROWS);
			for (int64_t i = 0; i < rows; i++)
				if (noise)
					draw_noise(strip + (size_t)i * row_bytes, width);
				else
					draw_row(strip + (size_t)i * row_bytes, width, y + i, t);
			xcb_put_image(c, XCB_IMAGE_FORMAT_Z_PIXMAP, window, gc, width, rows, 0,
				(int16_t)y, 0, screen->root_depth, (uint32_t)(rows * row_bytes),
				strip);
		}
		free(xcb_get_input_focus_reply(c, xcb_get_input_focus(c), NULL));
		nanosleep(&(struct timespec){0, PICTURE_NS}, NULL);
	}
	puts("still");
	fflush(stdout);
	while (getchar() != EOF)
		;
	free(strip);
	xcb_disconnect(c);
	return 0;
}
