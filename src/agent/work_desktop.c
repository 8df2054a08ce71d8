/* What engawa-desktop sends: pictures and cursors pass sealed and unread; layouts are read, because
 * the pointer is held against them. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/role.h"
#include "agent/work.h"
#include "base/err.h"
#include "base/log.h"
#include "desktop.pb.h"
#include "inner.pb.h"
#include "net/frame.h"

enum {
	FROM_MAX_BYTES = FRAME_HEADER_BYTES + FRAME_MAX_BYTES,
	TO_MAX_BYTES = 64 * 1024,
	READ_BYTES = 32 * 1024
};

static int
take_layout(struct work *work, const engawa_Layout *msg)
{
	struct layout layout = {.width_px = msg->width_px,
		.height_px = msg->height_px,
		.screen_count = msg->monitors_count};
	if (msg->width_px - 1 >= UINT16_MAX || msg->height_px - 1 >= UINT16_MAX)
		return -ERR_DESKTOP_FAILED;
	for (size_t i = 0; i < layout.screen_count; i++) {
		const engawa_Monitor *m = &msg->monitors[i];
		layout.screens[i] = (struct screen){
			m->x_px, m->y_px, m->width_px, m->height_px, m->scale_percent};
	}
	work->layout = layout;
	return 0;
}

static int
on_ready_message(struct work *work, const uint8_t *p, size_t len)
{
	engawa_DesktopReady ready;
	if (frame_decode(engawa_DesktopReady_fields, &ready, p, len) < 0 || !ready.has_layout ||
		take_layout(work, &ready.layout) < 0)
		return -ERR_DESKTOP_FAILED;
	work->restarting = 0;
	work_desktop_ready(work);
	return 0;
}

void
work_desktop_ready(struct work *work)
{
	uint8_t out[MESSAGE_MAX_BYTES];
	const struct ready message = {
		work->epoch, work->replay.stream, work->replay.next, work->layout};
	work->state = WORK_READY;
	work_desktop_events(work); /* nothing more is read until the client has Start */
	work->tell(MSG_READY, out, ready_put(&message, out));
}

static int
on_failed_message(const uint8_t *p, size_t len)
{
	engawa_DesktopFailed failed;
	if (frame_decode(engawa_DesktopFailed_fields, &failed, p, len) < 0 || failed.code < 200 ||
		failed.code >= 100000)
		return -ERR_DESKTOP_FAILED;
	return -(int)failed.code;
}

static int
take_frame(struct work *work, uint8_t type, const uint8_t *p, size_t len)
{
	engawa_Layout layout;
	engawa_End end;
	if (work->state == WORK_DESKTOP && type == engawa_DesktopType_DESKTOP_READY)
		return on_ready_message(work, p, len);
	if (type == engawa_DesktopType_DESKTOP_FAILED)
		return on_failed_message(p, len);
	if (type == engawa_InnerType_INNER_END && work->begun &&
		frame_decode(engawa_End_fields, &end, p, len) == 0)
		return end.code >= 200 && end.code < 100000 ? -(int)end.code : -ERR_DESKTOP_FAILED;
	/* what was meant for the path before, until the new stream begins */
	if (work->state == WORK_DESKTOP && work->begun)
		return 0;
	if (work->state != WORK_RUNNING)
		return -ERR_DESKTOP_FAILED;
	if (type == engawa_InnerType_INNER_LAYOUT &&
		(frame_decode(engawa_Layout_fields, &layout, p, len) < 0 ||
			take_layout(work, &layout) < 0))
		return -ERR_DESKTOP_FAILED;
	if (type != engawa_InnerType_INNER_FRAME && type != engawa_InnerType_INNER_CURSOR &&
		type != engawa_InnerType_INNER_LAYOUT)
		return -ERR_DESKTOP_FAILED;
	return replay_add(&work->replay, type, p, len);
}

/* Not between DesktopReady and Start, and not while there is nobody to send them to: what waits
 * then keeps engawa-desktop from making more. */
static int
takes_frames(const struct work *work)
{
	return work->state != WORK_READY && work->state != WORK_LOST;
}

/* 1 when there is no more of it. */
static int
send_kept(struct work *work)
{
	const uint8_t *payload;
	size_t len;
	uint8_t type;
	int r = 0;
	while (r == 0 && work->state == WORK_RUNNING &&
		inner_queued(&work->inner) < INNER_HIGH_BYTES) {
		if (!replay_next(&work->replay, &type, &payload, &len))
			return 1;
		r = inner_send(&work->inner, type, payload, len);
	}
	return r < 0 ? r : work->state != WORK_RUNNING;
}

