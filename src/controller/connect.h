/* The body of POST /v1/connect: {"terminal_id": "…", "device_hash": "base64 of 32 bytes"}, nothing
 * else. */
#pragma once
#include <stddef.h>

#include "outer.pb.h"

enum {
	CONNECT_BODY_MAX_BYTES = 4096
};

/* 0, -ERR_PROTOCOL, -ERR_TOO_LONG. The terminal ID is taken as it stands. */
int connect_parse(const char *body, size_t len, engawa_Ask *ret_ask);
