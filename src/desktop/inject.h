/* Hands: pointer, buttons, keys and characters, into whatever source the program has. What is held
 * is known, so that nothing stays held. */
#pragma once
#include <stdint.h>

#include "base/clock.h"

enum {
	INJECT_BUTTONS = 9, /* 1-3, wheel 4-7, back 8, forward 9 */
};

struct inject;

void inject_motion(struct inject *inject, uint16_t x, uint16_t y);
void inject_button(struct inject *inject, unsigned button, int down);
int inject_holds_button(const struct inject *inject, unsigned button);

/* The key at the same place when it means the same here, else one that gives the keysym: what the
 * home keyboard has printed on it is what arrives, be it a Japanese, an American or a Mac's. 0
 * (done, or nothing to do), or milliseconds to wait before trying again. */
int inject_key_down(struct inject *inject, uint32_t usage, uint32_t sym, struct mono now);
void inject_key_up(struct inject *inject, uint32_t usage, uint32_t sym);
/* Releases every key, or every key and button; text under way is not wanted any more. */
void inject_release_keys(struct inject *inject);
void inject_release(struct inject *inject);

/* Gives text to the program in front by the input method: as commit_possible and commit_text. */
int inject_commits(const struct inject *inject);
int inject_commit(struct inject *inject, const char *text, struct mono now);
/* Makes keys ready for the characters of a text, so that they are waited for once, not one by one.
 */
void inject_text_prepare(struct inject *inject, const char *text, struct mono now);
/* Types one character. 0, milliseconds to wait, or -ERR_NOT_FOUND. Keys that the person holds are
 * released for it. */
int inject_character(struct inject *inject, uint32_t codepoint, struct mono now);
