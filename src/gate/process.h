/* Starting the keeper and the workers: this very program, executed anew with a role, so that each
 * has an address space of its own. */
#pragma once
#include <sys/types.h>

#include "base/clock.h"

struct process {
	pid_t pid;   /* 0 = not running */
	int channel; /* to it; -1 */
	struct mono started;
};

/* role is its argument. 0 or -errno. */
int process_start(struct process *process, const char *role);
/* Sends one message. 0 or negative; a child that does not read for a second is killed. */
int process_tell(
	struct process *process, unsigned short type, const void *payload, size_t len, int fd);
/* Waits for its READY, at most 10 s. 0, -ERR_TIMEOUT or what went wrong. */
int process_ready(struct process *process);
/* It has ended: closes the channel. */
void process_gone(struct process *process);
