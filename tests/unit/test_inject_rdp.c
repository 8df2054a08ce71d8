/* Hands of an RDP session: what libfreerdp is told to send is written down instead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <freerdp/input.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "desktop/inject_rdp.h"

static char sent[4096];
static rdpInput input;
static freerdp instance = {.input = &input};
static struct rdp rdp = {.instance = &instance};
static struct inject hands;
static struct mono now;

static BOOL
note(const char *kind, UINT16 flags, unsigned a, unsigned b)
{
	size_t len = strlen(sent);
	snprintf(sent + len, sizeof sent - len, "%s%x,%u,%u ", kind, flags, a, b);
	return TRUE;
}

BOOL
freerdp_input_send_keyboard_event(rdpInput *in, UINT16 flags, UINT16 code)
{
	assert_ptr_equal(in, &input);
	return note("k", flags, code, 0);
}

BOOL
freerdp_input_send_keyboard_pause_event(rdpInput *in)
{
	(void)in;
	return note("pause", 0, 0, 0);
}

BOOL
freerdp_input_send_unicode_keyboard_event(rdpInput *in, UINT16 flags, UINT16 code)
{
	(void)in;
	return note("u", flags, code, 0);
}

BOOL
freerdp_input_send_mouse_event(rdpInput *in, UINT16 flags, UINT16 x, UINT16 y)
{
	(void)in;
	return note("m", flags, x, y);
}

BOOL
freerdp_input_send_extended_mouse_event(rdpInput *in, UINT16 flags, UINT16 x, UINT16 y)
{
	(void)in;
	return note("x", flags, x, y);
}

static int
setup(void **state)
{
	(void)state;
	hands = (struct inject){.rdp = &rdp};
	sent[0] = '\0';
	return 0;
}

static void
test_pointer(void **state)
{
	(void)state;
	inject_motion(&hands, 10, 20);
	inject_motion(&hands, 10, 20);
	assert_string_equal(sent, "m800,10,20 ");
	assert_false(hands.touched);
	setup(NULL);
	/* left, middle, right; a second press of the same is none */
	for (unsigned button = 1; button <= 3; button++) {
		inject_button(&hands, button, 1);
		inject_button(&hands, button, 1);
		inject_button(&hands, button, 0);
	}
	assert_string_equal(sent, "m9000,0,0 m1000,0,0 mc000,0,0 m4000,0,0 ma000,0,0 m2000,0,0 ");
	assert_true(hands.touched);
}

static void
test_wheel_and_more(void **state)
{
	(void)state;
	/* up, down, left, right: a notch when pressed, nothing when released */
	for (unsigned button = 4; button <= 7; button++) {
		inject_button(&hands, button, 1);
		inject_button(&hands, button, 0);
	}
	assert_string_equal(sent, "m278,0,0 m388,0,0 m588,0,0 m478,0,0 ");
	setup(NULL);
	inject_button(&hands, 8, 1);
	inject_button(&hands, 9, 1);
	assert_true(inject_holds_button(&hands, 8) && !inject_holds_button(&hands, 1));
	inject_release(&hands);
	assert_string_equal(sent, "x8001,0,0 x8002,0,0 x1,0,0 x2,0,0 ");
	assert_false(inject_holds_button(&hands, 8));
}

static void
test_keys(void **state)
{
	(void)state;
	inject_key_down(&hands, 0x04, 'a', now); /* a */
	inject_key_down(&hands, 0x04, 'a', now); /* once only: repeating is done there */
	inject_key_down(&hands, 0x52, 0, now);   /* up */
	inject_key_up(&hands, 0x04, 'a');
	inject_key_up(&hands, 0x04, 'a');
	inject_key_down(&hands, 0x48, 0, now); /* Pause */
	inject_key_up(&hands, 0x48, 0);
	inject_release_keys(&hands);
	assert_string_equal(sent, "k4000,30,0 k4100,72,0 k8000,30,0 pause0,0,0 k8100,72,0 ");
	setup(NULL);
	/* keysyms alone: Return is a key, あ a character */
	inject_key_down(&hands, 0, 0xff0d, now);
	inject_key_up(&hands, 0, 0xff0d);
	inject_key_down(&hands, 0, 0x01003042, now);
	inject_key_up(&hands, 0, 0x01003042);
	assert_string_equal(sent, "k4000,28,0 k8000,28,0 u0,12354,0 u8000,12354,0 ");
}

static void
test_text(void **state)
{
	(void)state;
	inject_key_down(&hands, 0xe1, 0, now); /* Shift is let go for it */
	assert_int_equal(inject_character(&hands, 0xe9, now), 0);
	assert_int_equal(inject_character(&hands, '\n', now), 0);
	assert_int_equal(inject_character(&hands, 0x1f600, now), 0);
	assert_int_equal(inject_character(&hands, 0x07, now), -ERR_NOT_FOUND);
	assert_string_equal(sent,
		"k4000,42,0 k8000,42,0 u0,233,0 u8000,233,0 k4000,28,0 k8000,28,0 "
		"u0,55357,0 u8000,55357,0 u0,56832,0 u8000,56832,0 ");
	/* nobody there any more */
	setup(NULL);
	rdp.instance = NULL;
	inject_key_down(&hands, 0x04, 0, now);
	inject_button(&hands, 1, 1);
	inject_release(&hands);
	assert_string_equal(sent, "");
	rdp.instance = &instance;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_pointer, setup),
		cmocka_unit_test_setup(test_wheel_and_more, setup),
		cmocka_unit_test_setup(test_keys, setup),
		cmocka_unit_test_setup(test_text, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
