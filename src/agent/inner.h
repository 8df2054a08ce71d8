/*
 * One end of the inner channel in a process of the agent: a stream socket to the pump carrying
 * sealed records, two keys. Used by login and work.
 */
#pragma once
#include <pb.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/message.h"
#include "base/buf.h"
#include "crypto/record.h"
#include "net/loop.h"

struct inner {
	struct loop *loop;
	int fd;
	struct watch *watch;
	struct noise_cipher in, out;
	enum record_padding padding;
	struct buf in_bytes, out_bytes;
	int finishing;
	int held; /* set before inner_open: nothing is read until inner_read */
	/* One record. 0, or negative: the peer broke the rules, on_closed follows. */
	int (*on_record)(void *user, uint8_t type, const uint8_t *payload, size_t len);
	/* Once: -ERR_CLOSED (end of file), or what was wrong. */
	void (*on_closed)(void *user, int code);
	/* Everything given to inner_send is with the kernel; may be NULL. */
	void (*on_drained)(void *user);
	void *user;
};

/* Takes the socket over; keys are copied. 0 or -ERR_CRYPTO. The function pointers must be set. */
int inner_open(struct inner *inner, struct loop *loop, int fd, enum record_padding padding,
	const uint8_t in_key[static 32], const uint8_t out_key[static 32]);
/* Seals and queues. 0, -ERR_TOO_LONG, -ERR_CRYPTO, -ENOBUFS (more than INNER_OUT_MAX_BYTES wait).
 */
int inner_send(struct inner *inner, uint8_t type, const void *payload, size_t len);
int inner_send_message(
	struct inner *inner, uint8_t type, const pb_msgdesc_t *fields, const void *msg);
int inner_send_notice(struct inner *inner, const struct notice *notice);
void inner_read(struct inner *inner);
size_t inner_queued(const struct inner *inner);
/* At once and without a word; inner_open may follow. */
void inner_close(struct inner *inner);
/* Reads nothing more, writes the rest, closes; on_closed(-ERR_CLOSED) follows. */
void inner_finish(struct inner *inner);

enum {
	INNER_OUT_MAX_BYTES = 1024 * 1024,
	INNER_HIGH_BYTES = 64 * 1024
};
