/* What a worker has told the parent and the channel did not take yet. Order is kept. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
	OUTBOX_MAX = 65536 /* messages; a parent that is that far behind is stuck */
};

struct outbox {
	struct told *head, *tail;
	size_t count;
};

struct worker;

/* Sends now or as soon as there is room. On failure (the parent is gone or stuck) the worker ends
 * soon: logged, negative. */
int worker_tell(struct worker *w, uint16_t type, const void *payload, size_t len);
/* Sends what waits. Every turn. */
void outbox_run(struct worker *w);
