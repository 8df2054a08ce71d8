#include "desktop/session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "desktop.pb.h"
#include "desktop/inject.h"
#include "desktop/input.h"
#include "desktop/link.h"
#include "desktop/pictures.h"
#include "inner.pb.h"
#include "net/frame.h"

enum {
	CURSOR_INTERVAL_MS = 40, /* an animated cursor is no video */
	PIECES_PER_ROUND = 4,
	REFUSALS_MAX = 50, /* of captures in a row: more is no resize */
};

enum state {
	IDLE,
	CAPTURE,
	SEND
};

struct session {
	struct source *source;
	struct link link;
	struct input input;
	size_t parts; /* areas of the capture under way */
	struct pictures *pictures;
	enum state state;
	int resized;            /* the source said so */
	engawa_WantLayout want; /* the last wish, until it is looked at */
	int cursor_stale;
	unsigned refusals;
	struct mono cursor_next; /* not before */
	struct source_cursor cursor;
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
layout(const struct source_shape *d)
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

/* Buffers for the source's size. */
static int
resize(struct session *s)
{
	const struct source_shape *shape = source_shape(s->source);
	return pictures_resize(s->pictures, shape->width, shape->height);
}

static int
send_ready(struct session *s)
{
	engawa_DesktopReady ready = {.has_layout = true, .layout = layout(source_shape(s->source))};
	return link_send(
		&s->link, engawa_DesktopType_DESKTOP_READY, engawa_DesktopReady_fields, &ready);
}

int
session_new(int fd, struct source *source, const struct pictures_settings *settings,
	struct session **ret_session)
{
	struct session *s = mem_new(sizeof *s);
	s->source = source;
	s->cursor_stale = 1;
	int r = link_init(&s->link, fd);
	if (r == 0)
		r = pictures_new(settings, &s->pictures);
	if (r == 0)
		r = resize(s);
	if (r == 0) {
		input_init(&s->input, source_inject(source), source_shape(source));
		r = send_ready(s);
	}
	if (r < 0) {
		session_free(s);
		return r;
	}
	*ret_session = s;
	return 0;
}

void
session_free(struct session *s)
{
	if (!s)
		return;
	input_report(&s->input);
	pictures_free(s->pictures);
	link_fini(&s->link);
	mem_wipe_free(s, sizeof *s);
}

/* ---- from the source ---- */

static void
on_news(struct session *s, unsigned news)
{
	if (news & SOURCE_CURSOR_CHANGED)
		s->cursor_stale = 1;
	if (news & SOURCE_SHAPE_CHANGED)
		s->resized = 1;
}

static int
read_source(struct session *s)
{
	unsigned news;
	int r = source_read(s->source, pictures_damage(s->pictures), &news);
	on_news(s, news);
	return r;
}

/* ---- from the agent ---- */

static int
take_ack(struct session *s, const uint8_t *payload, size_t len)
{
	engawa_Ack ack;
	int r = frame_decode(engawa_Ack_fields, &ack, payload, len);
	return r < 0 ? r : pictures_ack(s->pictures, ack.seq, mono_now());
}

/* A desktop that belongs to a person keeps its size; the client scales or pans. */
static int
take_layout(struct session *s, const uint8_t *payload, size_t len)
{
	int r = frame_decode(engawa_WantLayout_fields, &s->want, payload, len);
	if (r == 0 && !source_arranges(s->source)) {
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
	inject_release(source_inject(s->source));
}

/* The client has come back with empty hands: a new stream, from a whole picture. What the source
 * was asked for already is of use all the same. */
static int
restart(struct session *s)
{
	int r = pictures_restart(s->pictures);
	if (r < 0)
		return r;
	release(s);
	if (s->state == SEND)
		s->state = IDLE;
	s->cursor_stale = 1;
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
	source_ping(s->source, now);
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
	int changed = source_measure(s->source);
	if (changed <= 0)
		return changed;
	int r = resize(s);
	if (r < 0)
		return r;
	engawa_Layout l = layout(source_shape(s->source));
	LOG(INFO, "desktop.resized", F_INT("width_px", l.width_px),
		F_INT("height_px", l.height_px));
	return tell(s, engawa_InnerType_INNER_LAYOUT, engawa_Layout_fields, &l);
}

/* Between pictures. The source says itself what has become of it. */
static int
arrange(struct session *s)
{
	struct source_monitor monitors[SOURCE_MONITORS_MAX];
	size_t count = s->want.monitors_count;
	_Static_assert(sizeof s->want.monitors / sizeof s->want.monitors[0] == SOURCE_MONITORS_MAX,
		"a wish fits");
	int r = 0, lost = 0;
	s->want.monitors_count = 0;
	for (size_t i = 0; i < count; i++) {
		const engawa_Monitor *m = &s->want.monitors[i];
		if (!source_monitor_make(m->x_px, m->y_px, m->width_px, m->height_px, &monitors[i]))
			r = -EINVAL;
	}
	uint32_t scale = s->want.monitors[0].scale_percent;
	if (r == 0)
		r = source_arrange(
			s->source, monitors, count, scale ? scale : SOURCE_SCALE_DEFAULT, &lost);
	LOG(INFO, "desktop.layout", F_INT("monitors", count), F_ERR("why", r));
	s->resized = 1;
	return lost ? r : 0;
}

static void
start_capture(struct session *s, struct mono now)
{
	struct rect areas[SOURCE_PARTS_MAX];
	s->parts = damage_take(pictures_damage(s->pictures), areas, SOURCE_PARTS_MAX);
	source_capture(s->source, areas, s->parts, now);
	pictures_capture(s->pictures, now);
	s->state = CAPTURE;
}

static void
begin_picture(struct session *s, const struct move_view *views, size_t count, struct mono now)
{
	pictures_begin(s->pictures, views, count, now);
	s->state = pictures_open(s->pictures) ? SEND : IDLE;
}

static void
take_capture(struct session *s, struct mono now)
{
	_Static_assert((int)SOURCE_PARTS_MAX <= (int)MOVE_VIEWS_MAX, "one search takes a capture");
	struct move_view views[SOURCE_PARTS_MAX];
	for (size_t i = 0; i < s->parts; i++)
		views[i].image = source_view(s->source, i, &views[i].area);
	begin_picture(s, views, s->parts, now);
}

/* The source refuses when the screen has become smaller than what was asked for: its event comes,
 * or has come. */
static int
refused(struct session *s)
{
	s->state = IDLE;
	s->resized = 1;
	damage_add_all(pictures_damage(s->pictures));
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
		int last, len = pictures_next(
				  s->pictures, f->data.bytes, sizeof f->data.bytes, &f->seq, &last);
		if (len < 0)
			return len;
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
	int r = source_collect(s->source);
	if (r == 1) {
		s->refusals = 0;
		take_capture(s, now);
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
	if (s->state != IDLE || source_busy(s->source))
		return 0;
	/* a source that fails then says so between two messages */
	if (s->want.monitors_count && link_queued(&s->link) == 0)
		r = arrange(s);
	if (r == 0 && s->resized)
		r = tell_resize(s);
	if (r < 0 || link_queued(&s->link) > 0)
		return r;
	int capture, wait = pictures_wait_ms(s->pictures, now, &capture);
	if (wait == 0 && capture) {
		start_capture(s, now);
	} else if (wait == 0) {
		begin_picture(s, NULL, 0, now);
		/* not everything that was due is a picture: a film has ended, and what it leaves is
		 * for later */
		if (s->state == IDLE)
			wait = pictures_wait_ms(s->pictures, now, &capture);
	}
	if (s->state == IDLE)
		*ret_wait = wait;
	return 0;
}

static int
send_cursor(struct session *s)
{
	engawa_Cursor *m = &s->cursor_message;
	const struct source_cursor *c = &s->cursor;
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
	int r = source_collect_cursor(s->source, &s->cursor);
	return r == 1 ? send_cursor(s) : 0;
}

static void
start_cursor(struct session *s, struct mono now, int *ret_wait)
{
	if (!s->cursor_stale || source_busy(s->source) || link_queued(&s->link) > 0)
		return;
	if (mono_before(now, s->cursor_next)) {
		*ret_wait = (int)mono_diff_ms(now, s->cursor_next) + 1;
		return;
	}
	source_capture_cursor(s->source, now);
	s->cursor_stale = 0;
	s->cursor_next = mono_add_ms(now, CURSOR_INTERVAL_MS);
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
	int r = read_source(s);
	if (r == 0)
		r = run_agent(s, now, &input_wait);
	/* first collect everything that has come, then ask anew: the rule of one question at a time
	 * lets nothing be forgotten. The cursor, which is rarer, goes first. */
	source_arrived(s->source);
	if (r == 0)
		r = continue_cursor(s);
	if (r == 0)
		r = continue_picture(s, now);
	if (r == 0) {
		start_cursor(s, now, &cursor_wait);
		r = start_picture(s, now, &picture_wait);
	}
	if (r == 0 && source_hangs(s->source, now)) {
		LOG(ERROR, "desktop.hangs");
		r = -ERR_DESKTOP_FAILED;
	}
	if (r < 0)
		return r;
	*ret_wait = sooner(sooner(input_wait, picture_wait),
		sooner(cursor_wait, source_wait_ms(s->source, now)));
	source_flush(s->source);
	size_t queued = link_queued(&s->link);
	r = link_flush(&s->link);
	if (queued > 0 && link_queued(&s->link) == 0)
		*ret_wait = 0; /* what waited for room may go on, and nothing else would say so */
	return r;
}

/* Something came in while something else was read or written; poll would not tell. */
static int
more_came(struct session *s)
{
	unsigned news;
	int more = source_arrived(s->source);
	source_read_queued(s->source, pictures_damage(s->pictures), &news);
	on_news(s, news);
	more = more || news & SOURCE_CAME;
	/* pieces of a large picture, a few in each round: input is not behind them */
	return more || (s->state == SEND && link_queued(&s->link) < LINK_QUEUE_LOW_BYTES);
}

static int
wait_for_more(struct session *s, int wait_ms, const sigset_t *mask)
{
	struct pollfd p[1 + SOURCE_POLL_MAX] = {
		{.fd = s->link.fd,
			.events = link_wants_input(&s->link) && input_room(&s->input) ? POLLIN : 0},
	};
	size_t count = 1 + source_poll(s->source, p + 1);
	if (link_queued(&s->link) > 0)
		p[0].events |= POLLOUT;
	struct timespec t = {wait_ms / 1000, wait_ms % 1000 * 1000000L};
	if (ppoll(p, count, wait_ms < 0 ? NULL : &t, mask) < 0)
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
