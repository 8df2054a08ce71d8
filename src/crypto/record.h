/*
 * Records of the inner channel: type:u8 len:u24 payload, zero padding to a bucket, sealed as one
 * Noise transport message with a u16 length in front (docs/protocol.md 5). Used by agent, client
 * and tests.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "crypto/noise.h"

enum record_padding {
	RECORD_LOGIN,  /* multiple of 1024 */
	RECORD_CLIENT, /* 64, else multiple of 256; the agent's Pong, too */
	RECORD_AGENT_128,
	RECORD_AGENT_256,
	RECORD_AGENT_512, /* multiple of so many */
};

enum {
	RECORD_HEADER_BYTES = 4,
	RECORD_PLAIN_MAX_BYTES = NOISE_MESSAGE_MAX_BYTES - NOISE_TAG_BYTES,
	RECORD_WIRE_MAX_BYTES = 2 + NOISE_MESSAGE_MAX_BYTES,
};

/* Whole wire message into out (cap >= RECORD_WIRE_MAX_BYTES is always enough). Returns its length,
 * -ERR_TOO_LONG, -ERR_CRYPTO. */
int record_seal(struct noise_cipher *cipher, enum record_padding padding, uint8_t type,
	const void *payload, size_t len, uint8_t *out, size_t cap);

/* Looks at the first bytes of wire data. Returns bytes used, 0 when more are needed, -ERR_CRYPTO,
 * -ERR_PROTOCOL. The plaintext is written to plain (RECORD_PLAIN_MAX_BYTES) and *ret_payload points
 * into it. */
int record_open(struct noise_cipher *cipher, const uint8_t *wire, size_t wire_len, uint8_t *plain,
	uint8_t *ret_type, const uint8_t **ret_payload, size_t *ret_len);
