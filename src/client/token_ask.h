/*
 * A signature by a key on a token or smart card, off the loop: a process of its own loads the
 * vendor's module, and is killed when it takes too long. The program that uses this
 * calls token_helper() when it is started with the one argument TOKEN_HELPER.
 */
#pragma once
#include "crypto/token.h"
#include "net/loop.h"

enum {
	TOKEN_ASK_MS = 8000 /* below the agent's patience for the client's first record */
};

struct token_ask;

/* code: 0 with the answer, else as token_sign says, or -ERR_TOKEN_FAILED when it was late. Once,
 * from the loop; then only token_ask_free is left. */
typedef void token_ask_fn(void *user, int code, const struct token_answer *answer);

/* The question is copied. deadline_ms: TOKEN_ASK_MS. NULL: it cannot be started. */
struct token_ask *token_ask_new(struct loop *loop, const struct token_question *question,
	uint64_t deadline_ms, token_ask_fn *fn, void *user);
/* Before the answer: there will be none. NULL is fine. */
void token_ask_free(struct token_ask *ask);
