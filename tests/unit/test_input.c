/* Input of the desktop without a display: what is injected is written down instead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "desktop/input.h"
#include "desktop/scancode.h"
#include "desktop/usage.h"
#include "inner.pb.h"
#include "net/frame.h"

static char done[65536]; /* what was injected, in order */
static size_t done_len;
static int waits;           /* that many calls ask for 5 ms first */
static int method, refuses; /* there is an input method; it takes nothing */
static struct source_shape shape = {.width = 1000, .height = 600};
struct inject {
	uint16_t buttons;
};
static struct inject inject;
static struct input input;
static struct mono now;

#define NOTE(...) note(snprintf(done + done_len, sizeof done - done_len, __VA_ARGS__))

static void
note(int len)
{
	done_len += (size_t)len;
	assert_true(done_len < sizeof done);
}

static int
wait_first(void)
{
	return waits-- > 0 ? 5 : 0;
}

void
inject_motion(struct inject *in, uint16_t x, uint16_t y)
{
	(void)in;
	NOTE("m%u,%u ", x, y);
}

void
inject_button(struct inject *in, unsigned button, int down)
{
	unsigned bit = 1u << (button - 1);
	if (!(in->buttons & bit) == !down)
		return;
	in->buttons = (uint16_t)(in->buttons ^ bit);
	NOTE("b%u%c ", button, down ? '+' : '-');
}

int
inject_holds_button(const struct inject *in, unsigned button)
{
	return in->buttons >> (button - 1) & 1;
}

int
inject_key_down(struct inject *in, uint32_t usage, uint32_t sym, struct mono t)
{
	(void)in, (void)sym, (void)t;
	int wait = wait_first();
	if (!wait)
		NOTE("k%u+ ", usage);
	return wait;
}

void
inject_key_up(struct inject *in, uint32_t usage, uint32_t sym)
{
	(void)in, (void)sym;
	NOTE("k%u- ", usage);
}

int
inject_commits(const struct inject *in)
{
	(void)in;
	return method;
}

int
inject_commit(struct inject *in, const char *s, struct mono t)
{
	(void)in, (void)t;
	if (refuses)
		return -ERR_NOT_FOUND;
	int wait = wait_first();
	if (!wait)
		NOTE("c%s ", s);
	return wait;
}

void
inject_text_prepare(struct inject *in, const char *text, struct mono t)
{
	(void)in, (void)text, (void)t;
}

int
inject_character(struct inject *in, uint32_t codepoint, struct mono t)
{
	(void)in, (void)t;
	if (codepoint == '\a')
		return -ERR_NOT_FOUND;
	int wait = wait_first();
	if (!wait)
		NOTE("t%x ", codepoint);
	return wait;
}

static int
setup(void **state)
{
	(void)state;
	done_len = 0;
	done[0] = '\0';
	waits = method = refuses = 0;
	memset(&inject, 0, sizeof inject);
	input_init(&input, &inject, &shape);
	now = mono_now();
	return 0;
}

static int
give(uint8_t type, const pb_msgdesc_t *fields, const void *msg)
{
	uint8_t out[256];
	int len = frame_encode(type, fields, msg, out, sizeof out);
	assert_true(len > 0);
	return input_take(&input, type, out + FRAME_HEADER_BYTES, (size_t)len - FRAME_HEADER_BYTES);
}

static int
pointer(uint32_t x, uint32_t y, uint32_t buttons)
{
	return give(engawa_InnerType_INNER_POINTER, engawa_Pointer_fields,
		&(engawa_Pointer){.x_px = x, .y_px = y, .buttons = buttons});
}

static int
key(uint32_t usage, uint32_t sym, bool down)
{
	return give(engawa_InnerType_INNER_KEY, engawa_Key_fields,
		&(engawa_Key){.usage = usage, .keysym = sym, .down = down});
}

static int
text(const char *s)
{
	engawa_Text t = {0};
	assert_int_equal(str_copy(t.text, sizeof t.text, s), 0);
	return give(engawa_InnerType_INNER_TEXT, engawa_Text_fields, &t);
}

static void
test_order(void **state)
{
	(void)state;
	assert_int_equal(pointer(5, 6, 1), 0);
	assert_int_equal(key(4, 97, true), 0);
	assert_int_equal(key(4, 97, false), 0);
	assert_int_equal(text("aé漢😀"), 0);
	assert_int_equal(pointer(7, 8, 0), 0);
	assert_int_equal(input_run(&input, now), -1);
	assert_string_equal(done, "m5,6 b1+ k4+ k4- t61 te9 t6f22 t1f600 m7,8 b1- ");
}

