/*
 * Locks of a Linux desktop: the session manager (logind, elogind), the desktop's screen saver on
 * the session's bus, and a command. Asked over D-Bus, each question for at most two seconds.
 */
#pragma once
#include <sys/types.h>

enum {
	LOCK_SAVERS_MAX = 5
};

struct lock {
	struct sd_bus *system, *session; /* NULL = none */
	char *path;                      /* of our session at the session manager; NULL = none */
	int is_wayland;                  /* our session, as the manager or the environment says */
	int manager_locked, manager_active; /* as the manager last said */
	int savers[LOCK_SAVERS_MAX];        /* there, and answers */
	int active[LOCK_SAVERS_MAX];
	int command; /* socket to the process that runs LOCK_COMMAND; -1 */
	pid_t command_pid;
	int command_asked;
	int command_done, command_failed; /* as it said last; done: the desktop counts as locked */
};

/* display: ":0". What cannot be reached is not there. lock_command NULL = none. Starts a process,
 * so it comes before the sandbox. */
void lock_open(struct lock *lock, const char *display, const char *lock_command);
void lock_close(struct lock *lock);

/* Whether something is there that can lock and says when it has. */
int lock_is_possible(const struct lock *lock);
/* Asks for it; lock_is_locked says when it is. */
void lock_now(struct lock *lock);
/* What the command said before counts no more. */
void lock_forget(struct lock *lock);
/* The command said that it has not locked: perhaps because another lock is on. */
int lock_has_failed(const struct lock *lock);
/* As last heard. */
int lock_is_locked(const struct lock *lock);
int lock_is_away(const struct lock *lock);

/* Descriptors to wait for, -1 = none, in the order system, session, command; and what has come is
 * heard. */
void lock_fds(const struct lock *lock, int ret_fds[static 3]);
void lock_hear(struct lock *lock);
/* Asks everybody anew. */
void lock_look(struct lock *lock);
