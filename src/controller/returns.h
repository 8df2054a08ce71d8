/*
 * bounce.sock, in the mail sender: where the mail server's user says that a mail came back
 * (`engawa bounce`). Who may ask is known by the kernel's word; what is said counts for nothing but
 * the token. One question for each connection, few at a time, each with a deadline.
 */
#pragma once
#include <sys/types.h>

#include "controller/bounce.h"
#include "net/loop.h"

struct returns;

/* The token was ours. Exactly one returns_answer follows, now or later. */
typedef void returns_fn(void *user, uint64_t number, const struct bounce *bounce,
	const struct bounce_report *report);

/* Takes over the listening descriptor; key is copied. uid: who may ask, beside root. */
struct returns *returns_new(struct loop *loop, int fd, uid_t uid,
	const uint8_t key[static BOUNCE_KEY_BYTES], returns_fn *fn, void *user);
void returns_free(struct returns *returns);
/* Nothing happens when it has gone. */
void returns_answer(struct returns *returns, uint64_t number, uint32_t code);
