/*
 * Penalties. Whoever does what no honest program does (a handshake that fails, a frame out of
 * order, a ticket that is none) has a fault; so many of them in a minute and it is refused (a
 * source: served last, blame.h) until at most a minute after the last one. The fault is that of the
 * finest identity that is proved at that moment: the office PC of the certificate, the device of
 * the ticket or of the question for one, and only when there is neither the source's address, which
 * a whole town may share.
 *
 * One table of fixed size for all workers, whoever comes: two places for each key, each with a tag
 * of the key and the moment until which it is used up (GCRA). When both are others', the one that
 * is over first gives way: a flood of addresses makes us forget faults, and never blames one for
 * another's. Nothing in it can be turned back into an address.
 */
#pragma once
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FAULT_CELLS = 32768, /* a power of two */
	FAULT_KEY_BYTES = 16,
	FAULT_MINUTE_MS = 60000,
};

enum fault_kind {
	FAULT_AGENT,  /* its id */
	FAULT_DEVICE, /* of its hash and its source */
	FAULT_SOURCE, /* IPv4 address or IPv6 /64 */
	FAULT_KINDS,
};

struct fault_table {
	_Atomic uint64_t cells[FAULT_CELLS];
};

/* What one worker knows. */
struct faults {
	struct fault_table *table;        /* NULL: nobody is ever blamed */
	uint64_t seed[2];                 /* of all workers */
	uint32_t per_minute[FAULT_KINDS]; /* 0 = no limit */
};

/* One more fault of this key (16 bytes). */
void fault_note(struct faults *faults, enum fault_kind kind,
	const uint8_t key[static FAULT_KEY_BYTES], uint64_t now_ms);
/* Milliseconds for which it is refused, 0 = it may come. */
uint64_t fault_over(const struct faults *faults, enum fault_kind kind,
	const uint8_t key[static FAULT_KEY_BYTES], uint64_t now_ms);
