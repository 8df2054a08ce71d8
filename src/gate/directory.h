/*
 * Which worker has which agent's control connection and which session. It is the parent's: one
 * writer sees everything in one order, and a dead worker's entries are taken out by somebody who
 * lives; a table in shared memory would need both solved without locks. An entry costs one small
 * message for each TLS handshake.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "gate/tell.h"

struct entry {
	struct entry *next;
	uint8_t id[16];
	uint32_t serial; /* of the connection, at its worker */
	uint16_t seat;
	uint8_t kind;
};

enum {
	DIRECTORY_SEATS_MAX = 64
};

struct directory {
	struct entry **buckets;
	size_t mask, count, max; /* max: of one seat */
	size_t each[DIRECTORY_SEATS_MAX];
};

/* Room for max entries of each seat: a worker that went mad fills up its own part. Aborts when
 * memory is out. */
void directory_init(struct directory *d, size_t max);
void directory_fini(struct directory *d);
/* NULL when nobody has it. */
struct entry *directory_find(const struct directory *d, uint32_t kind, const uint8_t id[static 16]);
/* One that is not in it. 0 or -ERR_TOO_MANY. */
int directory_add(struct directory *d, const struct tell_place *place, size_t seat);
/* The connection that counts is another one. 0 or -ERR_TOO_MANY, and nothing has changed. */
int directory_move(
	struct directory *d, struct entry *e, const struct tell_place *place, size_t seat);
/* Only when it is this seat's, and this connection. */
void directory_drop(struct directory *d, const struct tell_place *place, size_t seat);
void directory_drop_seat(struct directory *d, size_t seat);
