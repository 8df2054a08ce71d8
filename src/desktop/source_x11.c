/* The X display behind descriptor 4 and, where the person's session has an input method, its IBus
 * behind descriptor 5. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <xcb/damage.h>
#include <xcb/xcbext.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "desktop/capture.h"
#include "desktop/commit.h"
#include "desktop/inject_x11.h"
#include "desktop/layout.h"
#include "desktop/source.h"

enum {
	DISPLAY_FD = 4,
	IBUS_FD = 5,
	HANG_MS = 15000, /* a display that does not answer for so long has failed */
	RELEASE_WAIT_MS = 3000,
};

struct source {
	struct display display;
	struct capture capture;
	struct inject inject;
	struct commit *commit; /* NULL: no input method */
	int commit_wait;
	struct layout *layout; /* NULL: the display keeps its monitors */
	int own;
	struct source_monitor first[SOURCE_MONITORS_MAX]; /* to begin with */
	size_t first_count;
	uint32_t first_scale;
	xcb_damage_damage_t damage_id;
	struct mono asked; /* the oldest request under way */
	unsigned ping; /* sequence of a request that only tells that the display lives; 0 = none */
	struct mono ping_sent;
};

const char source_program[] = "engawa-desktop";
const struct conf_option source_options[] = {SOURCE_OPTIONS, CONF_OPTIONS_END};
const enum sandbox_profile source_sandbox = SANDBOX_IO;
const int source_silent = -ERR_DESKTOP_FAILED;

int
source_new(const struct source_settings *settings, engawa_DesktopStart *start,
	struct source **ret_source)
{
	struct source *s = mem_new(sizeof *s);
	const char *why;
	(void)settings;
	int r = display_open(&s->display, DISPLAY_FD, start->auth_name, start->auth_data.bytes,
		start->auth_data.size, &why);
	mem_wipe(start->auth_data.bytes, sizeof start->auth_data.bytes);
	s->capture.display = &s->display;
	s->own = start->own_display;
	s->first_count = source_first_monitors(start, s->first, &s->first_scale);
	if (r < 0) {
		LOG(ERROR, "desktop.display_refused", F_STR("why", why));
		source_close(s);
		return r;
	}
	*ret_source = s;
	return 0;
}

/* The first picture has the home PC's monitors already. What the display says to it comes by
 * itself. */
static void
arrange_first(struct source *s)
{
	if (!s->layout || s->first_count == 0)
		return;
	int r = layout_set(s->layout, s->first, s->first_count, s->first_scale);
	LOG(INFO, "desktop.layout", F_INT("monitors", s->first_count), F_ERR("why", r));
	if (display_measure(&s->display) < 0)
		LOG(ERROR, "desktop.layout_lost");
}

int
source_connect(struct source *s)
{
	int r = s->own ? layout_new(&s->display, &s->layout) : 0;
	if (r == 0)
		arrange_first(s);
	if (r == 0)
		r = inject_init(&s->inject, &s->display);
	if (r < 0)
		return r;
	s->commit = commit_new(fcntl(IBUS_FD, F_GETFD) < 0 ? -1 : IBUS_FD);
	s->inject.commit = s->commit;
	capture_init(&s->capture, &s->display);
	s->damage_id = xcb_generate_id(s->display.c);
	xcb_damage_create(s->display.c, s->damage_id, s->display.root,
		XCB_DAMAGE_REPORT_LEVEL_DELTA_RECTANGLES);
	LOG(INFO, "desktop.display", F_INT("shm", s->display.shm));
	return 0;
}

/* The display has done everything so far once it answers; when the connection ends before, releases
 * may be lost. */
static void
settle(struct display *d)
{
	if (xcb_connection_has_error(d->c))
		return;
	unsigned sequence = xcb_get_input_focus(d->c).sequence;
	struct mono now = mono_now(), end = mono_add_ms(now, RELEASE_WAIT_MS);
	struct pollfd p = {.fd = xcb_get_file_descriptor(d->c), .events = POLLIN};
	void *reply = NULL;
	xcb_generic_error_t *error = NULL;
	xcb_flush(d->c);
	while (mono_before(now, end) && !xcb_poll_for_reply(d->c, sequence, &reply, &error)) {
		poll(&p, 1, (int)mono_diff_ms(now, end));
		now = mono_now();
	}
	free(reply);
	free(error);
}

void
source_close(struct source *s)
{
	if (!s)
		return;
	inject_fini(&s->inject);
	commit_free(s->commit);
	capture_fini(&s->capture);
	layout_free(s->layout);
	settle(&s->display);
	display_close(&s->display);
	free(s);
}

const struct source_shape *
source_shape(const struct source *s)
{
	return &s->display.shape;
}

struct inject *
source_inject(struct source *s)
{
	return &s->inject;
}

/* ---- the loop ---- */

