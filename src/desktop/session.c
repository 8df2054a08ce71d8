#include "desktop/session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <xcb/damage.h>
#include <xcb/xcbext.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "desktop.pb.h"
#include "desktop/capture.h"
#include "desktop/commit.h"
#include "desktop/input.h"
#include "desktop/layout.h"
#include "desktop/link.h"
#include "inner.pb.h"
#include "net/frame.h"
#include "screen/damage.h"
#include "screen/encode.h"
#include "screen/film.h"
#include "screen/motion.h"
#include "screen/move.h"
#include "screen/pace.h"

enum {
	CURSOR_INTERVAL_MS = 40, /* an animated cursor is no video */
	HANG_MS = 15000,         /* a display that does not answer for so long has failed */
	RELEASE_WAIT_MS = 3000,
	PIECES_PER_ROUND = 4,
	REFUSALS_MAX = 50, /* of captures in a row: more is no resize */
};

enum state {
	IDLE,
	CAPTURE,
	SEND
};

struct session {
	struct display *display;
	struct link link;
	struct inject inject;
	struct input input;
	struct commit *commit; /* NULL: no input method */
	struct capture capture;
	xcb_damage_damage_t damage_id;
	struct damage damage;
	struct image shown; /* what the client has, or will have, without the watermark */
	struct encoder *encoder;
	struct pace pace;
	struct session_settings settings;
	enum state state;
	uint32_t seq;
	int whole;              /* the next picture covers the screen */
	int resized;            /* the display said so */
	struct layout *layout;  /* NULL: the display keeps its monitors */
	engawa_WantLayout want; /* the last wish, until it is looked at */
	int cursor_stale;
	unsigned refusals;
	struct mono asked;       /* the oldest request under way */
	struct mono cursor_next; /* not before */
	unsigned ping; /* sequence of a request that only tells that the display lives; 0 = none */
	struct mono ping_sent;
	struct capture_cursor cursor;
	struct moves *moves;
	struct motion motion;
	int film_wanted; /* the client shows them, and none has failed */
	struct film_encoder *film;
	const struct watermark *watermark;
	struct rect rects[ENCODE_RECTS_MAX];
	engawa_Frame frame;
	engawa_Cursor cursor_message;
};

/* Queues a message and writes what the socket takes: afterwards something is queued only while the
 * socket is full. */
static int
tell(struct session *s, engawa_InnerType type, const pb_msgdesc_t *fields, const void *msg)
{
	int r = link_send(&s->link, (uint8_t)type, fields, msg);
	return r < 0 ? r : link_flush(&s->link);
}

static engawa_Layout
layout(const struct display *d)
{
	engawa_Layout l = {.width_px = d->width, .height_px = d->height};
	for (size_t i = 0; i < d->monitor_count; i++)
		l.monitors[l.monitors_count++] = (engawa_Monitor){.x_px = d->monitors[i].x,
			.y_px = d->monitors[i].y,
			.width_px = d->monitors[i].width,
			.height_px = d->monitors[i].height,
			.scale_percent = 100};
	return l;
}

/* Buffers for the display's size. */
static int
resize(struct session *s)
{
	damage_fini(&s->damage);
	image_fini(&s->shown);
	capture_fini(&s->capture);
	motion_fini(&s->motion);
	int r = damage_init(&s->damage, s->display->width, s->display->height);
	if (r == 0)
		r = motion_init(&s->motion, &s->damage);
	if (r == 0)
		r = image_init(&s->shown, s->display->width, s->display->height);
	if (r < 0)
		return r;
	capture_init(&s->capture, s->display);
	damage_add_all(&s->damage);
	s->whole = 1;
	return 0;
}

static void
watch_damage(struct session *s)
{
	s->damage_id = xcb_generate_id(s->display->c);
	xcb_damage_create(s->display->c, s->damage_id, s->display->root,
		XCB_DAMAGE_REPORT_LEVEL_DELTA_RECTANGLES);
}

