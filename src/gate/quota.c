#include "gate/quota.h"

#include "base/err.h"
#include "gate/worker.h"

enum {
	AGAIN_S = 1,             /* the sum of all weights is that old at most */
	HANDSHAKES_BURST_S = 10, /* an office that comes back together after a power cut */
	CONNECTIONS_OF_SESSION = 2,
};

size_t
quota_row(struct worker *w, const char *organisation)
{
	return w->fair.table && *organisation ? fair_row(w->fair.table, organisation) : 0;
}

void
quota_name(const struct worker *w, size_t row, char ret_name[static FAIR_NAME_SIZE])
{
	ret_name[0] = '\0';
	if (w->fair.table)
		fair_name(&w->fair.table->organisations[row], ret_name);
}

static void
bite(struct worker *w, size_t row, enum limit which)
{
	char name[FAIR_NAME_SIZE];
	quota_name(w, row, name);
	tally_add(&w->fair.table->organisations[row].refused, 1);
	limit_bite_of(&w->limits, which, "organisation", name);
}

static _Atomic uint32_t *
counter(struct limit_row *r, size_t row, enum quota which)
{
	return which == QUOTA_AGENTS ? &r->agents[row] : &r->sessions[row];
}

void
quota_count(struct worker *w, size_t row, enum quota which, int by)
{
	_Atomic uint32_t *c = counter(w->limits.mine, row, which);
	uint32_t now = atomic_load_explicit(c, memory_order_relaxed);
	if (by < 0 && now == 0)
		return; /* another worker wrote into our row: it does not stop us */
	atomic_store_explicit(c, (uint32_t)((int)now + by), memory_order_relaxed);
}

/* Of all workers. */
static int64_t
held(const struct worker *w, size_t row, enum quota which)
{
	int64_t sum = 0;
	for (size_t i = 0; i < w->limits.row_count; i++)
		sum += atomic_load_explicit(
			counter(&w->limits.rows[i], row, which), memory_order_relaxed);
	return sum;
}

static int64_t
connections(const struct worker *w, size_t row)
{
	return held(w, row, QUOTA_AGENTS) + CONNECTIONS_OF_SESSION * held(w, row, QUOTA_SESSIONS);
}

static uint64_t
weight(const struct worker *w, size_t row)
{
	return fair_weight(&w->fair.table->organisations[row]);
}

static uint64_t
weights(struct worker *w)
{
	struct quotas *q = &w->quotas;
	if (q->known && w->now - q->at < wheel_ticks(AGAIN_S))
		return q->weights;
	*q = (struct quotas){.at = w->now, .known = 1};
	for (size_t i = 0; i < FAIR_ORGANISATIONS; i++)
		if (atomic_load_explicit(
			    &w->fair.table->organisations[i].state, memory_order_relaxed) &&
			connections(w, i) > 0)
			q->weights += weight(w, i);
	return q->weights;
}

/* It is in nobody's way. */
static int
is_alone(struct worker *w, size_t row)
{
	return weights(w) <= (connections(w, row) > 0 ? weight(w, row) : 0);
}

/*
 * The last connections of a full gate are for organisations that have less than their part of it
 * by weight. One that is alone has all.
 */
static int
has_its_part(struct worker *w, size_t row)
{
	int64_t max = w->settings.connections_max;
	int64_t free_for_all = max - max * w->settings.organisation_reserve_percent / 100;
	if (w->settings.organisation_reserve_percent == 0 ||
		limit_total(&w->limits, LIMIT_CONNECTIONS) <= free_for_all)
		return 0;
	int64_t mine = connections(w, row);
	uint64_t own = weight(w, row), all = weights(w);
	all = mine > 0 ? all : all + own;
	return all > own && (uint64_t)mine * all >= (uint64_t)max * own;
}

int
quota_ask(struct worker *w, size_t row, enum quota which)
{
	if (!w->fair.table)
		return 0;
	enum limit limit =
		which == QUOTA_AGENTS ? LIMIT_ORGANISATION_AGENTS : LIMIT_ORGANISATION_SESSIONS;
	int64_t max = w->limits.each[limit].max;
	if (max == 0 || held(w, row, which) < max) {
		if (!has_its_part(w, row))
			return 0;
		limit = LIMIT_ORGANISATION_PART;
	}
	bite(w, row, limit);
	return -ERR_ORGANISATION_FULL;
}

int
quota_handshake(struct worker *w, size_t row, int may_refuse)
{
	uint64_t rate = (uint64_t)w->settings.organisation_handshakes_s;
	if (!w->fair.table || rate == 0)
		return 0;
	struct fair_organisation *o = &w->fair.table->organisations[row];
	if (fair_handshake(o, rate, HANDSHAKES_BURST_S, mono_now().ns) || !may_refuse ||
		is_alone(w, row))
		return 0;
	bite(w, row, LIMIT_ORGANISATION_HANDSHAKES);
	return -ERR_TOO_MANY;
}
