/*
 * The floor of key-to-picture: from a key press on an X server to the change that the program under
 * it makes, seen on the same machine by DAMAGE, without any of ours in between. The display is
 * $DISPLAY.
 *
 *   local_latency PRESSES     prints one time in milliseconds per line
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <xcb/damage.h>
#include <xcb/xcb.h>
#include <xcb/xtest.h>

#include "base/clock.h"
#include "base/str.h"

enum {
	CARET_PX = 3, /* a blinking text cursor is no answer, as in `engawa connect --latency` */
	WAIT_MS = 2000,
	REST_MS = 150,
	REST_VARIES_MS = 101,
	LETTERS_FROM = 24, /* keycodes of q w e r t y u i o p on a PC keyboard */
	LETTERS = 10,
};

static xcb_connection_t *c;
static xcb_damage_damage_t damage;
static uint8_t damage_event;

/* 1 when a change wider than a cursor came until then. */
static int
changed(struct mono until)
{
	for (;;) {
		xcb_generic_event_t *event = xcb_poll_for_event(c);
		if (event) {
			const xcb_damage_notify_event_t *notify =
				(const xcb_damage_notify_event_t *)event;
			int wide = (event->response_type & 0x7f) == damage_event &&
				   notify->area.width > CARET_PX;
			free(event);
			xcb_damage_subtract(c, damage, XCB_NONE, XCB_NONE);
			xcb_flush(c);
			if (wide)
				return 1;
			continue;
		}
		struct mono now = mono_now();
		struct pollfd fd = {xcb_get_file_descriptor(c), POLLIN, 0};
		if (xcb_connection_has_error(c) || !mono_before(now, until) ||
			poll(&fd, 1, (int)mono_diff_ms(now, until) + 1) < 0)
			return 0;
	}
}

static double
press(int i)
{
	uint8_t code = (uint8_t)(LETTERS_FROM + i % LETTERS);
	while (changed(mono_add_ms(mono_now(), REST_MS + (uint64_t)(rand() % REST_VARIES_MS))))
		;
	struct mono begin = mono_now();
	xcb_test_fake_input(c, XCB_KEY_PRESS, code, XCB_CURRENT_TIME, XCB_NONE, 0, 0, 0);
	xcb_flush(c);
	int seen = changed(mono_add_ms(begin, WAIT_MS));
	double took_ms = (double)(mono_now().ns - begin.ns) / 1e6;
	xcb_test_fake_input(c, XCB_KEY_RELEASE, code, XCB_CURRENT_TIME, XCB_NONE, 0, 0, 0);
	xcb_flush(c);
	return seen ? took_ms : -1;
}

int
main(int argc, char **argv)
{
	int64_t presses;
	if (argc != 2 || str_int(argv[1], 1, 100000, &presses) < 0)
		return 2;
	c = xcb_connect(NULL, NULL);
	const xcb_query_extension_reply_t *extension = xcb_get_extension_data(c, &xcb_damage_id);
	if (xcb_connection_has_error(c) || !extension || !extension->present)
		return 1;
	damage_event = (uint8_t)(extension->first_event + XCB_DAMAGE_NOTIFY);
	free(xcb_damage_query_version_reply(c, xcb_damage_query_version(c, 1, 1), NULL));
	damage = xcb_generate_id(c);
	xcb_damage_create(c, damage, xcb_setup_roots_iterator(xcb_get_setup(c)).data->root,
		XCB_DAMAGE_REPORT_LEVEL_RAW_RECTANGLES);
	for (int i = 0; i < presses; i++) {
		double took_ms = press(i);
		if (took_ms >= 0)
			printf("%.3f\n", took_ms);
	}
	xcb_disconnect(c);
	return 0;
}
