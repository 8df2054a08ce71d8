/*
 * The client's input, by a table. Every message is decoded, checked, and encoded again: the desktop
 * never sees a byte as the client chose it. Each kind has a limit that no person reaches
 * (work_rate.h). FirewallAlive belongs to a step that no client has been asked for: it is an error.
 */
#include <string.h>

#include "agent/work.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "inner.pb.h"
#include "net/frame.h"

enum {
	BUTTONS = 0x1ff,
	USAGE_MAX = 0xffff,
	KEYSYM_MAX = 0x1fffffff, /* X11: three spare bits */
	SCALE_MIN = 50,
	SCALE_MAX = 500,
	SCREEN_MAX_PX = 16384,
};

union input {
	engawa_Ack ack;
	engawa_Pointer pointer;
	engawa_Key key;
	engawa_Text text;
	engawa_WantLayout want_layout;
	engawa_Continue resume;
	engawa_InnerPing ping;
	engawa_End end;
	engawa_Posture posture;
};

static int
check_pointer(struct work *work, union input *m)
{
	if (m->pointer.buttons & ~(uint32_t)BUTTONS)
		return -ERR_PROTOCOL;
	/* a layout change may cross a movement on the way */
	if (m->pointer.x_px >= work->layout.width_px)
		m->pointer.x_px = work->layout.width_px - 1;
	if (m->pointer.y_px >= work->layout.height_px)
		m->pointer.y_px = work->layout.height_px - 1;
	return 0;
}

static int
check_key(struct work *work, union input *m)
{
	(void)work;
	return m->key.usage > USAGE_MAX || m->key.keysym > KEYSYM_MAX ? -ERR_PROTOCOL : 0;
}

static int
check_text(struct work *work, union input *m)
{
	(void)work;
	return !m->text.text[0] || !str_printable(m->text.text) ? -ERR_PROTOCOL : 0;
}

static int
check_want_layout(struct work *work, union input *m)
{
	(void)work;
	for (size_t i = 0; i < m->want_layout.monitors_count; i++) {
		const engawa_Monitor *s = &m->want_layout.monitors[i];
		if (s->width_px - 1 >= SCREEN_MAX_PX || s->height_px - 1 >= SCREEN_MAX_PX ||
			s->x_px < -SCREEN_MAX_PX || s->x_px > SCREEN_MAX_PX ||
			s->y_px < -SCREEN_MAX_PX || s->y_px > SCREEN_MAX_PX ||
			(s->scale_percent &&
				(s->scale_percent < SCALE_MIN || s->scale_percent > SCALE_MAX)))
			return -ERR_PROTOCOL;
	}
	return m->want_layout.monitors_count ? 0 : -ERR_PROTOCOL;
}

/* A client that comes back says again which picture it drew last: the word may have been lost with
 * the path. */
static int
on_ack(struct work *work, union input *m)
{
	int again = work->ack_again && m->ack.seq == work->acked;
	int r = replay_confirm(&work->replay, m->ack.received);
	work->ack_again = 0;
	if (r < 0 || again)
		return r;
	work->acked = m->ack.seq;
	return work_desktop_send(work, engawa_InnerType_INNER_ACK, engawa_Ack_fields,
		&(engawa_Ack){.seq = m->ack.seq});
}

static int
on_ping(struct work *work, union input *m)
{
	engawa_InnerPong pong = {.id = m->ping.id};
	int r = replay_confirm(&work->replay, m->ping.received);
	if (r < 0)
		return r;
	return inner_send_message(
		&work->inner, engawa_InnerType_INNER_PONG, engawa_InnerPong_fields, &pong);
}

static int
on_end(struct work *work, union input *m)
{
	(void)m;
	/* no answer: the client has gone */
	work_end(work, 0);
	return 0;
}

/* Only who was warned can answer: Continue does not keep a session alive by itself. */
static int
on_continue(struct work *work, union input *m)
{
	(void)m;
	if (work->warned)
		work_active(work);
	return 0;
}

