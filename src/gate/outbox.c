#include "gate/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/ipc.h"
#include "base/mem.h"
#include "gate/worker.h"

struct told {
	struct told *next;
	uint16_t type;
	int fd;
	size_t len;
	uint8_t payload[];
};

static int
keep(struct outbox *box, uint16_t type, const void *payload, size_t len, int fd)
{
	struct told *t = box->count < OUTBOX_MAX ? malloc(sizeof *t + len) : NULL;
	if (!t)
		return -ERR_TOO_MANY;
	*t = (struct told){.type = type, .len = len, .fd = fd};
	if (len)
		memcpy(t->payload, payload, len);
	*(box->tail ? &box->tail->next : &box->head) = t;
	box->tail = t;
	box->count++;
	return 0;
}

static void
drop_first(struct outbox *box)
{
	struct told *t = box->head;
	box->head = t->next;
	if (!box->head)
		box->tail = NULL;
	box->count--;
	mem_wipe_free(t, sizeof *t + t->len); /* it may have a connection's keys */
}

/* Too many descriptors of ours are on their way: the reader takes them out. */
static int
is_full(int r)
{
	return r == -EAGAIN || r == -ETOOMANYREFS;
}

int
outbox_send(struct outbox *box, uint16_t type, const void *payload, size_t len, int fd)
{
	int r = box->head ? -EAGAIN : ipc_send(box->sock, type, payload, len, fd);
	return is_full(r) ? keep(box, type, payload, len, fd) : r;
}

void
outbox_run(struct outbox *box)
{
	while (box->head) {
		struct told *t = box->head;
		if (is_full(ipc_send(box->sock, t->type, t->payload, t->len, t->fd)))
			return;
		drop_first(box);
	}
}

void
outbox_clear(struct outbox *box)
{
	while (box->head)
		drop_first(box);
}

int
worker_tell(struct worker *w, uint16_t type, const void *payload, size_t len)
{
	int r = outbox_send(&w->outbox, type, payload, len, -1);
	if (r < 0)
		LOG(ERROR, "parent.tell", F_INT("type", type), F_ERR("code", r));
	return r;
}
