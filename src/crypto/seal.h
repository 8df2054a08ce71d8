/* A box that only the holder of an X25519 key opens (docs/protocol.md 3.2). */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { SEAL_OVERHEAD_BYTES = 32 + 16 };

/* out needs len + SEAL_OVERHEAD_BYTES. 0 or -ERR_CRYPTO. */
int seal_make(const uint8_t recipient[static 32], const void *context, size_t context_len, const void *in, size_t len,
	uint8_t *out);
/* out needs len - SEAL_OVERHEAD_BYTES. 0 or -ERR_CRYPTO. */
int seal_open(const uint8_t secret[static 32], const void *context, size_t context_len, const void *in, size_t len,
	uint8_t *out);
/* X25519 secret in a file of 64 hex digits, 0600, never overwritten. */
int seal_key_save(const uint8_t secret[static 32], const char *path);
int seal_key_load(const char *path, uint8_t ret_secret[static 32], uint8_t ret_public[static 32]);