/* A report that contradicts itself goes on as one that cannot be read. */
static int
on_posture(struct work *work, union input *m)
{
	uint8_t out[MESSAGE_MAX_BYTES];
	struct report report;
	size_t len = report_take(&m->posture, &report) == 0 ? report_put(&report, out) : 0;
	work->tell(MSG_POSTURE, out, len);
	return 0;
}

/* Did a person do something? A pointer that stays where it was is sent by nobody's hand. */
static int
is_active(struct work *work, uint8_t type, const union input *m)
{
	const engawa_Pointer *p = &m->pointer;
	if (type != engawa_InnerType_INNER_POINTER)
		return 1;
	int moved = p->x_px != work->x_px || p->y_px != work->y_px || p->buttons != work->buttons;
	work->x_px = p->x_px;
	work->y_px = p->y_px;
	work->buttons = p->buttons;
	return moved;
}

static const struct rule {
	uint8_t type;
	uint8_t is_input; /* a person did something: the idle clock starts again */
	uint8_t to_desktop;
	enum rate_kind rate;
	const pb_msgdesc_t *fields;
	int (*fn)(struct work *work, union input *m);
} rules[] = {
	{engawa_InnerType_INNER_ACK, 0, 0, RATE_LIFE, engawa_Ack_fields, on_ack},
	{engawa_InnerType_INNER_POINTER, 1, 1, RATE_POINTER, engawa_Pointer_fields, check_pointer},
	{engawa_InnerType_INNER_KEY, 1, 1, RATE_KEY, engawa_Key_fields, check_key},
	{engawa_InnerType_INNER_TEXT, 1, 1, RATE_TEXT, engawa_Text_fields, check_text},
	{engawa_InnerType_INNER_WANT_LAYOUT, 0, 1, RATE_LAYOUT, engawa_WantLayout_fields,
		check_want_layout},
	{engawa_InnerType_INNER_CONTINUE, 0, 0, RATE_CONTINUE, engawa_Continue_fields, on_continue},
	{engawa_InnerType_INNER_POSTURE, 0, 0, RATE_POSTURE, engawa_Posture_fields, on_posture},
	{engawa_InnerType_INNER_PING, 0, 0, RATE_LIFE, engawa_InnerPing_fields, on_ping},
	{engawa_InnerType_INNER_END, 0, 0, RATE_FREE, engawa_End_fields, on_end},
};

/* Of a text each character counts. */
static uint32_t
events_of(uint8_t type, const union input *m)
{
	uint32_t count = 0;
	if (type != engawa_InnerType_INNER_TEXT)
		return 1;
	for (const char *p = m->text.text; *p; p++)
		count += ((unsigned char)*p & 0xc0) != 0x80;
	return count;
}

int
work_input(struct work *work, uint8_t type, const uint8_t *payload, size_t len)
{
	union input m;
	const struct rule *rule = NULL;
	for (size_t i = 0; !rule && i < sizeof rules / sizeof rules[0]; i++)
		if (rules[i].type == type)
			rule = &rules[i];
	if (!rule)
		return -ERR_PROTOCOL;
	if (frame_decode(rule->fields, &m, payload, len) < 0) {
		if (type != engawa_InnerType_INNER_POSTURE)
			return -ERR_PROTOCOL;
		memset(&m, 0, sizeof m); /* no report, then */
	}
	if (!rates_take(&work->rates, rule->rate, events_of(type, &m), work->now)) {
		LOG(WARN, "input.burst", F_STR("kind", rate_name(rule->rate)));
		return -ERR_INPUT_BURST;
	}
	int r = rule->fn ? rule->fn(work, &m) : 0;
	if (r < 0)
		return r;
	if (rule->is_input && is_active(work, type, &m))
		work_active(work);
	return rule->to_desktop ? work_desktop_send(work, type, rule->fields, &m) : 0;
}
