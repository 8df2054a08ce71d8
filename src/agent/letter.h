/*
 * Mails of a session, sealed to the mail sender, and what becomes of them later. Each carries a
 * mark of the address that it goes to, by which the agent alone knows the address again: with that
 * mark the relay says that a mail came back (MailState, docs/protocol.md 3.2). What is said of an
 * address is kept until a code arrives there, or another one is registered.
 */
#pragma once
#include "agent/session.h"

/* 0, or negative: it did not go out. */
int letter_send(struct session *session, const struct login_mail *mail);
/* From control, which has it from the relay: it may be untrue, and changes nothing but words. */
void letter_returned(struct agent *agent, const struct note *note);
/* A code came back from the registered address. 0, -errno, -ERR_DISK_FULL. */
int letter_arrived(struct agent *agent);
