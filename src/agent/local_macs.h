/*
 * The office PC's own list of MAC addresses, a file in the form of maclist.h, and `engawa agent
 * mac` at agent.sock: "list N"              → lines of the file from the Nth on "add MAC[
 * COMMENT]", "remove MAC"
 */
#pragma once
#include <stddef.h>

#include "agent/agent.h"

enum {
	LOCAL_MACS_MAX_BYTES = 1 << 20
};

/* A missing file is an empty list; one with a slip in it lets nobody in: not even the agent starts.
 * 0, -errno, -ERR_SETTING with the line in error. */
int local_macs_open(struct agent *agent, char *path, size_t size, struct conf_error *error);
void local_macs_close(struct agent *agent);
/* 0 with the answer, or the code to answer with. */
int local_macs(struct agent *agent, const char *text, char *ret_answer, size_t size);
