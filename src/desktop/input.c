#include "desktop/input.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "inner.pb.h"
#include "net/frame.h"

enum {
	KEY_BURST = 40,
	KEY_PER_S = 30,
	TEXT_BURST = 64,
	TEXT_PER_S = 20,
	BUTTON_BURST = 120, /* notches of a fast wheel are presses too */
	BUTTON_PER_S = 120,
	BUTTON_BITS = (1 << INJECT_BUTTONS) - 1,
	SYM_MAX = 0x1fffffff, /* X11 protocol: three zero bits on top */
	USAGE_MAX = 0xffff,
	MICRO = 1000000,
};

static struct input_bucket
bucket(uint32_t burst, uint32_t per_s)
{
	return (struct input_bucket){burst, per_s, (uint64_t)burst * MICRO, mono_now()};
}

void
input_init(struct input *input, struct inject *inject, const struct source_shape *shape)
{
	*input = (struct input){
		.inject = inject, .shape = shape, .limited = {.burst = 1, .window_ms = 10000}};
	input->rates[INPUT_POINTER] = bucket(BUTTON_BURST, BUTTON_PER_S);
	input->rates[INPUT_KEY] = bucket(KEY_BURST, KEY_PER_S);
	input->rates[INPUT_TEXT] = bucket(TEXT_BURST, TEXT_PER_S);
}

int
input_room(const struct input *input)
{
	return input->count < INPUT_QUEUE_MAX;
}

static struct input_event *
queue_at(struct input *input, size_t i)
{
	return &input->queue[(input->first + i) % INPUT_QUEUE_MAX];
}

static int
add(struct input *input, struct input_event event)
{
	assert(input_room(input));
	*queue_at(input, input->count++) = event;
	return 0;
}

static int
take_pointer(struct input *input, const uint8_t *payload, size_t len)
{
	engawa_Pointer p;
	if (frame_decode(engawa_Pointer_fields, &p, payload, len) < 0 || p.buttons > BUTTON_BITS)
		return -ERR_PROTOCOL;
	struct input_event event = {
		.kind = INPUT_POINTER, .a = p.x_px, .b = p.y_px, .buttons = (uint16_t)p.buttons};
	struct input_event *last = input->count ? queue_at(input, input->count - 1) : NULL;
	if (last && last->kind == INPUT_POINTER && last->buttons == event.buttons) {
		*last = event; /* only the newest place counts */
		return 0;
	}
	return add(input, event);
}

static int
take_key(struct input *input, const uint8_t *payload, size_t len)
{
	engawa_Key k;
	if (frame_decode(engawa_Key_fields, &k, payload, len) < 0 || k.usage > USAGE_MAX ||
		k.keysym > SYM_MAX)
		return -ERR_PROTOCOL;
	return add(input, (struct input_event){
				  .kind = INPUT_KEY, .a = k.usage, .b = k.keysym, .down = k.down});
}

static int
take_text(struct input *input, const uint8_t *payload, size_t len)
{
	engawa_Text t;
	if (frame_decode(engawa_Text_fields, &t, payload, len) < 0)
		return -ERR_PROTOCOL;
	struct input_event event = {.kind = INPUT_TEXT};
	static_assert(sizeof event.text == sizeof t.text, "inner.options");
	memcpy(event.text, t.text, sizeof event.text);
	return event.text[0] ? add(input, event) : 0;
}

int
input_take(struct input *input, uint8_t type, const uint8_t *payload, size_t len)
{
	switch (type) {
	case engawa_InnerType_INNER_POINTER:
		return take_pointer(input, payload, len);
	case engawa_InnerType_INNER_KEY:
		return take_key(input, payload, len);
	case engawa_InnerType_INNER_TEXT:
		return take_text(input, payload, len);
	default:
		return -ERR_PROTOCOL;
	}
}

/* Milliseconds until so many events, no more than a burst, may pass; 0 = now. */
static int
bucket_wait(struct input_bucket *b, uint32_t count, struct mono now)
{
	uint64_t full = (uint64_t)b->burst * MICRO;
	uint64_t ms = mono_diff_ms(b->filled, now);
	if (ms > 0) {
		uint64_t gain = ms > full ? full : ms * b->per_s * (MICRO / 1000);
		b->micro = b->micro + gain < full ? b->micro + gain : full;
		b->filled = mono_add_ms(b->filled, ms);
	}
	uint64_t needed = (uint64_t)count * MICRO;
	if (b->micro >= needed)
		return 0;
	uint64_t per_ms = (uint64_t)b->per_s * (MICRO / 1000);
	return (int)((needed - b->micro + per_ms - 1) / per_ms);
}

