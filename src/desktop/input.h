/*
 * Pointer, keys and text from the client: checked, kept in order, slowed down to what hands can do,
 * given to inject. What exceeds the rates waits (and while much waits, nothing more is taken: the
 * sender's socket fills up), so nothing is lost and nothing is pasted.
 */
#pragma once
#include "base/log.h"
#include "desktop/inject.h"
#include "desktop/source.h"

enum {
	INPUT_QUEUE_MAX = 128,
	INPUT_TEXT_BYTES = 49, /* Text.text with its end */
};

/* Human rates, design/screen.md "Input". */
struct input_bucket {
	uint32_t burst, per_s;
	uint64_t micro; /* millionths of an event that may pass */
	struct mono filled;
};

struct input_event {
	enum input_kind {
		INPUT_POINTER,
		INPUT_KEY,
		INPUT_TEXT
	} kind;
	uint32_t a, b; /* pointer: x and y; key: usage and keysym; text: bytes that are through, and
			  whether keys are ready for the rest */
	uint16_t buttons;
	uint8_t down;
	char text[INPUT_TEXT_BYTES];
};

struct input {
	struct inject *inject;
	const struct source_shape *shape;
	struct input_bucket rates[3]; /* by enum input_kind; of the pointer: presses of buttons */
	struct input_event queue[INPUT_QUEUE_MAX];
	size_t first, count;
	struct log_limit limited;
	uint64_t committed, typed, lost; /* characters of text: by the input method, by keys, not */
};

void input_init(struct input *input, struct inject *inject, const struct source_shape *shape);

/* 1 when one more message can be taken. */
int input_room(const struct input *input);

/* A Pointer, Key or Text message. 0, or -ERR_PROTOCOL (nothing is taken). */
int input_take(struct input *input, uint8_t type, const uint8_t *payload, size_t len);

/* Writes into the log how much text there was. */
void input_report(const struct input *input);

/* Forgets what waits. */
void input_drop(struct input *input);

/* Does what may be done now. Returns milliseconds until more may be done, -1 when nothing waits. */
int input_run(struct input *input, struct mono now);
