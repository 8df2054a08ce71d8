/*
 * What agent.sock says about security keys:
 *
 * MSG_KEY "list N"             from the N-th on (from 1), one "N made used person|- label" a line,
 *                              times in seconds since 1970, 0 = never; empty: no more
 *         "add PERSON|- LABEL" opens a registration: its code
 *         "remove N"           dead for the next login
 *         "cancel"             the code of the open registration is void
 */
#pragma once
#include <stddef.h>

struct agent;

/* ret_answer is text, a secret after "add". 0, -ERR_X, -errno. */
int local_passkeys(struct agent *agent, const char *text, char *ret_answer, size_t size);
