#include "gate/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/ipc.h"
#include "gate/worker.h"

struct told {
	struct told *next;
	uint16_t type;
	size_t len;
	uint8_t payload[];
};

static int
keep(struct outbox *box, uint16_t type, const void *payload, size_t len)
{
	struct told *t = box->count < OUTBOX_MAX ? malloc(sizeof *t + len) : NULL;
	if (!t)
		return -ERR_TOO_MANY;
	*t = (struct told){.type = type, .len = len};
	if (len)
		memcpy(t->payload, payload, len);
	*(box->tail ? &box->tail->next : &box->head) = t;
	box->tail = t;
	box->count++;
	return 0;
}

int
worker_tell(struct worker *w, uint16_t type, const void *payload, size_t len)
{
	int r = w->outbox.head ? -EAGAIN : ipc_send(w->parent, type, payload, len, -1);
	if (r == -EAGAIN)
		r = keep(&w->outbox, type, payload, len);
	if (r < 0)
		LOG(ERROR, "parent.tell", F_INT("type", type), F_ERR("code", r));
	return r;
}

void
outbox_run(struct worker *w)
{
	struct outbox *box = &w->outbox;
	while (box->head) {
		struct told *t = box->head;
		if (ipc_send(w->parent, t->type, t->payload, t->len, -1) == -EAGAIN)
			return;
		box->head = t->next;
		if (!box->head)
			box->tail = NULL;
		box->count--;
		free(t);
	}
}
