/*
 * Keeps the agent's certificate fresh: from two thirds of its life on a new one is asked for over
 * whatever control connection is up, until it is there. What cannot be mended that way is said in
 * the log and the status: a certificate that has expired, a clock that is wrong.
 */
#pragma once
#include "agent/agent.h"

struct renew;

/* Looks at once, then every minute. */
struct renew *renew_new(struct agent *agent);
void renew_free(struct renew *renew);

/* A gate is up: an attempt that was due may be made. */
void renew_link_up(struct renew *renew);
/* MSG_RENEWED: the answer. */
void renew_answer(struct renew *renew, const struct note *note);

/* For the status: when it ends, and 0 or what is wrong with it. */
uint64_t renew_until_s(const struct renew *renew);
int renew_code(const struct renew *renew);