static void
bucket_take(struct input_bucket *b, uint32_t count)
{
	b->micro -= (uint64_t)count * MICRO;
}

static int
limit(struct input *input, enum input_kind kind, uint32_t count, struct mono now)
{
	static const char *const names[] = {"button", "key", "text"};
	uint32_t held;
	int wait = bucket_wait(&input->rates[kind], count, now);
	if (wait > 0 && log_limit_pass(&input->limited, &held))
		LOG(WARN, "desktop.input_limited", F_STR("kind", names[kind]), F_INT("held", held));
	return wait;
}

/* Each run_ returns 0 when the event is done with, or milliseconds to wait before going on with it.
 */
static int
run_pointer(struct input *input, struct input_event *e, struct mono now)
{
	uint32_t x = e->a, y = e->b, w = input->shape->width, h = input->shape->height;
	/* a client that has not heard of a smaller layout yet points outside */
	inject_motion(input->inject, (uint16_t)(x < w ? x : w - 1), (uint16_t)(y < h ? y : h - 1));
	for (unsigned button = 1; button <= INJECT_BUTTONS; button++) {
		int down = e->buttons >> (button - 1) & 1;
		if (down && !inject_holds_button(input->inject, button)) {
			int wait = limit(input, INPUT_POINTER, 1, now);
			if (wait > 0)
				return wait;
			bucket_take(&input->rates[INPUT_POINTER], 1);
		}
		inject_button(input->inject, button, down);
	}
	return 0;
}

static int
run_key(struct input *input, struct input_event *e, struct mono now)
{
	if (!e->down) {
		inject_key_up(input->inject, e->a, e->b);
		return 0;
	}
	int wait = limit(input, INPUT_KEY, 1, now);
	if (wait == 0)
		wait = inject_key_down(input->inject, e->a, e->b, now);
	if (wait == 0)
		bucket_take(&input->rates[INPUT_KEY], 1);
	return wait;
}

static uint32_t
characters(const char *text)
{
	uint32_t n = 0, codepoint;
	for (; *text; n++)
		text += str_utf8_next(text, &codepoint);
	return n;
}

/* The whole text at once by the input method. 0, milliseconds to wait, or -ERR_NOT_FOUND. */
static int
run_commit(struct input *input, struct input_event *e, struct mono now)
{
	uint32_t count = characters(e->text);
	if (!inject_commits(input->inject))
		return -ERR_NOT_FOUND;
	int wait = limit(input, INPUT_TEXT, count, now);
	if (wait == 0)
		wait = inject_commit(input->inject, e->text, now);
	if (wait == 0) {
		bucket_take(&input->rates[INPUT_TEXT], count);
		input->committed += count;
	}
	return wait;
}

static int
run_text(struct input *input, struct input_event *e, struct mono now)
{
	int wait = e->b ? -ERR_NOT_FOUND : run_commit(input, e, now);
	if (wait >= 0)
		return wait;
	if (!e->b)
		inject_text_prepare(input->inject, e->text, now);
	e->b = 1;
	while (e->text[e->a]) {
		uint32_t codepoint;
		size_t n = str_utf8_next(e->text + e->a, &codepoint);
		wait = limit(input, INPUT_TEXT, 1, now);
		if (wait == 0)
			wait = inject_character(input->inject, codepoint, now);
		if (wait > 0)
			return wait;
		/* a character that this keyboard map has no room for is passed over */
		*(wait == 0 ? &input->typed : &input->lost) += 1;
		bucket_take(&input->rates[INPUT_TEXT], 1);
		e->a += (uint32_t)n;
	}
	return 0;
}

void
input_drop(struct input *input)
{
	mem_wipe(input->queue, sizeof input->queue);
	input->first = input->count = 0;
}

void
input_report(const struct input *input)
{
	if (input->committed + input->typed + input->lost > 0)
		LOG(INFO, "desktop.text", F_INT("committed", input->committed),
			F_INT("typed", input->typed), F_INT("lost", input->lost));
}

int
input_run(struct input *input, struct mono now)
{
	while (input->count > 0) {
		struct input_event *e = queue_at(input, 0);
		int wait = e->kind == INPUT_POINTER ? run_pointer(input, e, now)
			   : e->kind == INPUT_KEY   ? run_key(input, e, now)
						    : run_text(input, e, now);
		if (wait > 0)
			return wait;
		input->first = (input->first + 1) % INPUT_QUEUE_MAX;
		input->count--;
	}
	return -1;
}
