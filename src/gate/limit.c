#include "gate/limit.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>
#include <sys/random.h>

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
		[LIMIT_MEMORY] = s->memory_max_mib << 20,
	};
	memset(l, 0, sizeof *l);
	for (size_t i = 0; i < LIMIT_COUNT; i++) {
		l->each[i].max = max[i];
		l->each[i].log = (struct log_limit){.burst = 3, .window_ms = 10000};
	}
	ssize_t n = getrandom(l->seed, sizeof l->seed, 0);
	assert(n == sizeof l->seed);
}

void
limit_bite(struct limits *l, enum limit which, const struct address *address)
{
	char text[ADDRESS_TEXT_SIZE] = "-";
	uint32_t held;
	l->each[which].bites++;
	if (!log_limit_pass(&l->each[which].log, &held))
		return;
	if (address)
		address_text(address, text);
	LOG(WARN, names[which], F_STR("address", text), F_INT("max", l->each[which].max),
		F_INT("bites", l->each[which].bites), F_INT("held", held));
}

int
limit_take(struct limits *l, enum limit which, const struct address *address)
{
	if (l->each[which].now >= l->each[which].max) {
		limit_bite(l, which, address);
		return -ERR_TOO_MANY;
	}
	l->each[which].now++;
	return 0;
}

void
limit_give(struct limits *l, enum limit which)
{
	assert(l->each[which].now > 0);
	l->each[which].now--;
}

/* Multiply and fold with secret seeds: nobody outside can choose addresses that meet in one bucket.
 */
static void
buckets(const struct limits *l, const struct address *a, uint16_t ret[2])
{
	uint64_t source = 0;
	const uint8_t *p =
		address_is_v4(a) ? a->bytes + 8 : a->bytes; /* IPv4 whole, IPv6 its /64 */
	memcpy(&source, p, sizeof source);
	for (size_t i = 0; i < 2; i++) {
		unsigned __int128 m =
			(unsigned __int128)(source ^ l->seed[i]) * (l->seed[1 - i] | 1);
		uint64_t folded = (uint64_t)m ^ (uint64_t)(m >> 64);
		m = (unsigned __int128)(folded ^ l->seed[1 - i]) * 0x9e3779b97f4a7c15u;
		ret[i] = (uint16_t)((uint64_t)(m >> 64) % SOURCE_BUCKETS);
	}
}

static int64_t
least(uint16_t counts[2][SOURCE_BUCKETS], const uint16_t at[2])
{
	uint16_t a = counts[0][at[0]], b = counts[1][at[1]];
	return a < b ? a : b;
}

/* Counters stop at their maximum only when there are more connections than 65,535 in a bucket; then
 * they stay. */
static void
count(uint16_t counts[2][SOURCE_BUCKETS], const uint16_t at[2], int up)
{
	for (size_t i = 0; i < 2; i++) {
		uint16_t *c = &counts[i][at[i]];
		if (*c == UINT16_MAX)
			continue;
		*c = (uint16_t)(*c + (up ? 1 : *c > 0 ? -1 : 0));
	}
}

int
limit_open(struct limits *l, const struct address *address)
{
	uint16_t at[2];
	buckets(l, address, at);
	enum limit which = least(l->connections, at) >= l->each[LIMIT_SOURCE].max ? LIMIT_SOURCE
			   : least(l->half_open, at) >= l->each[LIMIT_SOURCE_HALF_OPEN].max
				   ? LIMIT_SOURCE_HALF_OPEN
				   : LIMIT_COUNT;
	if (which != LIMIT_COUNT) {
		limit_bite(l, which, address);
		return -ERR_TOO_MANY;
	}
	int r = limit_take(l, LIMIT_CONNECTIONS, address);
	if (r < 0)
		return r;
	count(l->connections, at, 1);
	count(l->half_open, at, 1);
	l->each[LIMIT_HALF_OPEN].now++;
	return 0;
}

void
limit_opened(struct limits *l, const struct address *address)
{
	uint16_t at[2];
	buckets(l, address, at);
	count(l->half_open, at, 0);
	limit_give(l, LIMIT_HALF_OPEN);
}

void
limit_closed(struct limits *l, const struct address *address)
{
	uint16_t at[2];
	buckets(l, address, at);
	count(l->connections, at, 0);
	limit_give(l, LIMIT_CONNECTIONS);
}
