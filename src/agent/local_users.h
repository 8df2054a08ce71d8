/*
 * What agent.sock says about the persons of this office PC (users.h). MSG_USERS:
 *
 *   "list N"                        from the N-th row on, one "NAME METHOD LAST-DAY on|off" a line
 *   "add METHOD LAST-DAY NAME"      method pam, radius or ldap; last day "-" = none; name "*" =
 *                                   everybody whom the service knows
 *   "add password LAST-DAY NAME PASSWORD"      a row that is there keeps nothing of what it was
 *   "password NAME PASSWORD"
 *   "expire NAME LAST-DAY", "disable NAME", "enable NAME", "remove NAME"
 */
#pragma once
#include <stddef.h>

#include "agent/agent.h"

struct peer;

/* A row that waits for the hash of its password. */
struct local_user {
	struct user row;
	const char *password; /* in the text */
};

/* 0, or why this peer may not ask that (local_proof.h). */
int local_users_may(struct peer *peer, const char *text);
/* 0: done; 1: the password is to be hashed, then local_users_put; -ERR_X, -errno. */
int local_users(struct agent *agent, const char *text, char *ret_answer, size_t size,
	struct local_user *ret_user);
int local_users_put(struct agent *agent, const struct user *row);
