/* Who comes in: listening sockets of a worker, and connections that have not shown yet
 * who they are.
 */
#pragma once
#include "gate/blame.h"

/* Takes connections from the kernel's queue, or leaves them there. */
void door_listen(struct worker *w, int on);
/* Those that wait at this listening socket. */
void door_accept(struct worker *w, int listener);
void door_close(struct worker *w);
/* 1 when those who are here could soon be without memory: newcomers are turned away first. */
int door_is_poor(struct worker *w);
/* Counts a newcomer of this source (limit_open). Where it has all its half-open places, the slowest
 * of its own gives way, but never self. 0 or -ERR_TOO_MANY. */
int door_admit(
	struct worker *w, const struct address *address, enum blame blame, const struct leg *self);
/* One that has not said who it is. */
void door_enter(struct worker *w, struct leg *l);
/* No longer half open. */
void door_opened(struct worker *w, struct leg *l);
/* The leg has shown who it is: a certificate or a ticket. */
void door_known(struct worker *w, struct leg *l);