static void
test_pointer(void **state)
{
	(void)state;
	/* only the newest place is moved to, but no press is left out */
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(pointer(i, i, 0), 0);
	assert_int_equal(pointer(1, 1, 4), 0);
	assert_int_equal(pointer(2, 2, 4), 0);
	assert_int_equal(pointer(UINT32_MAX, 600, 0), 0);
	assert_int_equal(input_run(&input, now), -1);
	assert_string_equal(done, "m999,599 m2,2 b3+ m999,599 b3- ");
	assert_int_equal(pointer(0, 0, 0x200), -ERR_PROTOCOL);
	assert_int_equal(pointer(0, 0, UINT32_MAX), -ERR_PROTOCOL);
	assert_int_equal(pointer(0, 0, 0x1ff), 0);
}

static void
test_refused(void **state)
{
	(void)state;
	assert_int_equal(key(0x10000, 0, true), -ERR_PROTOCOL);
	assert_int_equal(key(4, 0x20000000, true), -ERR_PROTOCOL);
	assert_int_equal(input_take(&input, engawa_InnerType_INNER_FRAME, NULL, 0), -ERR_PROTOCOL);
	assert_int_equal(input_take(&input, 0, NULL, 0), -ERR_PROTOCOL);
	assert_int_equal(input_take(&input, engawa_InnerType_INNER_KEY, (const uint8_t *)"\xff", 1),
		-ERR_PROTOCOL);
	assert_int_equal(text(""), 0);
	assert_int_equal(input.count, 0);
	assert_int_equal(input_run(&input, now), -1);
	assert_string_equal(done, "");
}

/* What the rates hold back comes later, in order, and releases are never behind. */
static void
test_key_rate(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 50; i++) {
		assert_int_equal(key(4, 0, true), 0);
		assert_int_equal(key(4, 0, false), 0);
	}
	int wait = input_run(&input, now);
	assert_in_range(wait, 1, 34);
	assert_int_equal(input.count, 20);
	assert_int_equal(input_run(&input, mono_add_ms(now, 1)), 33);
	now = mono_add_ms(now, 34);
	assert_true(input_run(&input, now) > 0);
	assert_int_equal(input.count, 18);
	now = mono_add_ms(now, 1000);
	assert_int_equal(input_run(&input, now), -1);
	assert_int_equal(done_len, 100 * strlen("k4+ "));
	/* a long pause fills the bucket, and no further */
	now = mono_add_ms(now, UINT32_MAX);
	for (uint32_t i = 0; i < 41; i++)
		assert_int_equal(key(4, 0, true), 0);
	assert_in_range(input_run(&input, now), 1, 34);
	assert_int_equal(input.count, 1);
}

static void
test_text_rate(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(text("0123456789012345678901234567890123456789"), 0);
	assert_int_equal(key(4, 0, true), 0);
	assert_in_range(input_run(&input, now), 1, 50);
	assert_int_equal(done_len, 64 * strlen("t30 "));
	now = mono_add_ms(now, 1000);
	assert_true(input_run(&input, now) > 0);
	assert_int_equal(done_len, 84 * strlen("t30 "));
	now = mono_add_ms(now, 1801);
	assert_int_equal(input_run(&input, now), -1); /* the key behind the text came after it */
	assert_string_equal(done + 120 * strlen("t30 "), "k4+ ");
}

/* By an input method a text comes as a whole, no sooner than its last character may, and what is
 * behind it stays behind it. */
static void
test_commit(void **state)
{
	(void)state;
	method = 1;
	assert_int_equal(text("縁側"), 0);
	assert_int_equal(key(4, 0, true), 0);
	waits = 2;
	assert_int_equal(input_run(&input, now), 5);
	assert_int_equal(input_run(&input, now), 5);
	assert_string_equal(done, "");
	assert_int_equal(input_run(&input, now), -1);
	assert_string_equal(done, "c縁側 k4+ ");
	assert_int_equal(input.committed, 2);

	/* 62 are left; 48 more leave 14, so of the next 48 34 have to be waited for */
	const char *long_text = "012345678901234567890123456789012345678901234567";
	assert_int_equal(text(long_text), 0);
	assert_int_equal(text(long_text), 0);
	assert_int_equal(input_run(&input, now), 34 * 50);
	assert_int_equal(input.committed, 50);
	assert_in_range(input_run(&input, mono_add_ms(now, 34 * 50 - 1)), 1, 2);
	assert_int_equal(input_run(&input, mono_add_ms(now, 34 * 50 + 1)), -1);
	assert_int_equal(input.committed, 98);

	/* nobody takes it: keys, and no second try for the same text */
	now = mono_add_ms(now, 10000);
	refuses = 1;
	done_len = 0;
	waits = 1;
	assert_int_equal(text("ab"), 0);
	assert_int_equal(input_run(&input, now), 5);
	refuses = 0;
	assert_int_equal(input_run(&input, now), -1);
	assert_string_equal(done, "t61 t62 ");
	assert_int_equal(input.typed, 2);
	assert_int_equal(input.lost, 0);
}

