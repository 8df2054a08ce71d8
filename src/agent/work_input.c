/*
 * The client's input, by a table. Every message is decoded, checked, and encoded again: the desktop
 * never sees a byte as the client chose it. Posture and FirewallAlive belong to steps that no
 * client has been asked for: they are errors.
 */
#include <string.h>

#include "agent/work.h"
#include "base/err.h"
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

static int
on_ping(struct work *work, union input *m)
{
	engawa_InnerPong pong = {.id = m->ping.id};
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

static const struct rule {
	uint8_t type;
	uint8_t is_input; /* a person did something: the idle clock starts again */
	uint8_t to_desktop;
	const pb_msgdesc_t *fields;
	int (*fn)(struct work *work, union input *m);
} rules[] = {
	{engawa_InnerType_INNER_ACK, 0, 1, engawa_Ack_fields, NULL},
	{engawa_InnerType_INNER_POINTER, 1, 1, engawa_Pointer_fields, check_pointer},
	{engawa_InnerType_INNER_KEY, 1, 1, engawa_Key_fields, check_key},
	{engawa_InnerType_INNER_TEXT, 1, 1, engawa_Text_fields, check_text},
	{engawa_InnerType_INNER_WANT_LAYOUT, 0, 1, engawa_WantLayout_fields, check_want_layout},
	{engawa_InnerType_INNER_CONTINUE, 1, 0, engawa_Continue_fields, NULL},
	{engawa_InnerType_INNER_PING, 0, 0, engawa_InnerPing_fields, on_ping},
	{engawa_InnerType_INNER_END, 0, 0, engawa_End_fields, on_end},
};

int
work_input(struct work *work, uint8_t type, const uint8_t *payload, size_t len)
{
	union input m;
	const struct rule *rule = NULL;
	for (size_t i = 0; !rule && i < sizeof rules / sizeof rules[0]; i++)
		if (rules[i].type == type)
			rule = &rules[i];
	if (!rule || frame_decode(rule->fields, &m, payload, len) < 0)
		return -ERR_PROTOCOL;
	int r = rule->fn ? rule->fn(work, &m) : 0;
	if (r == 0 && rule->is_input) {
		work->last_input = mono_now();
		work->warned = 0;
	}
	if (r == 0 && rule->to_desktop)
		r = work_desktop_send(work, type, rule->fields, &m);
	return r;
}
