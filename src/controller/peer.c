#include "controller/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <pb_encode.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/ipc.h"
#include "base/mem.h"

enum {
	MESSAGE_MAX_BYTES = 16384
};

struct peer {
	struct watch *watch;
	int fd, with_fds;
	peer_fn *fn;
	void *user;
};

/* One packet a turn: fn may free the peer. */
static void
on_ready(void *user, int ready)
{
	struct peer *peer = user;
	uint8_t payload[MESSAGE_MAX_BYTES];
	uint16_t type;
	int fd = -1;
	(void)ready;
	int len = ipc_recv(peer->fd, &type, payload, sizeof payload, peer->with_fds ? &fd : NULL);
	if (len == -EAGAIN)
		return;
	if (len >= 0 && type != PEER_GONE) {
		peer->fn(peer->user, type, payload, (size_t)len, fd);
		return;
	}
	watch_set(peer->watch, 0);
	peer->fn(peer->user, PEER_GONE, NULL, 0, -1);
}

struct peer *
peer_new(struct loop *loop, int fd, int with_fds, peer_fn *fn, void *user)
{
	struct peer *peer = mem_new(sizeof *peer);
	*peer = (struct peer){.fd = fd, .with_fds = with_fds, .fn = fn, .user = user};
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	peer->watch = watch_new(loop, fd, on_ready, peer);
	watch_set(peer->watch, WATCH_READ);
	return peer;
}

void
peer_free(struct peer *peer)
{
	if (!peer)
		return;
	watch_free(peer->watch);
	close(peer->fd);
	free(peer);
}

int
peer_send(struct peer *peer, enum peer_type type, const pb_msgdesc_t *fields, const void *msg)
{
	uint8_t payload[MESSAGE_MAX_BYTES];
	pb_ostream_t stream = pb_ostream_from_buffer(payload, sizeof payload);
	if (!peer)
		return -EPIPE;
	if (!pb_encode(&stream, fields, msg))
		return -EMSGSIZE;
	int r = ipc_send(peer->fd, (uint16_t)type, payload, stream.bytes_written, -1);
	mem_wipe(payload, stream.bytes_written);
	return r;
}
