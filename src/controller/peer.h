/* One end of a channel between the controller's processes, on a loop: ipc packets whose payload is
 * a nanopb message. */
#pragma once
#include <pb.h>
#include <stddef.h>
#include <stdint.h>

#include "net/loop.h"

/* Every message between the processes of a controller. */
enum peer_type {
	PEER_GONE = 0,    /* never sent: the other end is closed */
	PEER_ASK = 1,     /* web -> core: LinkAsk */
	PEER_GRANT = 2,   /* core -> web: LinkGrant */
	PEER_MAIL = 3,    /* core -> mailer: LinkSendCode */
	PEER_MAILED = 4,  /* mailer -> core: LinkCodeSent */
	PEER_STATUS = 5,  /* web -> core: LinkGrant with request only; answered by PEER_GRANT with
			     the store's code */
	PEER_CAME_BACK = 6, /* mailer -> core: LinkMailState */
	PEER_TOLD = 7,      /* core -> mailer: LinkCodeSent: the office PC knows, or why not */
	PEER_WEB = 16,    /* parent -> core: the descriptor of a new web process */
	PEER_MAILER = 17, /* parent -> core: of a new mailer */
};

struct peer;

/* payload is NULL and fd -1 with PEER_GONE, after which only peer_free is allowed. fd: the
 * receiver's. */
typedef void peer_fn(void *user, uint16_t type, const uint8_t *payload, size_t len, int fd);

/* Takes over fd. with_fds: descriptors are accepted, else a packet with one is an error. */
struct peer *peer_new(struct loop *loop, int fd, int with_fds, peer_fn *fn, void *user);
void peer_free(struct peer *peer);
/* 0, -EAGAIN when the other end does not keep up, -EPIPE, also for NULL. */
int peer_send(struct peer *peer, enum peer_type type, const pb_msgdesc_t *fields, const void *msg);