static int
send_ready(struct session *s)
{
	engawa_DesktopReady ready = {.has_layout = true, .layout = layout(s->display)};
	return link_send(
		&s->link, engawa_DesktopType_DESKTOP_READY, engawa_DesktopReady_fields, &ready);
}

/* The first picture has the home PC's monitors already. What the display says to it comes by
 * itself. */
static void
arrange_first(struct session *s)
{
	const struct session_settings *how = &s->settings;
	if (!s->layout || how->monitor_count == 0)
		return;
	int r = layout_set(s->layout, how->monitors, how->monitor_count,
		how->scale_percent ? how->scale_percent : LAYOUT_SCALE_DEFAULT);
	LOG(INFO, "desktop.layout", F_INT("monitors", how->monitor_count), F_ERR("why", r));
	if (display_measure(s->display) < 0)
		LOG(ERROR, "desktop.layout_lost");
}

int
session_new(int fd, struct display *display, const struct session_settings *settings,
	struct session **ret_session)
{
	struct session *s = mem_new(sizeof *s);
	s->display = display;
	s->settings = *settings;
	s->cursor_stale = 1;
	s->capture.display = display;
	s->film_wanted = settings->film;
	s->watermark = settings->watermark;
	pace_init(&s->pace, settings->interval_ms);
	int r = link_init(&s->link, fd);
	if (r == 0)
		r = encoder_new(settings->window_mib, settings->watermark, &s->encoder);
	if (r == 0)
		r = moves_new(&s->moves);
	if (r == 0 && settings->own_display)
		r = layout_new(display, &s->layout);
	if (r == 0)
		arrange_first(s);
	if (r == 0)
		r = inject_init(&s->inject, display);
	if (r == 0)
		r = resize(s);
	s->commit = commit_new(settings->ibus_fd);
	s->inject.commit = s->commit;
	if (r == 0) {
		input_init(&s->input, &s->inject, display);
		watch_damage(s);
		r = send_ready(s);
	}
	if (r < 0) {
		session_free(s);
		return r;
	}
	*ret_session = s;
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
session_free(struct session *s)
{
	if (!s)
		return;
	input_report(&s->input);
	inject_fini(&s->inject);
	commit_free(s->commit);
	capture_fini(&s->capture);
	layout_free(s->layout);
	settle(s->display);
	damage_fini(&s->damage);
	image_fini(&s->shown);
	encoder_free(s->encoder);
	moves_free(s->moves);
	motion_fini(&s->motion);
	film_encoder_free(s->film);
	link_fini(&s->link);
	mem_wipe_free(s, sizeof *s);
}

/* ---- from the display ---- */

static void
on_event(struct session *s, const xcb_generic_event_t *event)
{
	uint8_t type = event->response_type & 0x7f;
	if (type == s->display->damage_event) {
		const xcb_damage_notify_event_t *e = (const void *)event;
		damage_add(&s->damage, e->area.x, e->area.y, e->area.width, e->area.height);
	} else if (type == s->display->cursor_event) {
		s->cursor_stale = 1;
	} else if (type == s->display->screen_event) {
		s->resized = 1;
	} else if (type == XCB_MAPPING_NOTIFY) {
		keymap_changed(&s->inject.keymap);
	} else if (type == 0) {
		const xcb_generic_error_t *e = (const void *)event;
		LOG(DEBUG, "desktop.x_error", F_INT("error", e->error_code),
			F_INT("request", e->major_code), F_INT("minor", e->minor_code));
	}
}

/* A display that stands still says nothing; one that gets input must at least take it. */
static void
ping_display(struct session *s, struct mono now)
{
	if (s->ping)
		return;
	s->ping = xcb_get_input_focus(s->display->c).sequence;
	s->ping_sent = now;
}

static int
hangs(struct session *s, struct mono now)
{
	void *reply = NULL;
	xcb_generic_error_t *error = NULL;
	if (s->ping && xcb_poll_for_reply(s->display->c, s->ping, &reply, &error))
		s->ping = 0;
	free(reply);
	free(error);
	return (s->ping && mono_diff_ms(s->ping_sent, now) >= HANG_MS) ||
	       (capture_busy(&s->capture) && mono_diff_ms(s->asked, now) >= HANG_MS);
}

static int
read_display(struct session *s)
{
	xcb_generic_event_t *event;
	while ((event = xcb_poll_for_event(s->display->c))) {
		on_event(s, event);
		free(event);
	}
	if (!xcb_connection_has_error(s->display->c))
		return 0;
	LOG(ERROR, "desktop.display_lost", F_INT("xcb", xcb_connection_has_error(s->display->c)));
	return -ERR_DESKTOP_FAILED;
}

/* ---- from the agent ---- */

static int
take_ack(struct session *s, const uint8_t *payload, size_t len)
{
	engawa_Ack ack;
	int r = frame_decode(engawa_Ack_fields, &ack, payload, len);
	return r < 0 ? r : pace_ack(&s->pace, ack.seq);
}

/* A desktop that belongs to a person keeps its size; the client scales or pans. */
static int
take_layout(struct session *s, const uint8_t *payload, size_t len)
{
	int r = frame_decode(engawa_WantLayout_fields, &s->want, payload, len);
	if (r == 0 && !s->layout) {
		LOG(INFO, "desktop.layout_kept", F_INT("monitors", s->want.monitors_count));
		s->want.monitors_count = 0;
	}
	return r;
}

/* Nobody is at the other end any more: no key stays down, and what was not typed yet is not typed.
 */
static void
release(struct session *s)
{
	input_drop(&s->input);
	commit_drop(s->commit);
	inject_release(&s->inject);
}

/* The client has come back with empty hands: a new stream, from a whole picture. What the display
 * was asked for already is of use all the same. */
static int
restart(struct session *s)
{
	struct encoder *encoder;
	int r = encoder_new(s->settings.window_mib, s->settings.watermark, &encoder);
	if (r < 0)
		return r;
	release(s);
	encoder_free(s->encoder);
	s->encoder = encoder;
	pace_init(&s->pace, s->settings.interval_ms);
	if (s->state == SEND)
		s->state = IDLE;
	motion_drop(&s->motion, &s->damage);
	s->whole = 1;
	s->cursor_stale = 1;
	damage_add_all(&s->damage);
	LOG(INFO, "desktop.restart");
	r = send_ready(s);
	/* now: the picture is begun only while nothing is queued */
	return r < 0 ? r : link_flush(&s->link);
}

static int
take_message(struct session *s, uint8_t type, const uint8_t *payload, size_t len, struct mono now)
{
	if (type == engawa_DesktopType_DESKTOP_RELEASE) {
		release(s);
		return 0;
	}
	if (type == engawa_DesktopType_DESKTOP_RESTART)
		return restart(s);
	if (type == engawa_InnerType_INNER_ACK)
		return take_ack(s, payload, len);
	if (type == engawa_InnerType_INNER_WANT_LAYOUT)
		return take_layout(s, payload, len);
	ping_display(s, now);
	return input_take(&s->input, type, payload, len);
}

/* Takes messages and does what they say, until there are no more or the rates make them wait. */
static int
run_agent(struct session *s, struct mono now, int *ret_wait)
{
	uint8_t type;
	const uint8_t *payload;
	size_t len;
	for (;;) {
		*ret_wait = input_run(&s->input, now);
		if (!input_room(&s->input))
			return 0;
		int r = link_next(&s->link, &type, &payload, &len);
		if (r == 1)
			r = take_message(s, type, payload, len, now);
		else if (r == 0)
			return 0;
		if (r < 0)
			return r;
	}
}

/* ---- pictures ---- */

static int
tell_resize(struct session *s)
{
	s->resized = 0;
	int changed = display_measure(s->display);
	if (changed <= 0)
		return changed;
	int r = resize(s);
	if (r < 0)
		return r;
	LOG(INFO, "desktop.resized", F_INT("width_px", s->display->width),
		F_INT("height_px", s->display->height));
	engawa_Layout l = layout(s->display);
	return tell(s, engawa_InnerType_INNER_LAYOUT, engawa_Layout_fields, &l);
}

/* Between pictures. The display says itself what has become of it. */
static void
arrange(struct session *s)
{
	struct display_monitor monitors[DISPLAY_MONITORS_MAX];
	size_t count = s->want.monitors_count;
	_Static_assert(sizeof s->want.monitors / sizeof s->want.monitors[0] == DISPLAY_MONITORS_MAX,
		"a wish fits");
	int r = 0;
	s->want.monitors_count = 0;
	for (size_t i = 0; i < count; i++) {
		const engawa_Monitor *m = &s->want.monitors[i];
		if (!display_monitor_make(
			    m->x_px, m->y_px, m->width_px, m->height_px, &monitors[i]))
			r = -EINVAL;
	}
	uint32_t scale = s->want.monitors[0].scale_percent;
	if (r == 0)
		r = layout_set(s->layout, monitors, count, scale ? scale : LAYOUT_SCALE_DEFAULT);
	LOG(INFO, "desktop.layout", F_INT("monitors", count), F_ERR("why", r));
	s->resized = 1;
}

static void
start_capture(struct session *s, struct mono now)
{
	struct rect areas[CAPTURE_PARTS_MAX];
	size_t count = damage_take(&s->damage, areas, CAPTURE_PARTS_MAX);
	/* first forget, then look: what is drawn in between is reported again */
	xcb_damage_subtract(s->display->c, s->damage_id, XCB_NONE, XCB_NONE);
	capture_start(&s->capture, areas, count);
	pace_capture(&s->pace, now);
	s->asked = now;
	s->state = CAPTURE;
}

/* The film's next picture, when it is due. One that cannot be made is the end of films: what it
 * would have shown goes exactly. */
static void
add_film(struct session *s, struct encode_change *change, struct mono now)
{
	struct rect at;
	int fresh, len = 0;
	if (!motion_due(&s->motion, now, &at, &fresh))
		return;
	if (fresh) {
		film_encoder_free(s->film);
		s->film = NULL;
		len = film_encoder_new(at.w, at.h, MOTION_INTERVAL_MS, &s->film);
		LOG(DEBUG, "desktop.film", F_INT("x", at.x), F_INT("y", at.y), F_INT("w", at.w),
			F_INT("h", at.h), F_ERR("why", len));
	}
	if (len == 0)
		len = film_encode(s->film, &s->shown, &at, s->watermark, &change->unit);
	if (len > 0) {
		change->film = at;
		change->unit_len = (size_t)len;
	} else if (len < 0) {
		LOG(WARN, "desktop.film_failed", F_ERR("why", len));
		s->film_wanted = 0;
		motion_drop(&s->motion, &s->damage);
	}
}

/* From what is known to differ to a picture, or to none. */
static void
begin_picture(struct session *s, struct encode_change *change, struct mono now)
{
	if (s->film_wanted || s->motion.film.w)
		motion_look(&s->motion, &s->damage, &s->shown, now);
	add_film(s, change, now);
	change->rects = s->rects;
	change->rect_count = damage_changed(&s->damage, s->rects, ENCODE_RECTS_MAX);
	if (s->whole) {
		motion_drop(&s->motion, &s->damage);
		damage_changed(&s->damage, s->rects, ENCODE_RECTS_MAX);
		s->rects[0] = (struct rect){0, 0, s->shown.width, s->shown.height};
		change->rect_count = 1;
		change->film.w = 0;
		s->whole = 0;
	}
	s->state = IDLE;
	if (change->copy_count + change->rect_count + change->film.w == 0)
		return;
	s->seq = pace_begin(&s->pace);
	encoder_start(s->encoder, s->seq, &s->shown, change);
	s->state = SEND;
}

static void
compare(struct session *s, struct mono now)
{
	_Static_assert((int)CAPTURE_PARTS_MAX <= (int)MOVE_VIEWS_MAX, "one search takes a capture");
	struct move_view views[CAPTURE_PARTS_MAX];
	struct copy copies[MOVE_COPIES_MAX];
	struct encode_change change = {.copies = copies};
	for (size_t i = 0; i < s->capture.count; i++)
		views[i].image = capture_view(&s->capture, i, &views[i].area);
	if (!s->whole)
		change.copy_count = moves_find(
			s->moves, views, s->capture.count, &s->motion.film, &s->shown, copies);
	for (size_t i = 0; i < s->capture.count; i++)
		damage_compare(
			&s->damage, &views[i].image, views[i].area.x, views[i].area.y, &s->shown);
	begin_picture(s, &change, now);
}

/* The display refuses when the screen has become smaller than what was asked for: its event comes,
 * or has come. */
static int
refused(struct session *s)
{
	s->state = IDLE;
	s->resized = 1;
	damage_add_all(&s->damage);
	if (++s->refusals < REFUSALS_MAX)
		return 0;
	LOG(ERROR, "desktop.capture_refused");
	return -ERR_DESKTOP_FAILED;
}

static int
send_pieces(struct session *s)
{
	engawa_Frame *f = &s->frame;
	for (int i = 0; i < PIECES_PER_ROUND && s->state == SEND &&
			link_queued(&s->link) < LINK_QUEUE_LOW_BYTES;
		i++) {
		int last,
			len = encoder_next(s->encoder, f->data.bytes, sizeof f->data.bytes, &last);
		if (len < 0)
			return len;
		f->seq = s->seq;
		f->last = last;
		f->data.size = (pb_size_t)len;
		int r = tell(s, engawa_InnerType_INNER_FRAME, engawa_Frame_fields, f);
		if (r < 0)
			return r;
		if (last)
			s->state = IDLE;
	}
	return 0;
}

/* Advances by what has arrived. */
static int
continue_picture(struct session *s, struct mono now)
{
	int r = capture_collect(&s->capture);
	if (r == 1) {
		s->refusals = 0;
		compare(s, now);
		r = 0;
	} else if (r == -EAGAIN) {
		r = refused(s);
	}
	return r < 0 ? r : send_pieces(s);
}

/* *ret_wait: milliseconds until time alone allows the next picture. Everything else that it waits
 * for wakes the loop. */
static int
start_picture(struct session *s, struct mono now, int *ret_wait)
{
	int r = 0;
	if (s->state != IDLE || capture_busy(&s->capture))
		return 0;
	if (s->want.monitors_count)
		arrange(s);
	if (s->resized)
		r = tell_resize(s);
	int film_wait = motion_wait_ms(&s->motion, now);
	if (r < 0 || (s->damage.dirty_count == 0 && film_wait < 0) || link_queued(&s->link) > 0)
		return r;
	int wait = pace_wait_ms(&s->pace, now);
	if (wait != 0)
		*ret_wait = wait;
	else if (s->damage.dirty_count)
		start_capture(s, now);
	else if (film_wait == 0)
		begin_picture(s, &(struct encode_change){0}, now);
	else
		*ret_wait = film_wait;
	return 0;
}

static int
send_cursor(struct session *s)
{
	engawa_Cursor *m = &s->cursor_message;
	const struct capture_cursor *c = &s->cursor;
	m->width_px = c->width;
	m->height_px = c->height;
	m->hot_x_px = c->hot_x;
	m->hot_y_px = c->hot_y;
	m->bgra.size = (pb_size_t)((size_t)c->width * c->height * 4);
	memcpy(m->bgra.bytes, c->bgra, m->bgra.size);
	return tell(s, engawa_InnerType_INNER_CURSOR, engawa_Cursor_fields, m);
}

static int
continue_cursor(struct session *s)
{
	int r = capture_cursor_collect(&s->capture, &s->cursor);
	return r == 1 ? send_cursor(s) : 0;
}

static void
start_cursor(struct session *s, struct mono now, int *ret_wait)
{
	if (!s->cursor_stale || capture_busy(&s->capture) || link_queued(&s->link) > 0)
		return;
	if (mono_before(now, s->cursor_next)) {
		*ret_wait = (int)mono_diff_ms(now, s->cursor_next) + 1;
		return;
	}
	capture_cursor_start(&s->capture);
	s->cursor_stale = 0;
	s->cursor_next = mono_add_ms(now, CURSOR_INTERVAL_MS);
	s->asked = now;
}

/* ---- the loop ---- */

static int
sooner(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* One round over everything that may go on. */
static int
run_once(struct session *s, struct mono now, int *ret_wait)
{
	int input_wait = -1, picture_wait = -1, cursor_wait = -1;
	int r = read_display(s);
	int commit_wait = commit_run(s->commit, now);
	if (r == 0)
		r = run_agent(s, now, &input_wait);
	/* first collect everything that has come, then ask anew: the rule of one question at a time
	 * lets nothing be forgotten. The cursor, which is rarer, goes first. */
	capture_arrived(&s->capture);
	if (r == 0)
		r = continue_cursor(s);
	if (r == 0)
		r = continue_picture(s, now);
	if (r == 0) {
		start_cursor(s, now, &cursor_wait);
		r = start_picture(s, now, &picture_wait);
	}
	if (r == 0 && hangs(s, now)) {
		LOG(ERROR, "desktop.display_hangs");
		r = -ERR_DESKTOP_FAILED;
	}
	if (r < 0)
		return r;
	int keymap_wait = keymap_run(&s->inject.keymap, now);
	xcb_flush(s->display->c);
	*ret_wait = sooner(sooner(input_wait, picture_wait), sooner(cursor_wait, commit_wait));
	*ret_wait = sooner(*ret_wait, keymap_wait);
	if (s->ping || capture_busy(&s->capture))
		*ret_wait = sooner(*ret_wait, HANG_MS);
	return link_flush(&s->link);
}

/* Something came in while something else was read or written; poll would not tell. */
static int
more_came(struct session *s)
{
	xcb_generic_event_t *event;
	int more = capture_arrived(&s->capture);
	while ((event = xcb_poll_for_queued_event(s->display->c))) {
		on_event(s, event);
		free(event);
		more = 1;
	}
	/* pieces of a large picture, a few in each round: input is not behind them */
	return more || (s->state == SEND && link_queued(&s->link) < LINK_QUEUE_LOW_BYTES);
}

static int
wait_for_more(struct session *s, int wait_ms, const sigset_t *mask)
{
	struct pollfd p[3] = {
		{.fd = s->link.fd,
			.events = link_wants_input(&s->link) && input_room(&s->input) ? POLLIN : 0},
		{.fd = xcb_get_file_descriptor(s->display->c), .events = POLLIN},
	};
	p[2].fd = commit_poll(s->commit, &p[2].events);
	if (link_queued(&s->link) > 0)
		p[0].events |= POLLOUT;
	struct timespec t = {wait_ms / 1000, wait_ms % 1000 * 1000000L};
	if (ppoll(p, 3, wait_ms < 0 ? NULL : &t, mask) < 0)
		return errno == EINTR ? 0 : -errno;
	if (p[0].revents & POLLIN)
		return link_read(&s->link);
	return p[0].revents & (POLLHUP | POLLERR) ? -ERR_CLOSED : 0;
}

static void
send_end(struct session *s, int code)
{
	engawa_End end = {.code = (uint32_t)-code};
	if (link_send(&s->link, engawa_InnerType_INNER_END, engawa_End_fields, &end) == 0)
		link_flush(&s->link);
}

int
session_run(struct session *s, const volatile int *stop)
{
	sigset_t none;
	sigemptyset(&none);
	int r = 0;
	while (r == 0 && !*stop) {
		int wait = -1;
		r = run_once(s, mono_now(), &wait);
		if (r == 0 && !more_came(s))
			r = wait_for_more(s, wait, &none);
	}
	if (r < 0 && r != -ERR_CLOSED)
		send_end(s, r <= -200 ? r : -ERR_DESKTOP_FAILED);
	return r;
}
