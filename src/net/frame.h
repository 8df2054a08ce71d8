/* Frames: type:u8 len:u24 payload (docs/protocol.md 1), payload a nanopb message. */
#pragma once
#include <pb.h>
#include <stddef.h>
#include <stdint.h>

#include "net/conn.h"

enum {
	FRAME_HEADER_BYTES = 4,
	FRAME_FIRST_MAX_BYTES = 16384, /* before Hello is accepted: a stranger's memory */
	FRAME_MAX_BYTES = 65536,
};

/* Looks at the first bytes of data. Returns bytes used with *ret_payload pointing into data, 0 when
 * more are needed, -ERR_TOO_LONG. */
int frame_parse(const uint8_t *data, size_t len, size_t max_payload, uint8_t *ret_type,
	const uint8_t **ret_payload, size_t *ret_len);

/* Decodes a payload; msg is zeroed first. 0 or -ERR_PROTOCOL (also for trailing bytes or a string
 * that is not UTF-8). */
int frame_decode(const pb_msgdesc_t *fields, void *msg, const uint8_t *payload, size_t len);

/* Whole frame into out. Returns its length or -ERR_TOO_LONG. */
int frame_encode(
	uint8_t type, const pb_msgdesc_t *fields, const void *msg, uint8_t *out, size_t cap);

/* frame_encode, then conn_send. */
int frame_send(struct conn *conn, uint8_t type, const pb_msgdesc_t *fields, const void *msg);
