/*
 * WebSocket framing of a server (RFC 6455). Frames come masked and may be fragmented; what a
 * connection has to remember between reads is 16 bytes. Binary messages only: their payload is a
 * byte stream, message boundaries mean nothing. Pure.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
	WS_FRAME_MAX_BYTES =
		1 << 20, /* nothing here sends half of it; payload is passed on as it comes */
	WS_CONTROL_MAX_BYTES = 125, /* RFC 6455 5.5 */
	WS_HEADER_MAX_BYTES = 10,   /* of the frames that we send: never masked */
	WS_HELD_MAX_BYTES =
		14 +
		WS_CONTROL_MAX_BYTES, /* the longest piece that ws_read leaves for the next call */
	WS_ACCEPT_SIZE = 29,
};

/* RFC 6455 5.2 and 7.4.1 */
enum {
	WS_OP_CONTINUATION = 0,
	WS_OP_TEXT = 1,
	WS_OP_BINARY = 2,
	WS_OP_CLOSE = 8,
	WS_OP_PING = 9,
	WS_OP_PONG = 10
};
enum {
	WS_CLOSE_NORMAL = 1000,
	WS_CLOSE_PROTOCOL = 1002,
	WS_CLOSE_TOO_BIG = 1009
};

/* Zeroed at the upgrade. */
struct ws {
	uint64_t left; /* of the current data frame's payload */
	uint8_t mask[4];
	uint8_t mask_at;    /* byte of the mask that comes next */
	uint8_t in_message; /* a message has begun and its last frame has not ended */
	uint8_t last;       /* the current frame ends its message */
	uint8_t closed;     /* a Close came: nothing may follow */
};

enum ws_kind {
	WS_NOTHING,
	WS_DATA,
	WS_PING,
	WS_PONG,
	WS_CLOSE
};

struct ws_event {
	enum ws_kind kind;
	uint8_t *data; /* unmasked, within what was read */
	size_t len;
	uint16_t code; /* CLOSE: the peer's code, 1005 when it gave none */
};

/*
 * Reads from the front of data, unmasking in place. Returns the bytes used, with at most one event;
 * 0 when more are needed (data holds an incomplete header or control frame); -ERR_PROTOCOL (close
 * with 1002) or -ERR_TOO_LONG (1009).
 */
int ws_read(struct ws *ws, uint8_t *data, size_t len, struct ws_event *ret_event);

/* Header of a whole frame of len bytes. Returns its length. */
size_t ws_header(uint8_t out[static WS_HEADER_MAX_BYTES], uint8_t op, size_t len);

/* A Close frame with a code. Returns its length, 4. */
size_t ws_close(uint8_t out[static 4], uint16_t code);

/* Sec-WebSocket-Accept for the 24 characters of a key. 0, or -ERR_PROTOCOL when the key is not
 * base64 of 16 bytes. */
int ws_accept(const char *key, size_t len, char ret_accept[static WS_ACCEPT_SIZE]);
