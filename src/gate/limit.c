#include "gate/limit.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

static const char *const names[LIMIT_COUNT] = {
	[LIMIT_CONNECTIONS] = "limit.connections",
	[LIMIT_HALF_OPEN] = "limit.half_open",
	[LIMIT_SOURCE] = "limit.source",
	[LIMIT_SOURCE_HALF_OPEN] = "limit.source_half_open",
	[LIMIT_SPLICE] = "limit.splice",
	[LIMIT_ASKS] = "limit.asks",
	[LIMIT_REQUESTS] = "limit.requests",
	[LIMIT_QUEUE] = "limit.queue",
	[LIMIT_CLIENT_RATE] = "limit.client_rate",
	[LIMIT_MEMORY] = "limit.memory",
	[LIMIT_ORGANISATION] = "limit.organisation",
	[LIMIT_PREFECTURE] = "limit.prefecture",
	[LIMIT_ORGANISATION_AGENTS] = "limit.organisation_agents",
	[LIMIT_ORGANISATION_SESSIONS] = "limit.organisation_sessions",
	[LIMIT_ORGANISATION_HANDSHAKES] = "limit.organisation_handshakes",
	[LIMIT_ORGANISATION_PART] = "limit.organisation_part",
	[LIMIT_AGENT_FAULTS] = "limit.agent_faults",
	[LIMIT_DEVICE_FAULTS] = "limit.device_faults",
	[LIMIT_SOURCE_FAULTS] = "limit.source_faults",
	[LIMIT_SIGNS] = "limit.signs",
};

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

int
address_is_v4(const struct address *a)
{
	return memcmp(a->bytes, v4_prefix, sizeof v4_prefix) == 0;
}

void
address_text(const struct address *a, char out[static ADDRESS_TEXT_SIZE])
{
	int v4 = address_is_v4(a);
	if (!inet_ntop(v4 ? AF_INET : AF_INET6, a->bytes + (v4 ? 12 : 0), out, ADDRESS_TEXT_SIZE))
		out[0] = '\0';
}

void
limits_init(struct limits *l, const struct settings *s)
{
	const int64_t max[LIMIT_COUNT] = {
		[LIMIT_CONNECTIONS] = s->connections_max,
		[LIMIT_HALF_OPEN] = s->half_open_max,
		[LIMIT_SOURCE] = s->source_max,
		[LIMIT_SOURCE_HALF_OPEN] = s->source_half_open_max,
		[LIMIT_SPLICE] = s->splice_max,
		[LIMIT_ASKS] = s->asks_max,
		[LIMIT_REQUESTS] = LIMIT_REQUESTS_MAX,
		[LIMIT_QUEUE] = LIMIT_QUEUE_MAX_BYTES,
		[LIMIT_CLIENT_RATE] = s->client_rate_bytes_s,
		[LIMIT_MEMORY] = s->memory_max_mib,
		[LIMIT_ORGANISATION] = s->organisation_rate_bytes_s,
		[LIMIT_PREFECTURE] = s->prefecture_rate_bytes_s,
		[LIMIT_ORGANISATION_AGENTS] = s->organisation_agents_max,
		[LIMIT_ORGANISATION_SESSIONS] = s->organisation_sessions_max,
		[LIMIT_ORGANISATION_HANDSHAKES] = s->organisation_handshakes_s,
		[LIMIT_ORGANISATION_PART] = s->organisation_reserve_percent,
		[LIMIT_AGENT_FAULTS] = s->agent_faults_per_minute,
		[LIMIT_DEVICE_FAULTS] = s->device_faults_per_minute,
		[LIMIT_SOURCE_FAULTS] = s->source_faults_per_minute,
		[LIMIT_SIGNS] = s->signs_max_s,
	};
	memset(l, 0, sizeof *l);
	for (size_t i = 0; i < LIMIT_COUNT; i++) {
		l->each[i].max = max[i];
		l->each[i].log = (struct log_limit){.burst = 3, .window_ms = 10000};
	}
	ssize_t n = getrandom(l->alone_seed, sizeof l->alone_seed, 0);
	assert(n == sizeof l->alone_seed);
	l->seed = l->alone_seed;
	l->faults.per_minute[FAULT_AGENT] = (uint32_t)s->agent_faults_per_minute;
	l->faults.per_minute[FAULT_DEVICE] = (uint32_t)s->device_faults_per_minute;
	l->faults.per_minute[FAULT_SOURCE] = (uint32_t)s->source_faults_per_minute;
	l->rows = l->mine = &l->alone;
	l->row_count = 1;
}

