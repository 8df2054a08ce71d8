/*
 * Every limit of a worker in one table: setting, count, log. What bites is logged at most a few
 * times in ten seconds, with how often it did.
 */
#pragma once
#include <stdint.h>

#include "base/log.h"
#include "gate/fair.h"
#include "gate/fault.h"
#include "gate/settings.h"
#include "gate/tally.h"

enum limit {
	LIMIT_CONNECTIONS,
	LIMIT_HALF_OPEN,
	LIMIT_SOURCE,
	LIMIT_SOURCE_HALF_OPEN,
	LIMIT_SPLICE,
	LIMIT_ASKS,         /* of one connection */
	LIMIT_REQUESTS,     /* at the controller at a time */
	LIMIT_QUEUE,        /* bytes for a waiting agent or client that does not read */
	LIMIT_CLIENT_RATE,  /* bytes a second of one session */
	LIMIT_MEMORY,       /* in MiB, where it counts; buffers of all workers */
	LIMIT_ORGANISATION, /* fair.h */
	LIMIT_PREFECTURE,
	LIMIT_ORGANISATION_AGENTS, /* quota.h */
	LIMIT_ORGANISATION_SESSIONS,
	LIMIT_ORGANISATION_HANDSHAKES, /* a second */
	LIMIT_ORGANISATION_PART,       /* percent of all connections that are kept for the others */
	LIMIT_AGENT_FAULTS,            /* a minute: fault.h */
	LIMIT_DEVICE_FAULTS,
	LIMIT_SOURCE_FAULTS,
	LIMIT_SIGNS, /* a second: the keeper's, which writes the line in the log */
	LIMIT_COUNT,
};
_Static_assert((int)LIMIT_COUNT <= (int)TALLY_LIMITS, "each has its counter");

enum {
	LIMIT_REQUESTS_MAX = 4096, /* a power of two */
	LIMIT_QUEUE_MAX_BYTES =
		65536, /* knocks and pings that an agent has not taken: it is not alive */
	SOURCE_BUCKETS = 16384,
};

/* An IPv6 address; IPv4 as ::ffff:a.b.c.d. */
struct address {
	uint8_t bytes[16];
};
enum {
	ADDRESS_TEXT_SIZE = 46
};
void address_text(const struct address *address, char out[static ADDRESS_TEXT_SIZE]);
int address_is_v4(const struct address *address);

/*
 * What one worker counts. All rows lie in one segment that the workers share; each writes its own
 * and reads all. So a dead worker's counts go with its row (the parent clears it), and no lock or
 * read-modify-write is needed. Workers that count at the same moment may pass a limit by one each.
 */
struct limit_row {
	_Atomic uint32_t now[LIMIT_COUNT];
	struct tally tally;
	_Atomic uint32_t closing; /* of its connections: their end is counted, not yet complete */
	/* A count-min sketch: two hashed counters for each source, the smaller one counts. Fixed
	 * size, whoever connects. */
	_Atomic uint16_t connections[2][SOURCE_BUCKETS], half_open[2][SOURCE_BUCKETS];
	/* of those, the ones that have shown a certificate or a ticket */
	_Atomic uint16_t known[2][SOURCE_BUCKETS];
	_Atomic uint32_t agents[FAIR_ORGANISATIONS], sessions[FAIR_ORGANISATIONS]; /* quota.h */
};

struct limit_segment {
	uint64_t seed[2];
	struct fair_table fair;
	struct fault_table faults;
	struct tally gone; /* of workers that died: counters never go back */
	struct limit_row rows[];
};

struct limits {
	struct {
		int64_t max;
		uint32_t now; /* where the limit is a count */
		uint64_t bites;
		struct log_limit log;
	} each[LIMIT_COUNT];
	int64_t own_max; /* connections of this worker; 0 = as all */
	const uint64_t *seed;
	struct limit_row *rows, *mine;
	struct fair_table *fair; /* NULL until it shares */
	struct faults faults;
	size_t row_count;
	uint64_t alone_seed[2]; /* until it shares */
	struct limit_row alone;
};

/* The parent's: a sealed memory file for so many workers; -errno. *ret_segment is mapped. */
int limit_segment_new(size_t workers, struct limit_segment **ret_segment);
/* A worker died, and the connections that it had with it: their end is counted as CLOSED. */
void limit_segment_clear(struct limit_segment *segment, size_t worker);

void limits_init(struct limits *limits, const struct settings *settings);
/* Counts with the others from here on: after limits_init, before the first count. fd stays the
 * caller's. 0 or negative. */
int limits_share(struct limits *limits, int fd, size_t row, size_t row_count);

/* "source_half_open" */
const char *limit_name(enum limit which);
/* Of all workers. */
int64_t limit_total(const struct limits *limits, enum limit which);
/* Says how much of a limit this worker has; returns what the others have. */
int64_t limit_state(struct limits *limits, enum limit which, uint32_t mine);

/* Writes the log line of a limit that bit. address may be NULL. */
void limit_bite(struct limits *limits, enum limit which, const struct address *address);
/* The same, of somebody who has a name: key is what it is of. */
void limit_bite_of(struct limits *limits, enum limit which, const char *key, const char *name);

/* One more of a counted limit: 0, or -ERR_TOO_MANY when it is full (and a line in the log). */
int limit_take(struct limits *limits, enum limit which, const struct address *address);
void limit_give(struct limits *limits, enum limit which);

/* A new connection, half open: total and source. 0 or -ERR_TOO_MANY. (LIMIT_HALF_OPEN and
 * LIMIT_SOURCE_HALF_OPEN are the caller's: it can make room.) */
int limit_open(struct limits *limits, const struct address *address);
/* 1 when this source has so many half-open ones, of all workers. Others' connections cannot keep it
 * out of this worker: a small part is each worker's own, in all a quarter more or one each. */
int limit_is_crowded(const struct limits *limits, const struct address *address, int64_t most);
/* It said who it is. */
void limit_opened(struct limits *limits, const struct address *address);
/* It has shown a certificate or a ticket; until it is closed, or never did. */
void limit_known(struct limits *limits, const struct address *address, int is_known);
/* 1 when this source has somebody like that. */
int limit_has_known(const struct limits *limits, const struct address *address);
/* What fault.h takes as the source. */
void limit_source_key(const struct address *address, uint8_t ret_key[static FAULT_KEY_BYTES]);
/* One that another worker has counted until now; no limit is asked. */
void limit_adopt(struct limits *limits, const struct address *address);
void limit_closed(struct limits *limits, const struct address *address);
