/*
 * Pixels and the cursor's shape from the display, asked for and collected without waiting: a
 * display that hangs hangs nothing here. Requests go out with the next xcb_flush. Either areas or
 * the cursor are asked for at a time: xcb reads replies of one while it looks for the other, and
 * then the socket says nothing about them.
 */
#pragma once
#include <xcb/shm.h>

#include "desktop/display.h"

struct capture {
	struct display *display;
	xcb_shm_seg_t segment; /* 0: pictures come in replies */
	uint8_t *memory;
	size_t memory_len;
	struct {
		struct rect area;
		unsigned sequence;
		size_t offset; /* into memory */
		void *reply;   /* without a segment: owns the pixels */
	} parts[SOURCE_PARTS_MAX];
	size_t count, arrived;
	int collected;
	unsigned cursor_sequence; /* 0: none is asked for */
	int cursor_arrived;
	void *cursor_reply; /* NULL when the display refused */
};

/* For the display's present size. */
void capture_init(struct capture *capture, struct display *display);
void capture_fini(struct capture *capture);

/* Asks for disjoint areas of the screen; count <= SOURCE_PARTS_MAX. Not before the last capture
 * has been collected. */
void capture_start(struct capture *capture, const struct rect *areas, size_t count);

/* 1 while something that was asked for has not been collected. */
int capture_busy(const struct capture *capture);
/* Looks what has come; 1 when capture_collect or capture_cursor_collect now has something. */
int capture_arrived(struct capture *capture);

/* 1 when all areas are there, 0 not yet, -EAGAIN when the display refused (its size has just
 * changed). Once per capture_start. */
int capture_collect(struct capture *capture);

/* The pixels of area i, ours to write on; valid until the next capture_start. */
struct image capture_view(struct capture *capture, size_t i, struct rect *ret_area);

void capture_cursor_start(struct capture *capture);
/* 1 with the shape, 0 not yet or not asked for, -EAGAIN when the display refused. Cut to
 * SOURCE_CURSOR_MAX_PX around its hot spot. */
int capture_cursor_collect(struct capture *capture, struct source_cursor *ret_cursor);
