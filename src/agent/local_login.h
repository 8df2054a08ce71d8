/*
 * What agent.sock says about logins: where clients may come from, and what the person has besides
 * the password.
 *
 * MSG_ADDRESSES "list N"                      from the N-th entry on, one "N allow NETWORK" a line;
 * empty: no more "allow NETWORK" "deny NETWORK"   at the end, or with " N" behind it as the N-th
 *               "remove N"                    counted from 1
 *
 * MSG_TOTP      "begin"         a new secret: its otpauth URI
 *               "confirm CODE"  a code made with it: in force from now on
 *               "remove"
 * MSG_RECOVERY  "make"          ten new codes, one a line; "emergency": one of digits only
 *               "remove"        all of both kinds
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct agent;

/* 1 when it is one of these. */
int local_login_is(uint16_t type);
/* Does it. ret_answer is text, maybe secret. 0, -ERR_X, -errno. */
int local_login(
	struct agent *agent, uint16_t type, const char *text, char *ret_answer, size_t size);
