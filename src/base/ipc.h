/*
 * Messages between our own processes: AF_UNIX SOCK_SEQPACKET, one packet = type:u16 + payload, and at most one
 * descriptor where the receiver asks for it. The kernel keeps the boundaries, so a reader never sees half a message.
 * A program lists its message types in one enum.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { IPC_PAYLOAD_MAX = 65536 };

/* Connected pair, close-on-exec, blocking; -errno. */
int ipc_pair(int ret_fds[2]);

/* 0 or -errno (-EAGAIN when the descriptor is non-blocking and full, -EPIPE when the peer is gone). fd -1 = none. */
int ipc_send(int sock, uint16_t type, const void *payload, size_t len, int fd);

/*
 * Receives into payload (cap bytes). Returns the payload's length; -errno; -ERR_CLOSED at end of file; -ERR_TOO_LONG when
 * it does not fit or comes with a descriptor and ret_fd is NULL (the descriptor is closed). *ret_fd is -1 when none came.
 */
int ipc_recv(int sock, uint16_t *ret_type, void *payload, size_t cap, int *ret_fd);
