/* Hands without a display: whatever they are told is done at once. */
#pragma once
#include "base/err.h"
#include "desktop/inject.h"

void
inject_motion(struct inject *inject, uint16_t x, uint16_t y)
{
	(void)inject, (void)x, (void)y;
}

void
inject_button(struct inject *inject, unsigned button, int down)
{
	(void)inject, (void)button, (void)down;
}

int
inject_holds_button(const struct inject *inject, unsigned button)
{
	(void)inject, (void)button;
	return 0;
}

int
inject_key_down(struct inject *inject, uint32_t usage, uint32_t sym, struct mono now)
{
	(void)inject, (void)usage, (void)sym, (void)now;
	return 0;
}

void
inject_key_up(struct inject *inject, uint32_t usage, uint32_t sym)
{
	(void)inject, (void)usage, (void)sym;
}

int
inject_commits(const struct inject *inject)
{
	(void)inject;
	return 0;
}

int
inject_commit(struct inject *inject, const char *text, struct mono now)
{
	(void)inject, (void)text, (void)now;
	return -ERR_NOT_FOUND;
}

void
inject_text_prepare(struct inject *inject, const char *text, struct mono now)
{
	(void)inject, (void)text, (void)now;
}

int
inject_character(struct inject *inject, uint32_t codepoint, struct mono now)
{
	(void)inject, (void)codepoint, (void)now;
	return 0;
}
