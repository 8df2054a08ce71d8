/* What a worker has told somebody and the channel did not take yet. Order is kept. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
	OUTBOX_MAX = 65536 /* messages; a reader that is that far behind is stuck */
};

struct outbox {
	struct told *head, *tail;
	size_t count;
	int sock; /* non-blocking; not owned */
};

struct worker;

/*
 * Sends now or as soon as there is room; fd (-1 = none) must stay open until then. 0;
 * -ERR_TOO_MANY; -EPIPE when the other side is gone.
 */
int outbox_send(struct outbox *box, uint16_t type, const void *payload, size_t len, int fd);
/* Sends what waits. Every turn. */
void outbox_run(struct outbox *box);
void outbox_clear(struct outbox *box);

/* To the parent. On failure (it is gone or stuck) the worker ends soon: logged, negative. */
int worker_tell(struct worker *w, uint16_t type, const void *payload, size_t len);
