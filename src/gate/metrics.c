#include "gate/metrics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"

static void
family(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# TYPE engawa_gate_%s %s\n# HELP engawa_gate_%s %s\n", name, type, name,
		help);
}

static void
one(FILE *out, const char *name, const char *type, const char *help, uint64_t value)
{
	family(out, name, type, help);
	fprintf(out, "engawa_gate_%s%s %" PRIu64 "\n", name,
		strcmp(type, "counter") == 0 ? "_total" : "", value);
}

static const struct number {
	const char *name, *type, *help;
	size_t at;
} numbers[] = {
	{"agents", "gauge", "Office PCs that wait at this gate.", offsetof(struct tally, agents)},
	{"sessions", "gauge", "Sessions that run.", offsetof(struct tally, sessions)},
	{"connections_accepted", "counter", "Connections taken.", offsetof(struct tally, accepted)},
	{"handshakes", "counter", "TLS handshakes done.", offsetof(struct tally, handshakes)},
	{"handshakes_failed", "counter", "TLS handshakes that failed, were too slow, or gave way.",
		offsetof(struct tally, handshakes_failed)},
	{"sessions_started", "counter", "Sessions joined, also those that came back.",
		offsetof(struct tally, sessions_started)},
	{"sessions_resumed", "counter", "Sessions that came back over another connection.",
		offsetof(struct tally, sessions_resumed)},
	{"to_client_bytes", "counter", "Bytes of sessions from office PCs to clients.",
		offsetof(struct tally, to_client)},
	{"to_agent_bytes", "counter", "Bytes of sessions from clients to office PCs.",
		offsetof(struct tally, to_agent)},
};

static uint64_t
value(const struct tally *tally, size_t at)
{
	return tally_get((const _Atomic uint64_t *)(const void *)((const char *)tally + at));
}

static void
write_limits(FILE *out, const struct limit_segment *s, size_t workers, const struct tally *sum,
	const struct settings *settings)
{
	static const struct {
		enum limit limit;
		const char *name, *help;
	} counted[] = {
		{LIMIT_CONNECTIONS, "connections", "Connections of all kinds."},
		{LIMIT_HALF_OPEN, "half_open", "Connections that have not shown yet who they are."},
		{LIMIT_SPLICE, "page_connections", "Connections of browsers to the controller."},
		{LIMIT_MEMORY, "memory_mib", "Buffers for bytes on their way."},
	};
	struct limits limits;
	limits_init(&limits, settings);
	for (size_t i = 0; i < sizeof counted / sizeof counted[0]; i++) {
		uint64_t now = 0;
		for (size_t w = 0; w < workers; w++)
			now += atomic_load(&s->rows[w].now[counted[i].limit]);
		one(out, counted[i].name, "gauge", counted[i].help, now);
	}
	family(out, "limit", "gauge", "What the settings allow.");
	for (size_t i = 0; i < LIMIT_COUNT; i++)
		fprintf(out, "engawa_gate_limit{limit=\"%s\"} %" PRId64 "\n",
			limit_name((enum limit)i), limits.each[i].max);
	family(out, "limit_reached", "counter", "How often a limit said no.");
	for (size_t i = 0; i < LIMIT_COUNT; i++)
		fprintf(out, "engawa_gate_limit_reached_total{limit=\"%s\"} %" PRIu64 "\n",
			limit_name((enum limit)i), tally_get(&sum->bites[i]));
}

static void
write_reasons(FILE *out, const char *name, const char *help, const struct tally_reason *reasons)
{
	family(out, name, "counter", help);
	for (size_t i = 0; i < TALLY_CODES; i++) {
		uint64_t code = tally_get(&reasons[i].code);
		if (code > 0 && code <= UINT16_MAX)
			fprintf(out,
				"engawa_gate_%s_total{code=\"%" PRIu64 "\",name=\"%s\"} %" PRIu64
				"\n",
				name, code - 1, code == 1 ? "OK" : err_name((int)code - 1),
				tally_get(&reasons[i].count));
	}
}

/* Names come out of signed tickets and certificates, and are printable, unless a worker went mad;
 * what would end the label or the line is not let through. */
static void
write_label(FILE *out, const char *name)
{
	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;
		fputc(c < ' ' || c == '"' || c == '\\' || c == 0x7f ? '?' : c, out);
	}
}

static void
write_one_organisation(FILE *out, const char *name, const char *suffix, const struct fair_table *t,
	size_t row, uint64_t n)
{
	const struct fair_organisation *o = &t->organisations[row];
	char organisation[FAIR_NAME_SIZE] = "(others)";
	if (atomic_load(&o->state) != 2 && n == 0)
		return;
	if (row < FAIR_ORGANISATIONS - 1)
		fair_name(o, organisation);
	fprintf(out, "engawa_gate_%s%s{organisation=\"", name, suffix);
	write_label(out, organisation);
	fprintf(out, "\",prefecture=\"%u\"} %" PRIu64 "\n", (unsigned)fair_prefecture(o), n);
}

