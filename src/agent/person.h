/*
 * What the steps of a person share: who it may be, and the counters of a name over all devices that
 * are known. Somebody else's device cannot go on guessing at a name after its own tries are used up
 * and take over where another left off. Strangers share one counter already, and names that are in
 * no table share another: those of the table have their own from the start.
 */
#pragma once
#include "agent/login.h"

int person_has_users(const struct login *login);
/* -ERR_LOCKED_OUT (and retry_s), -ERR_SHUT_OUT or 0. */
int person_locked(struct login *login);
/* A try of the device and of the person, before it is judged. 0, -ERR_DISK_FULL. */
int person_charge(struct login *login);
/* Given back when nobody has guessed wrong; right: the person was who it should be. */
void person_refund(struct login *login, int right);
/* Why being right does not help this row: 0, -ERR_PERSON_DENIED, -ERR_PERSON_EXPIRED. */
int person_refusal(const struct login *login, const struct user *user);
