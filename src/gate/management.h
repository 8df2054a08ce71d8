/*
 * The management socket of the gate's parent: whoever may ask (root, and the user who started the
 * gate) gets the numbers over HTTP/1.0. Few connections, each with little time; nothing blocks.
 */
#pragma once
#include <poll.h>
#include <stddef.h>

enum {
	MANAGEMENT_CONNECTIONS = 4,
	MANAGEMENT_FDS = 1 + MANAGEMENT_CONNECTIONS,
};

struct management;

/* Writes the body of the answer; *ret_text is the heap. 0 or -ENOMEM. */
typedef int management_fn(void *user, char **ret_text, size_t *ret_len);

/* NULL when the socket cannot be made (logged). */
struct management *management_new(const char *path, management_fn *fn, void *user);
/* remove: the socket's name too; not when another process has it now. */
void management_free(struct management *management, int remove);
/* What to wait for. NULL is fine. */
void management_poll(const struct management *management, struct pollfd fds[static MANAGEMENT_FDS]);
/* After poll, also when nothing came: times run. */
void management_run(struct management *management, const struct pollfd fds[static MANAGEMENT_FDS]);