/* What the path before has not delivered, then whole frames as long as the client's side has room;
 * the rest waits here, and behind it the desktop. */
static int
take_frames(struct work *work)
{
	const uint8_t *payload;
	size_t len;
	uint8_t type;
	int used = 0, r;
	while ((r = send_kept(work)) == 1 && work->state != WORK_ENDED && takes_frames(work) &&
		(used = frame_parse(buf_data(&work->from_desktop), buf_len(&work->from_desktop),
			 FRAME_MAX_BYTES, &type, &payload, &len)) > 0) {
		r = take_frame(work, type, payload, len);
		if (work->state != WORK_ENDED)
			buf_drop(&work->from_desktop, (size_t)used);
		if (r < 0)
			break;
	}
	return used < 0 ? -ERR_DESKTOP_FAILED : r < 0 ? r : 0;
}

static int
read_some(struct work *work)
{
	size_t room = buf_room(&work->from_desktop);
	if (room > READ_BYTES)
		room = READ_BYTES;
	if (room == 0)
		return 0;
	uint8_t *space = buf_reserve(&work->from_desktop, room);
	if (!space)
		return -ENOMEM;
	ssize_t n = recv(work->desktop_fd, space, room, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ERR_CLOSED;
	buf_commit(&work->from_desktop, (size_t)n);
	return 0;
}

static int
write_some(struct work *work)
{
	ssize_t n = send(work->desktop_fd, buf_data(&work->to_desktop), buf_len(&work->to_desktop),
		MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	buf_drop(&work->to_desktop, (size_t)n);
	return 0;
}

static void
fail(struct work *work, int r)
{
	LOG(WARN, "work.desktop", F_ERR("code", r));
	work_end(work, r > -200 || r == -ERR_CLOSED ? ERR_DESKTOP_FAILED : (uint32_t)-r);
}

static void
on_desktop(void *user, int ready)
{
	struct work *work = user;
	int r = 0;
	if (ready & WATCH_READ)
		r = read_some(work);
	if (r == 0)
		r = take_frames(work);
	if (r == 0 && work->state != WORK_ENDED && buf_len(&work->to_desktop))
		r = write_some(work);
	if (work->state == WORK_ENDED)
		return;
	if (r < 0)
		fail(work, r);
	else
		work_desktop_events(work);
}

void
work_desktop_open(struct work *work, int fd)
{
	fcntl(fd, F_SETFL, O_NONBLOCK);
	work->desktop_fd = fd;
	buf_init(&work->from_desktop, FROM_MAX_BYTES);
	buf_init(&work->to_desktop, TO_MAX_BYTES);
	work->desktop = watch_new(work->loop, fd, on_desktop, work);
	work_desktop_events(work);
}

void
work_desktop_close(struct work *work)
{
	if (!work->desktop)
		return;
	watch_free(work->desktop);
	work->desktop = NULL;
	close(work->desktop_fd);
}

void
work_desktop_events(struct work *work)
{
	if (!work->desktop)
		return;
	int room = inner_queued(&work->inner) < INNER_HIGH_BYTES && takes_frames(work);
	watch_set(work->desktop, (room && buf_room(&work->from_desktop) ? WATCH_READ : 0) |
					 (buf_len(&work->to_desktop) ? WATCH_WRITE : 0));
}

/* What the desktop is asked for already is not asked for again: it answers each time, and begins
 * anew. */
static int
restart(struct work *work)
{
	work->state = WORK_DESKTOP;
	work->acked = 0;
	replay_begin(&work->replay);
	if (work->restarting) {
		work_desktop_events(work);
		return 0;
	}
	work->restarting = 1;
	return work_desktop_send(work, engawa_DesktopType_DESKTOP_RESTART, engawa_Continue_fields,
		&(engawa_Continue){0});
}

int
work_desktop_again(struct work *work, uint32_t stream, uint64_t received)
{
	work->ack_again = 0;
	if (work->restarting || !replay_resume(&work->replay, stream, received))
		return restart(work);
	work->ack_again = work->acked > 0;
	work_desktop_ready(work);
	return 0;
}

void
work_desktop_resume(struct work *work)
{
	if (work->desktop)
		on_desktop(work, 0);
}

int
work_desktop_send(struct work *work, uint8_t type, const pb_msgdesc_t *fields, const void *msg)
{
	uint8_t out[1024];
	int n = frame_encode(type, fields, msg, out, sizeof out);
	if (n < 0)
		return n;
	int r = buf_add(&work->to_desktop, out, (size_t)n);
	work_desktop_events(work);
	return r;
}
