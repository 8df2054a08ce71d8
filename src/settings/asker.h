/*
 * Questions to the agent from a program with a window: asked one after another on a thread,
 * answered on the main loop. One connection is kept, so that what was unlocked on it stays unlocked
 * for a while.
 */
#pragma once
#include <stdint.h>

struct asker;

/* code: 0 or negative, as of ask(). answer is wiped afterwards. */
typedef void answer_fn(void *user, int code, const char *answer);

struct asker *asker_new(const char *socket, const char *state_directory);
/* Waits for the question that is being asked; the others are dropped without their answers. */
void asker_free(struct asker *asker);
/* text is copied, and wiped. */
void asker_ask(struct asker *asker, uint16_t type, const char *text, answer_fn *fn, void *user);
