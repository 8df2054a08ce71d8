/*
 * Descriptor 3: frames to and from the agent (proto/desktop.proto, proto/inner.proto). Never
 * blocks; what cannot be written yet is queued. Reading stops while nobody takes the frames, so a
 * peer that sends too fast is slowed down by its socket.
 */
#pragma once
#include <pb.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum {
	LINK_QUEUE_LOW_BYTES =
		64 * 1024, /* the encoder goes on below this: about one piece waits */
	LINK_QUEUE_MAX_BYTES = 1 << 20,
};

struct link {
	int fd;
	int closed; /* the agent is gone */
	struct buf in, out;
	size_t used; /* front of in that was given out and goes at the next link_next */
};

/* The descriptor stays the caller's; it becomes non-blocking. */
int link_init(struct link *link, int fd);
void link_fini(struct link *link);

/* Reads what is there, as far as there is room. 0, -ERR_CLOSED, -errno. */
int link_read(struct link *link);

/* Room for reading: poll for input only then. */
int link_wants_input(const struct link *link);

/* The next whole frame. 1 with the payload valid until the next call, 0 when there is none yet,
 * -ERR_TOO_LONG. */
int link_next(struct link *link, uint8_t *ret_type, const uint8_t **ret_payload, size_t *ret_len);

/* Queues a message. 0, -ENOBUFS, -ENOMEM, -ERR_TOO_LONG. */
int link_send(struct link *link, uint8_t type, const pb_msgdesc_t *fields, const void *msg);

/* Writes what the socket takes. 0, -ERR_CLOSED, -errno. */
int link_flush(struct link *link);
size_t link_queued(const struct link *link);
