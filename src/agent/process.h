/*
 * The monitor's side of one of its processes: the same binary started again with a role, one
 * message channel, and for control and pump a second socket for signatures. A process that sends
 * what cannot be a message, or does not read what is sent to it, is killed.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "agent/options.h"
#include "net/loop.h"

enum role {
	ROLE_CONTROL,
	ROLE_PUMP,
	ROLE_LOGIN,
	ROLE_WORK,
	ROLE_DESKTOP,
	ROLE_CHECK_PAM,
	ROLE_CHECK_RADIUS,
	ROLE_CHECK_LDAP,
	ROLE_CHECK_CERTIFICATE,
	ROLE_CHECK_MACLIST,
	ROLE_GUARD,
	ROLE_STANDBY,
	ROLE_CONSOLE,
	ROLE_COUNT
};

struct process;
struct evp_pkey_st;

struct process_events {
	/* fd is -1 or the callee's. */
	void (*message)(void *user, enum role role, uint16_t type, const uint8_t *payload,
		size_t len, int fd);
	/* Once, last: it exited, by itself or killed for what it did. Only process_free may follow.
	 */
	void (*gone)(void *user, enum role role, int status);
};

struct process_start {
	struct loop *loop;
	const struct options *options;
	enum role role;
	int fds[2]; /* after the channel(s), from descriptor 4 (5 with a signature socket); -1 =
		       none; stay the caller's */
	struct evp_pkey_st *sign_key; /* NULL = no signature socket */
	const struct process_events *events;
	void *user;
};

/* NULL when it cannot be started. */
struct process *process_new(const struct process_start *start);
/* Kills it without a last word (no event any more); the memory goes when the system has reaped it.
 * NULL is fine. */
void process_free(struct process *process);
/* The same for one that has something to put in order first: asked to end, killed when that takes
 * longer. gone: it has exited; also from within, when it has before. Nothing happens for NULL. */
void process_finish(
	struct process *process, uint64_t deadline_ms, void (*gone)(void *user), void *user);

/* It hears that its channel ends, and puts in order what it has to, for as long as that takes; also
 * without us. NULL is fine. */
void process_leave(struct process *process);

/* Its events go to another user from here on. NULL is fine. */
void process_hand(struct process *process, void *user);

/* Nobody is at the other end of its channel: it has exited, or does so. */
int process_is_gone(const struct process *process);

/* 0 or -errno; -EAGAIN means that it does not read, and kills it (gone follows). fd -1 = none,
 * stays the caller's. */
int process_send(struct process *process, uint16_t type, const void *payload, size_t len, int fd);

const char *role_name(enum role role);
