/*
 * The optional settings password (設定用パスワード): while one is set, whoever changes a setting
 * over agent.sock says it first, once per connection. It is kept like a person's password, failures
 * are counted per user of this computer and survive a restart.
 *
 * Root is never asked: it can write the files anyway, and is the way out when the password is lost.
 * What root changes while one is set is logged as such (settings.root).
 */
#pragma once
#include <sys/types.h>

#include "agent/agent.h"

enum {
	LOCK_TRIES = 5, /* then a lock-out that grows from: */
	LOCK_TIMEOUT_S = 60
};

/* Reads the counters. 0 or negative with the file's path. */
int local_lock_open(struct agent *agent, char *ret_path, size_t size, struct conf_error *error);

/* 1 when the question changes nothing, so that anybody who may ask may ask it. */
int local_lock_reading(uint16_t type, const char *text);

/* A try, charged before it is judged. 0; -ERR_LOCKED_OUT, -ERR_SHUT_OUT; -errno when it cannot be
 * recorded. */
int local_lock_charge(struct agent *agent, uid_t uid, struct tries *ret_before);
/* It was right, and proves nothing about the failures before: they stay. */
void local_lock_refund(struct agent *agent, uid_t uid, const struct tries *before);
/* It was right: forgets the failures. */
void local_lock_right(struct agent *agent, uid_t uid);
/* Root or whoever knows the password: forgets everybody's. 0 or -errno. */
int local_lock_forget(struct agent *agent);