size_t
source_poll(struct source *s, struct pollfd *ret_fds)
{
	ret_fds[0] = (struct pollfd){.fd = xcb_get_file_descriptor(s->display.c), .events = POLLIN};
	short events = 0;
	int ibus = commit_poll(s->commit, &events);
	ret_fds[1] = (struct pollfd){.fd = ibus, .events = events};
	return 2;
}

static unsigned
on_event(struct source *s, const xcb_generic_event_t *event, struct damage *damage)
{
	uint8_t type = event->response_type & 0x7f;
	if (type == s->display.damage_event) {
		const xcb_damage_notify_event_t *e = (const void *)event;
		damage_add(damage, e->area.x, e->area.y, e->area.width, e->area.height);
	} else if (type == s->display.cursor_event) {
		return SOURCE_CAME | SOURCE_CURSOR_CHANGED;
	} else if (type == s->display.screen_event) {
		return SOURCE_CAME | SOURCE_SHAPE_CHANGED;
	} else if (type == XCB_MAPPING_NOTIFY) {
		keymap_changed(&s->inject.keymap);
	} else if (type == 0) {
		const xcb_generic_error_t *e = (const void *)event;
		LOG(DEBUG, "desktop.x_error", F_INT("error", e->error_code),
			F_INT("request", e->major_code), F_INT("minor", e->minor_code));
	}
	return SOURCE_CAME;
}

int
source_read(struct source *s, struct damage *damage, unsigned *ret_news)
{
	xcb_generic_event_t *event;
	*ret_news = 0;
	s->commit_wait = commit_run(s->commit, mono_now());
	while ((event = xcb_poll_for_event(s->display.c))) {
		*ret_news |= on_event(s, event, damage);
		free(event);
	}
	if (!xcb_connection_has_error(s->display.c))
		return 0;
	LOG(ERROR, "desktop.display_lost", F_INT("xcb", xcb_connection_has_error(s->display.c)));
	return -ERR_DESKTOP_FAILED;
}

void
source_read_queued(struct source *s, struct damage *damage, unsigned *ret_news)
{
	xcb_generic_event_t *event;
	*ret_news = 0;
	while ((event = xcb_poll_for_queued_event(s->display.c))) {
		*ret_news |= on_event(s, event, damage);
		free(event);
	}
}

void
source_flush(struct source *s)
{
	xcb_flush(s->display.c);
}

void
source_ping(struct source *s, struct mono now)
{
	if (s->ping)
		return;
	s->ping = xcb_get_input_focus(s->display.c).sequence;
	s->ping_sent = now;
}

int
source_hangs(struct source *s, struct mono now)
{
	void *reply = NULL;
	xcb_generic_error_t *error = NULL;
	if (s->ping && xcb_poll_for_reply(s->display.c, s->ping, &reply, &error))
		s->ping = 0;
	free(reply);
	free(error);
	return (s->ping && mono_diff_ms(s->ping_sent, now) >= HANG_MS) ||
	       (capture_busy(&s->capture) && mono_diff_ms(s->asked, now) >= HANG_MS);
}

static int
sooner(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

int
source_wait_ms(struct source *s, struct mono now)
{
	int wait = sooner(s->commit_wait, keymap_run(&s->inject.keymap, now));
	return s->ping || capture_busy(&s->capture) ? sooner(wait, HANG_MS) : wait;
}

/* ---- pictures ---- */

int
source_measure(struct source *s)
{
	int changed = display_measure(&s->display);
	if (changed == 1) {
		capture_fini(&s->capture);
		capture_init(&s->capture, &s->display);
	}
	return changed;
}

void
source_capture(struct source *s, const struct rect *areas, size_t count, struct mono now)
{
	/* first forget, then look: what is drawn in between is reported again */
	xcb_damage_subtract(s->display.c, s->damage_id, XCB_NONE, XCB_NONE);
	capture_start(&s->capture, areas, count);
	s->asked = now;
}

void
source_capture_cursor(struct source *s, struct mono now)
{
	capture_cursor_start(&s->capture);
	s->asked = now;
}

int
source_busy(const struct source *s)
{
	return capture_busy(&s->capture);
}

int
source_arrived(struct source *s)
{
	return capture_arrived(&s->capture);
}

int
source_collect(struct source *s)
{
	return capture_collect(&s->capture);
}

struct image
source_view(struct source *s, size_t i, struct rect *ret_area)
{
	return capture_view(&s->capture, i, ret_area);
}

int
source_collect_cursor(struct source *s, struct source_cursor *ret_cursor)
{
	return capture_cursor_collect(&s->capture, ret_cursor);
}

/* ---- monitors ---- */

int
source_arranges(const struct source *s)
{
	return s->layout != NULL;
}

int
source_arrange(struct source *s, const struct source_monitor *monitors, size_t count,
	uint32_t scale_percent, int *ret_lost)
{
	*ret_lost = 0;
	return layout_set(s->layout, monitors, count, scale_percent);
}