static size_t
segment_bytes(size_t workers)
{
	return sizeof(struct limit_segment) + workers * sizeof(struct limit_row);
}

int
limit_segment_new(size_t workers, struct limit_segment **ret_segment)
{
	size_t size = segment_bytes(workers);
	int fd = memfd_create("engawa-gate", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	/* nobody can make it shorter than what the others have mapped */
	struct limit_segment *s = MAP_FAILED;
	if (ftruncate(fd, (off_t)size) == 0 &&
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		s = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (s == MAP_FAILED) {
		int r = -errno;
		close(fd);
		return r;
	}
	ssize_t n = getrandom(s->seed, sizeof s->seed, 0);
	assert(n == sizeof s->seed);
	*ret_segment = s;
	return fd;
}

void
limit_segment_clear(struct limit_segment *segment, size_t worker)
{
	struct limit_row *row = &segment->rows[worker];
	uint32_t had = atomic_load_explicit(&row->now[LIMIT_CONNECTIONS], memory_order_relaxed);
	uint32_t closing = atomic_load_explicit(&row->closing, memory_order_relaxed);
	tally_fold(&segment->gone, &row->tally);
	if (had > closing)
		tally_codes(segment->gone.closes, -ERR_CLOSED, had - closing);
	memset(row, 0, sizeof *row);
}

int
limits_share(struct limits *l, int fd, size_t row, size_t row_count)
{
	struct stat st;
	size_t size = segment_bytes(row_count);
	if (row >= row_count || fstat(fd, &st) < 0 || st.st_size < (off_t)size)
		return -ERR_PROTOCOL;
	struct limit_segment *s = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (s == MAP_FAILED)
		return -errno;
	/* a copy: another worker that went mad cannot move our counters under us */
	memcpy(l->alone_seed, s->seed, sizeof l->alone_seed);
	l->rows = s->rows;
	l->fair = &s->fair;
	l->faults.table = &s->faults;
	memcpy(l->faults.seed, l->alone_seed, sizeof l->faults.seed);
	l->mine = &s->rows[row];
	l->row_count = row_count;
	return 0;
}

const char *
limit_name(enum limit which)
{
	return names[which] + sizeof "limit." - 1;
}

int64_t
limit_total(const struct limits *l, enum limit which)
{
	int64_t sum = 0;
	for (size_t i = 0; i < l->row_count; i++)
		sum += atomic_load_explicit(&l->rows[i].now[which], memory_order_relaxed);
	return sum;
}

static void
change(struct limits *l, enum limit which, int by)
{
	l->each[which].now = (uint32_t)((int)l->each[which].now + by);
	atomic_store_explicit(&l->mine->now[which], l->each[which].now, memory_order_relaxed);
}

int64_t
limit_state(struct limits *l, enum limit which, uint32_t mine)
{
	atomic_store_explicit(&l->mine->now[which], mine, memory_order_relaxed);
	return limit_total(l, which) - mine;
}

void
limit_bite(struct limits *l, enum limit which, const struct address *address)
{
	char text[ADDRESS_TEXT_SIZE] = "-";
	if (address)
		address_text(address, text);
	limit_bite_of(l, which, "address", text);
}

void
limit_bite_of(struct limits *l, enum limit which, const char *key, const char *name)
{
	uint32_t held;
	l->each[which].bites++;
	tally_add(&l->mine->tally.bites[which], 1);
	if (!log_limit_pass(&l->each[which].log, &held))
		return;
	LOG(WARN, names[which], F_STR(key, name), F_INT("max", l->each[which].max),
		F_INT("bites", l->each[which].bites), F_INT("held", held));
}

int
limit_take(struct limits *l, enum limit which, const struct address *address)
{
	int own = which == LIMIT_CONNECTIONS && l->own_max > 0 && l->each[which].now >= l->own_max;
	if (own || limit_total(l, which) >= l->each[which].max) {
		limit_bite(l, which, address);
		return -ERR_TOO_MANY;
	}
	change(l, which, 1);
	return 0;
}

void
limit_give(struct limits *l, enum limit which)
{
	assert(l->each[which].now > 0);
	change(l, which, -1);
}

/* IPv4 whole, IPv6 its /64. */
static uint64_t
source_of(const struct address *a)
{
	uint64_t source;
	memcpy(&source, address_is_v4(a) ? a->bytes + 8 : a->bytes, sizeof source);
	return source;
}

void
limit_source_key(const struct address *address, uint8_t ret_key[static FAULT_KEY_BYTES])
{
	uint64_t source[2] = {source_of(address), (uint64_t)address_is_v4(address)};
	static_assert(sizeof source == FAULT_KEY_BYTES, "the whole key");
	memcpy(ret_key, source, sizeof source);
}

/* Multiply and fold with secret seeds: nobody outside can choose addresses that meet in one bucket.
 */
static void
buckets(const struct limits *l, const struct address *a, uint16_t ret[2])
{
	uint64_t source = source_of(a);
	for (size_t i = 0; i < 2; i++) {
		unsigned __int128 m =
			(unsigned __int128)(source ^ l->seed[i]) * (l->seed[1 - i] | 1);
		uint64_t folded = (uint64_t)m ^ (uint64_t)(m >> 64);
		m = (unsigned __int128)(folded ^ l->seed[1 - i]) * 0x9e3779b97f4a7c15u;
		ret[i] = (uint16_t)((uint64_t)(m >> 64) % SOURCE_BUCKETS);
	}
}

/* Of all workers; sketch: as it lies in the first row. */
static int64_t
least(const struct limits *l, const _Atomic uint16_t sketch[2][SOURCE_BUCKETS],
	const uint16_t at[2])
{
	int64_t sum[2] = {0, 0};
	size_t offset = (size_t)((const char *)sketch - (const char *)l->rows);
	for (size_t r = 0; r < l->row_count; r++) {
		const _Atomic uint16_t(*counts)[SOURCE_BUCKETS] =
			(const void *)((const char *)&l->rows[r] + offset);
		for (size_t i = 0; i < 2; i++)
			sum[i] += atomic_load_explicit(&counts[i][at[i]], memory_order_relaxed);
	}
	return sum[0] < sum[1] ? sum[0] : sum[1];
}

/* Counters stop at their maximum only when there are more connections than 65,535 in a bucket; then
 * they stay. */
static void
count(_Atomic uint16_t counts[2][SOURCE_BUCKETS], const uint16_t at[2], int up)
{
	for (size_t i = 0; i < 2; i++) {
		_Atomic uint16_t *c = &counts[i][at[i]];
		uint16_t now = atomic_load_explicit(c, memory_order_relaxed);
		if (now == UINT16_MAX || (!up && now == 0))
			continue;
		atomic_store_explicit(c, (uint16_t)(up ? now + 1 : now - 1), memory_order_relaxed);
	}
}

int
limit_open(struct limits *l, const struct address *address)
{
	uint16_t at[2];
	buckets(l, address, at);
	if (least(l, l->rows->connections, at) >= l->each[LIMIT_SOURCE].max) {
		limit_bite(l, LIMIT_SOURCE, address);
		return -ERR_TOO_MANY;
	}
	int r = limit_take(l, LIMIT_CONNECTIONS, address);
	if (r < 0)
		return r;
	count(l->mine->connections, at, 1);
	count(l->mine->half_open, at, 1);
	change(l, LIMIT_HALF_OPEN, 1);
	return 0;
}

int
limit_is_crowded(const struct limits *l, const struct address *address, int64_t most)
{
	uint16_t at[2];
	int64_t mine = INT64_MAX;
	buckets(l, address, at);
	for (size_t i = 0; i < 2; i++) {
		int64_t n =
			atomic_load_explicit(&l->mine->half_open[i][at[i]], memory_order_relaxed);
		mine = n < mine ? n : mine;
	}
	int64_t part = most / (4 * (int64_t)l->row_count);
	return mine >= (part > 0 ? part : 1) && least(l, l->rows->half_open, at) >= most;
}

void
limit_opened(struct limits *l, const struct address *address)
{
	uint16_t at[2];
	buckets(l, address, at);
	count(l->mine->half_open, at, 0);
	limit_give(l, LIMIT_HALF_OPEN);
}

void
limit_known(struct limits *l, const struct address *address, int is_known)
{
	uint16_t at[2];
	buckets(l, address, at);
	count(l->mine->known, at, is_known);
}

int
limit_has_known(const struct limits *l, const struct address *address)
{
	uint16_t at[2];
	buckets(l, address, at);
	return least(l, l->rows->known, at) > 0;
}

void
limit_adopt(struct limits *l, const struct address *address)
{
	uint16_t at[2];
	buckets(l, address, at);
	count(l->mine->connections, at, 1);
	change(l, LIMIT_CONNECTIONS, 1);
}

void
limit_closed(struct limits *l, const struct address *address)
{
	uint16_t at[2];
	buckets(l, address, at);
	count(l->mine->connections, at, 0);
	limit_give(l, LIMIT_CONNECTIONS);
}
