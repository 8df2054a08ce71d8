/*
 * Asking the agent of this computer at its agent.sock: for `engawa agent …` and engawa-settings.
 * One question, one answer; several may follow each other on one connection (local.h). Blocks, at
 * most ASK_MS.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
	ASK_ANSWER_SIZE = 4096,
	ASK_MS = 30000
};

/* The socket at path; or that of a state directory; or, with neither, at its usual places. A
 * descriptor, -errno, -ERR_NOT_RUNNING, -ERR_DENIED (who listens there is not to be trusted). */
int ask_open(const char *path, const char *state_directory);
/* type is of message.h. The agent's code (0 or negative), or why it could not be asked: -errno,
 * -ERR_CLOSED, -ERR_TIMEOUT, -ERR_PROTOCOL. ret_text is what follows the code, terminated, and may
 * be secret; written also when the agent's code is negative. */
int ask(int fd, uint16_t type, const char *text, char ret_text[static ASK_ANSWER_SIZE]);
