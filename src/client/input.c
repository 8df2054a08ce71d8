/*
 * Input waits for the next point of a 20 ms grid: the times of key presses tell words, and the grid
 * takes most of that away (docs/protocol.md 8.2). What waits is in order; a pointer move replaces
 * one that waits just before it.
 */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "client/inside.h"

static void
grid_start(struct session *s)
{
	uint64_t now_ms = mono_diff_ms(s->start, mono_now());
	timer_start(s->grid, GRID_MS - now_ms % GRID_MS, 0);
}

static int
add(struct session *s, const struct input *input)
{
	if (s->state != WORK)
		return -ERR_CLOSED;
	if (s->input_count == INPUT_MAX)
		return -ENOBUFS;
	if (s->input_count == 0)
		grid_start(s);
	s->inputs[s->input_count++] = *input;
	return 0;
}

static int
send_one(struct session *s, const struct input *input)
{
	const pb_msgdesc_t *fields =
		input->type == engawa_InnerType_INNER_POINTER ? engawa_Pointer_fields
		: input->type == engawa_InnerType_INNER_KEY   ? engawa_Key_fields
							      : engawa_Text_fields;
	return record_send(s, input->type, fields, &input->pointer);
}

void
input_flush(void *user)
{
	struct session *s = user;
	/* a path that does not take our few bytes: wait, and let the queue's end say so */
	if (conn_queued(s->conn) > CONN_HIGH_BYTES) {
		grid_start(s);
		return;
	}
	int r = 0;
	for (size_t i = 0; i < s->input_count && r == 0; i++)
		r = send_one(s, &s->inputs[i]);
	mem_wipe(s->inputs, s->input_count * sizeof s->inputs[0]);
	s->input_count = 0;
	if (r < 0)
		session_fail(s, r, "input");
}

int
session_key(struct session *s, uint32_t usage, uint32_t keysym, int down)
{
	struct input input = {
		.type = engawa_InnerType_INNER_KEY, .key = {usage, keysym, down != 0}};
	return add(s, &input);
}

int
session_pointer(struct session *s, uint32_t x_px, uint32_t y_px, uint32_t buttons)
{
	struct input input = {
		.type = engawa_InnerType_INNER_POINTER, .pointer = {x_px, y_px, buttons}};
	struct input *last = s->input_count ? &s->inputs[s->input_count - 1] : NULL;
	if (last && last->type == input.type && last->pointer.buttons == buttons) {
		*last = input;
		return 0;
	}
	return add(s, &input);
}

/* Bytes of whole characters that fit into one message. */
static size_t
piece(const char *text)
{
	size_t len = strlen(text);
	if (len <= SESSION_TEXT_MAX_BYTES)
		return len;
	len = SESSION_TEXT_MAX_BYTES;
	while (((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	return len;
}

int
session_text(struct session *s, const char *text)
{
	size_t len = strlen(text);
	if (!str_utf8(text, len) || !str_printable(text))
		return -EINVAL;
	if (s->state != WORK)
		return -ERR_CLOSED;
	/* a piece has at least 45 bytes, its last character may be cut off */
	if (len / (SESSION_TEXT_MAX_BYTES - 3) + 1 > INPUT_MAX - s->input_count)
		return -ENOBUFS;
	while (*text) {
		struct input input = {.type = engawa_InnerType_INNER_TEXT};
		size_t n = piece(text);
		memcpy(input.text.text, text, n);
		add(s, &input);
		mem_wipe(&input, sizeof input);
		text += n;
	}
	return 0;
}

int
session_layout(struct session *s, const engawa_Monitor *monitors, size_t count)
{
	engawa_WantLayout want = {.monitors_count = (pb_size_t)count};
	if (count == 0 || count > sizeof want.monitors / sizeof want.monitors[0])
		return -EINVAL;
	if (s->state != WORK)
		return -ERR_CLOSED;
	memcpy(want.monitors, monitors, count * sizeof *monitors);
	memcpy(s->facts.monitors, monitors, count * sizeof *monitors);
	s->facts.monitors_count = want.monitors_count;
	return record_send(s, engawa_InnerType_INNER_WANT_LAYOUT, engawa_WantLayout_fields, &want);
}
