/* PROXY protocol version 2 (haproxy's proxy-protocol.txt 2.2), the reader's side. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
	PROXY_FIXED_BYTES = 16,
	PROXY_MAX_BYTES = 536
};

struct proxy {
	struct sockaddr_storage
		source; /* ss_family AF_UNSPEC: a LOCAL connection of the gate itself */
	socklen_t source_len;
};

/* Returns the header's length, or 0 with *ret_need (at least one more byte) when data is only part
 * of it, or -ERR_PROTOCOL. Never needs a byte that is behind the header. */
int proxy_parse(const uint8_t *data, size_t len, struct proxy *ret_proxy, size_t *ret_need);
