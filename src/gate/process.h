/* Starting the keeper, the workers, and a new version of the program: each with an address space of
 * its own. */
#pragma once
#include <sys/types.h>

#include "base/clock.h"

struct process {
	pid_t pid;   /* 0 = not running */
	int channel; /* to it; -1 */
	struct mono started;
};

/* The channel's descriptor in the process that was started. */
enum {
	PROCESS_CHANNEL = 3
};
/* What tells a new version of the program that it is one: its value is this name's version. */
#define PROCESS_UPGRADE "ENGAWA_GATE_UPGRADE"

/* This very program, executed anew with a role as its argument. 0 or -errno. */
int process_start(struct process *process, const char *role);
/* Another program, with our own arguments, our environment and PROCESS_UPGRADE. */
int process_start_other(struct process *process, const char *path, char *const *argv);
/* Sends one message. 0 or negative; a child that does not read for a second is killed. */
int process_tell(
	struct process *process, unsigned short type, const void *payload, size_t len, int fd);
/* Waits for its READY, at most 10 s. 0, -ERR_TIMEOUT or what went wrong. */
int process_ready(struct process *process);
/* It has ended: closes the channel. */
void process_gone(struct process *process);