static void
test_button_rate(void **state)
{
	(void)state;
	uint32_t wheel = 0;
	for (int n = 0; n < 3; n++) {
		while (input_room(&input))
			assert_int_equal(pointer(1, 1, wheel ^= 8), 0);
		int wait = input_run(&input, now);
		assert_true(wait == -1 || (n > 0 && wait <= 9));
	}
	size_t presses = 0;
	for (const char *p = done; (p = strstr(p, "b4+")); p++)
		presses++;
	assert_int_equal(presses, 120);
}

/* A key without a place waits for its binding; what comes after waits too. */
static void
test_waiting(void **state)
{
	(void)state;
	waits = 2;
	assert_int_equal(key(0, 0x1006f22, true), 0);
	assert_int_equal(key(5, 0, true), 0);
	assert_int_equal(input_run(&input, now), 5);
	assert_int_equal(input_run(&input, now), 5);
	assert_string_equal(done, "");
	assert_int_equal(input_run(&input, now), -1);
	assert_string_equal(done, "k0+ k5+ ");
	done_len = 0;
	assert_int_equal(text("x\ay"), 0); /* one that cannot be typed is passed over */
	waits = 1;
	assert_int_equal(input_run(&input, now), 5);
	assert_int_equal(input_run(&input, now), -1);
	assert_string_equal(done, "t78 t79 ");
}

static void
test_usages(void **state)
{
	(void)state;
	assert_int_equal(usage_evdev(0), 0);
	assert_int_equal(usage_evdev(0x04), 30);  /* a */
	assert_int_equal(usage_evdev(0x1d), 44);  /* z */
	assert_int_equal(usage_evdev(0x27), 11);  /* 0 */
	assert_int_equal(usage_evdev(0x52), 103); /* up */
	assert_int_equal(usage_evdev(0x63), 83);  /* keypad . */
	assert_int_equal(usage_evdev(0x66), 0);   /* power */
	assert_int_equal(usage_evdev(0x87), 89);  /* ろ */
	assert_int_equal(usage_evdev(0x8b), 94);  /* 無変換 */
	assert_int_equal(usage_evdev(0x94), 85);  /* 全角 */
	assert_int_equal(usage_evdev(0xe7), 126); /* right meta */
	assert_int_equal(usage_evdev(0xe8), 0);
	assert_int_equal(usage_evdev(0x100), 0);
	assert_int_equal(usage_evdev(UINT32_MAX), 0);
}

/* Every key that X has, xrdp has too, each by a number of its own; and a few by their value. */
static void
test_scancodes(void **state)
{
	(void)state;
	assert_int_equal(scancode_of_usage(0), 0);
	assert_int_equal(scancode_of_usage(0x04), 0x1e);  /* a */
	assert_int_equal(scancode_of_usage(0x28), 0x1c);  /* Return */
	assert_int_equal(scancode_of_usage(0x45), 0x58);  /* F12 */
	assert_int_equal(scancode_of_usage(0x35), 0x29);  /* 半角/全角 */
	assert_int_equal(scancode_of_usage(0x52), 0x148); /* up */
	assert_int_equal(scancode_of_usage(0x58), 0x11c); /* keypad Enter */
	assert_int_equal(scancode_of_usage(0x87), 0x73);  /* ろ */
	assert_int_equal(scancode_of_usage(0x88), 0x70);  /* カタカナ ひらがな */
	assert_int_equal(scancode_of_usage(0x89), 0x7d);  /* ¥ */
	assert_int_equal(scancode_of_usage(0x8a), 0x79);  /* 変換 */
	assert_int_equal(scancode_of_usage(0x8b), 0x7b);  /* 無変換 */
	assert_int_equal(scancode_of_usage(0xe6), 0x138); /* right Alt */
	assert_int_equal(scancode_of_usage(0x48), SCANCODE_PAUSE);
	assert_int_equal(scancode_of_usage(0x66), 0);
	assert_int_equal(scancode_of_usage(UINT32_MAX), 0);
	/* no letter, digit or function key hides another one */
	for (uint32_t a = 0x04; a <= 0x63; a++)
		for (uint32_t b = a + 1; b <= 0x63; b++)
			if (scancode_of_usage(a) && usage_evdev(a) != usage_evdev(b))
				assert_int_not_equal(scancode_of_usage(a), scancode_of_usage(b));
	assert_int_equal(scancode_usage_of_sym(0xff0d), 0x28);
	assert_int_equal(scancode_usage_of_sym(0xffc9), 0x45); /* F12 */
	assert_int_equal(scancode_usage_of_sym(0xffca), 0);
	assert_int_equal(scancode_usage_of_sym('a'), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scancodes),
		cmocka_unit_test_setup(test_order, setup),
		cmocka_unit_test_setup(test_pointer, setup),
		cmocka_unit_test_setup(test_refused, setup),
		cmocka_unit_test_setup(test_key_rate, setup),
		cmocka_unit_test_setup(test_text_rate, setup),
		cmocka_unit_test_setup(test_commit, setup),
		cmocka_unit_test_setup(test_button_rate, setup),
		cmocka_unit_test_setup(test_waiting, setup),
		cmocka_unit_test(test_usages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
