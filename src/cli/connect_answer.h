/*
 * Answers to the login's questions for "engawa connect": from a command, a file, or the person at
 * the terminal. Codes and passwords are wiped after use.
 */
#pragma once
#include "inner.pb.h"
#include "net/loop.h"

struct answer;

struct answer_sources {
	const char *code_command;  /* for sh -c; NULL = ask at the terminal */
	const char *password_file; /* NULL = ask at the terminal */
	const char *pairing_code;  /* the same */
};

/* From the loop. text is wiped when this returns; NULL with a code when there is no answer to be
 * had. Must not free the answer. */
typedef void answer_fn(void *user, const char *text, int code);

struct answer *answer_new(
	struct loop *loop, const struct answer_sources *sources, answer_fn *fn, void *user);
/* When the loop has run its last. Ends a command that still runs, gives the terminal its echo back.
 * NULL is fine. */
void answer_free(struct answer *answer);

/*
 * Answers one prompt. A command or file that gave a wrong answer is not asked again (a lock-out
 * would be next): code is the prompt's failure. Only when a code has expired, and a new one was
 * sent, the command runs again.
 */
void answer_start(struct answer *answer, const engawa_Prompt *prompt, const char *const words[2]);
/* 1 when the answer is what a security key is asked with: its PIN, "-" for none; "" = another way.
 */
int answer_is_key(const engawa_Prompt *prompt);
/* Who it is, when the prompt asked for that too; "". */
const char *answer_name(const struct answer *answer);