/* What they hold now, of all workers. */
static void
write_held(FILE *out, const struct limit_segment *s, size_t workers)
{
	family(out, "organisation_agents", "gauge", "Office PCs that wait, of an organisation.");
	for (size_t i = 0; i < FAIR_ORGANISATIONS; i++) {
		uint64_t n = 0;
		for (size_t w = 0; w < workers; w++)
			n += atomic_load(&s->rows[w].agents[i]);
		write_one_organisation(out, "organisation_agents", "", &s->fair, i, n);
	}
	family(out, "organisation_sessions_now", "gauge", "Sessions that run, of an organisation.");
	for (size_t i = 0; i < FAIR_ORGANISATIONS; i++) {
		uint64_t n = 0;
		for (size_t w = 0; w < workers; w++)
			n += atomic_load(&s->rows[w].sessions[i]);
		write_one_organisation(out, "organisation_sessions_now", "", &s->fair, i, n);
	}
	family(out, "organisation_weight", "gauge",
		"Weight of an organisation, as its tickets say.");
	for (size_t i = 0; i < FAIR_ORGANISATIONS - 1; i++)
		write_one_organisation(out, "organisation_weight", "", &s->fair, i,
			fair_weight(&s->fair.organisations[i]));
}

/* Those that have a rate and have been used. */
static void
write_shares(FILE *out, const struct fair_table *t)
{
	uint64_t now_ns = mono_now().ns;
	family(out, "prefecture_share", "gauge",
		"Permille of a prefecture's rate that this gate has; other gates have the rest.");
	for (unsigned i = 1; i < FAIR_PREFECTURES; i++)
		if (tally_get(&t->prefecture_ns[i]))
			fprintf(out, "engawa_gate_prefecture_share{prefecture=\"%u\"} %u\n", i,
				(unsigned)fair_share(&t->prefecture_share[i], now_ns));
	family(out, "organisation_share", "gauge", "Likewise of an organisation's rate.");
	for (size_t i = 0; i < FAIR_ORGANISATIONS - 1; i++)
		if (tally_get(&t->organisations[i].own_ns))
			write_one_organisation(out, "organisation_share", "", t, i,
				fair_share(&t->organisations[i].share, now_ns));
}

static void
write_organisations(FILE *out, const struct fair_table *t)
{
	static const struct {
		const char *name, *help;
		size_t at;
	} each[] = {
		{"organisation_sessions", "Sessions joined, of an organisation.",
			offsetof(struct fair_organisation, sessions)},
		{"organisation_to_client_bytes", "Bytes to clients.",
			offsetof(struct fair_organisation, to_client)},
		{"organisation_to_agent_bytes", "Bytes to office PCs.",
			offsetof(struct fair_organisation, to_agent)},
		{"organisation_throttled", "Times it had to wait for its share.",
			offsetof(struct fair_organisation, throttled)},
		{"organisation_refused", "Times it had as much of the gate as it may have.",
			offsetof(struct fair_organisation, refused)},
	};
	for (size_t k = 0; k < sizeof each / sizeof each[0]; k++) {
		family(out, each[k].name, "counter", each[k].help);
		for (size_t i = 0; i < FAIR_ORGANISATIONS; i++) {
			const struct fair_organisation *o = &t->organisations[i];
			uint64_t n =
				tally_get((const _Atomic uint64_t *)(const void *)((const char *)o +
										   each[k].at));
			write_one_organisation(out, each[k].name, "_total", t, i, n);
		}
	}
}

void
metrics_write(
	FILE *out, const struct limit_segment *s, size_t workers, const struct settings *settings)
{
	struct tally *sum = mem_new(sizeof *sum);
	tally_fold(sum, &s->gone);
	for (size_t w = 0; w < workers; w++) {
		const struct tally *t = &s->rows[w].tally;
		tally_fold(sum, t);
		tally_add(&sum->agents, tally_get(&t->agents));
		tally_add(&sum->sessions, tally_get(&t->sessions));
	}
	one(out, "workers", "gauge", "Worker processes.", workers);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		one(out, numbers[i].name, numbers[i].type, numbers[i].help,
			value(sum, numbers[i].at));
	write_limits(out, s, workers, sum, settings);
	write_reasons(
		out, "connections_closed", "Connections by the reason of their end.", sum->closes);
	write_reasons(out, "sessions_ended", "Sessions by the reason of their end.", sum->ends);
	write_organisations(out, &s->fair);
	write_held(out, s, workers);
	write_shares(out, &s->fair);
	fputs("# EOF\n", out);
	free(sum);
}
