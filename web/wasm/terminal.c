/* Argon2id with the fixed cost of terminal IDs (docs/protocol.md 2), for WebAssembly. */
#include <stdint.h>

#include "argon2.h"

enum { POINT_BYTES = 65, SALT_BYTES = 16, ID_BYTES = 10, COST_KIB = 65536, PASSES = 3 };

static struct {
	uint8_t point[POINT_BYTES];
	uint8_t salt[SALT_BYTES];
	uint8_t id[ID_BYTES];
} io;

/* Where the caller writes point and salt and reads the ID. */
__attribute__((export_name("terminal_io"))) void *
terminal_io(void)
{
	return &io;
}

/* 0, or Argon2's error (out of memory). */
__attribute__((export_name("terminal_derive"))) int
terminal_derive(void)
{
	return argon2_hash(PASSES, COST_KIB, 1, io.point, sizeof io.point, io.salt, sizeof io.salt, io.id, sizeof io.id,
		NULL, 0, Argon2_id, ARGON2_VERSION_13);
}
