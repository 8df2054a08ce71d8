#include "desktop/inject_rdp.h"

#include <freerdp/input.h>
#include <freerdp/scancode.h>

#include "base/err.h"
#include "base/str.h"
#include "desktop/scancode.h"

enum {
	NOTCH = 0x78, /* of a wheel */
	NOTCH_BACK = 0x88 | PTR_FLAGS_WHEEL_NEGATIVE,
	SYM_UNICODE = 0x01000000, /* keysyms of characters beyond Latin-1 */
	USAGE_RETURN = 0x28,
	USAGE_TAB = 0x2b,
};

/* A connection that takes nothing more is noticed where it is read. */
static rdpInput *
input_of(const struct inject *in)
{
	return in->rdp->instance ? in->rdp->instance->input : NULL;
}

static void
key(const struct inject *in, uint16_t code, int down)
{
	rdpInput *input = input_of(in);
	UINT16 flags = (UINT16)((code & SCANCODE_EXTENDED ? KBD_FLAGS_EXTENDED : 0) |
				(down ? KBD_FLAGS_DOWN : KBD_FLAGS_RELEASE));
	if (!input || !code)
		return;
	if (code != SCANCODE_PAUSE)
		freerdp_input_send_keyboard_event(input, flags, code & SCANCODE_MASK);
	else if (down)
		freerdp_input_send_keyboard_pause_event(input);
}

static void
pointer(const struct inject *in, UINT16 flags, int extended)
{
	rdpInput *input = input_of(in);
	if (input && extended)
		freerdp_input_send_extended_mouse_event(input, flags, in->x, in->y);
	else if (input)
		freerdp_input_send_mouse_event(input, flags, in->x, in->y);
}

void
inject_motion(struct inject *in, uint16_t x, uint16_t y)
{
	if (in->x == x && in->y == y)
		return;
	in->x = x;
	in->y = y;
	pointer(in, PTR_FLAGS_MOVE, 0);
}

void
inject_button(struct inject *in, unsigned button, int down)
{
	static const UINT16 plain[] = {PTR_FLAGS_BUTTON1, PTR_FLAGS_BUTTON3, PTR_FLAGS_BUTTON2},
			    wheel[] = {PTR_FLAGS_WHEEL | NOTCH, PTR_FLAGS_WHEEL | NOTCH_BACK,
				    PTR_FLAGS_HWHEEL | NOTCH_BACK, PTR_FLAGS_HWHEEL | NOTCH},
			    extra[] = {PTR_XFLAGS_BUTTON1, PTR_XFLAGS_BUTTON2};
	uint16_t bit = (uint16_t)(1u << (button - 1));
	if (!(in->buttons & bit) == !down)
		return;
	in->buttons ^= bit;
	in->touched |= down;
	if (button <= 3)
		pointer(in, (UINT16)(plain[button - 1] | (down ? PTR_FLAGS_DOWN : 0)), 0);
	else if (button > 7)
		pointer(in, (UINT16)(extra[button - 8] | (down ? PTR_XFLAGS_DOWN : 0)), 1);
	else if (down)
		pointer(in, wheel[button - 4], 0);
}

int
inject_holds_button(const struct inject *in, unsigned button)
{
	return in->buttons >> (button - 1) & 1;
}

void
inject_release_keys(struct inject *in)
{
	uint16_t code;
	while (held_take_last(&in->held, &code))
		key(in, code, 0);
}

void
inject_release(struct inject *in)
{
	inject_release_keys(in);
	for (unsigned button = 1; button <= INJECT_BUTTONS; button++)
		inject_button(in, button, 0);
}

static uint32_t
character_of_sym(uint32_t sym)
{
	if ((sym >= 0x20 && sym < 0x7f) || (sym >= 0xa0 && sym <= 0xff))
		return sym;
	return sym > SYM_UNICODE && sym <= SYM_UNICODE + 0x10ffff ? sym - SYM_UNICODE : 0;
}

int
inject_key_down(struct inject *in, uint32_t usage, uint32_t sym, struct mono now)
{
	if (!held_may_add(&in->held, usage, sym))
		return 0;
	uint16_t code = scancode_of_usage(usage);
	if (!code)
		code = scancode_of_usage(scancode_usage_of_sym(sym));
	if (held_has_code(&in->held, code))
		return 0;
	in->touched = 1;
	if (code)
		key(in, code, 1);
	else if (character_of_sym(sym))
		inject_character(in, character_of_sym(sym), now);
	held_add(&in->held, usage, sym, code);
	return 0;
}

void
inject_key_up(struct inject *in, uint32_t usage, uint32_t sym)
{
	uint16_t code;
	if (held_take(&in->held, usage, sym, &code))
		key(in, code, 0);
}

/* xrdp has no way for it. */
int
inject_commits(const struct inject *in)
{
	(void)in;
	return 0;
}

int
inject_commit(struct inject *in, const char *text, struct mono now)
{
	(void)in, (void)text, (void)now;
	return -ERR_NOT_FOUND;
}

void
inject_text_prepare(struct inject *in, const char *text, struct mono now)
{
	(void)in, (void)text, (void)now;
}

static void
unit(rdpInput *input, UINT16 code)
{
	freerdp_input_send_unicode_keyboard_event(input, 0, code);
	freerdp_input_send_unicode_keyboard_event(input, KBD_FLAGS_RELEASE, code);
}

/* xrdp looks the character up on its keyboard and presses that key. */
int
inject_character(struct inject *in, uint32_t codepoint, struct mono now)
{
	rdpInput *input = input_of(in);
	(void)now;
	inject_release_keys(in);
	in->touched = 1;
	if (codepoint == '\n' || codepoint == '\t') {
		uint16_t code = scancode_of_usage(codepoint == '\n' ? USAGE_RETURN : USAGE_TAB);
		key(in, code, 1);
		key(in, code, 0);
		return 0;
	}
	if (codepoint < 0x20 || codepoint == 0x7f || !input)
		return -ERR_NOT_FOUND;
	if (codepoint < 0x10000) {
		unit(input, (UINT16)codepoint);
	} else {
		unit(input, (UINT16)(0xd7c0 + (codepoint >> 10)));
		unit(input, (UINT16)(0xdc00 | (codepoint & 0x3ff)));
	}
	return 0;
}
