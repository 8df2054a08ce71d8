#include "gate/share.h"

#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "gate/order.h"
#include "gate/worker.h"
#include "link.pb.h"

enum {
	AGAIN_S = 1,
	DEMANDS_MAX = sizeof((engawa_LinkDemand *)0)->demands / sizeof(engawa_Demand),
};
#define SECOND_NS UINT64_C(1000000000)
_Static_assert(sizeof((engawa_Demand *)0)->organisation == FAIR_NAME_SIZE, "fair_name fills it");

static uint64_t
moved(const struct fair_organisation *o)
{
	return tally_get(&o->to_client) + tally_get(&o->to_agent);
}

/* A moment that another process has written. */
static int
is_lately(const _Atomic uint64_t *at, uint64_t span_ns, uint64_t now_ns)
{
	return tally_get(at) + span_ns >= now_ns;
}

void
share_begin(struct worker *w, int offered)
{
	struct shares *s = &w->shares;
	s->offered = offered && w->seat.seat == 0 && w->fair.table;
	s->told_ns = mono_now().ns;
	for (size_t i = 0; s->offered && i < FAIR_ORGANISATIONS; i++)
		s->moved[i] = moved(&w->fair.table->organisations[i]);
}

static void
make_whole(struct worker *w, const char *why)
{
	if (w->shares.divided == 0)
		return;
	LOG(WARN, "shares.whole", F_STR("why", why), F_INT("rates", w->shares.divided));
	w->shares.divided = 0;
	fair_whole(w->fair.table);
}

void
share_end(struct worker *w)
{
	make_whole(w, "link");
	w->shares.offered = 0;
}

int
share_name(const struct fair_organisation *o, char ret_name[static FAIR_NAME_SIZE])
{
	fair_name(o, ret_name);
	return ret_name[0] && str_printable(ret_name);
}

/* Adds to the frame, which goes when it is full. */
static void
demand(struct worker *w, engawa_LinkDemand *frame, const engawa_Demand *one)
{
	frame->demands[frame->demands_count++] = *one;
	if (frame->demands_count < DEMANDS_MAX)
		return;
	link_send(w, engawa_LinkType_LINK_DEMAND, engawa_LinkDemand_fields, frame);
	frame->demands_count = 0;
}

/* Permille of a rate. */
static uint32_t
used(uint64_t bytes, uint64_t span_ns, uint64_t rate)
{
	if (rate == 0)
		return 0;
	unsigned __int128 n = (unsigned __int128)bytes * FAIR_WHOLE * SECOND_NS / span_ns / rate;
	return n < FAIR_WHOLE ? (uint32_t)n : FAIR_WHOLE;
}

/* Those that have been active; sums: what the prefectures have moved. */
static void
tell_organisations(struct worker *w, engawa_LinkDemand *frame, uint64_t sums[FAIR_PREFECTURES],
	uint64_t span_ns, uint64_t now_ns)
{
	const struct fair_rates *rates = &w->fair.rates;
	for (size_t i = 0; i < FAIR_ORGANISATIONS - 1; i++) {
		const struct fair_organisation *o = &w->fair.table->organisations[i];
		uint32_t state = atomic_load(&o->state);
		if (state == 0)
			break;
		uint64_t now = moved(o), bytes = now - w->shares.moved[i];
		uint32_t prefecture = fair_prefecture(o);
		w->shares.moved[i] = now;
		sums[prefecture] += bytes;
		if (state != 2 || !is_lately(&o->active_ns, span_ns, now_ns) ||
			(rates->organisation == 0 && (rates->prefecture == 0 || prefecture)))
			continue;
		engawa_Demand one = {.prefecture = prefecture,
			.row = (uint32_t)i,
			.used = used(bytes, span_ns, rates->organisation),
			.hungry = is_lately(&o->hungry_ns, span_ns, now_ns)};
		if (share_name(o, one.organisation))
			demand(w, frame, &one);
	}
}

static void
tell_prefectures(struct worker *w, engawa_LinkDemand *frame, const uint64_t sums[FAIR_PREFECTURES],
	uint64_t span_ns, uint64_t now_ns)
{
	const struct fair_table *t = w->fair.table;
	uint64_t rate = w->fair.rates.prefecture;
	for (uint32_t i = 1; rate && i < FAIR_PREFECTURES; i++) {
		engawa_Demand one = {.prefecture = i,
			.used = used(sums[i], span_ns, rate),
			.hungry = is_lately(&t->prefecture_hungry_ns[i], span_ns, now_ns)};
		if (sums[i] > 0 || one.hungry)
			demand(w, frame, &one);
	}
}

void
share_tick(struct worker *w)
{
	struct shares *s = &w->shares;
	uint64_t now_ns = mono_now().ns, sums[FAIR_PREFECTURES] = {0};
	engawa_LinkDemand frame = engawa_LinkDemand_init_zero;
	if (s->divided && w->now - s->heard >= wheel_ticks(FAIR_SHARE_S))
		make_whole(w, "silence");
	if (!s->offered || now_ns - s->told_ns < AGAIN_S * SECOND_NS)
		return;
	tell_organisations(w, &frame, sums, now_ns - s->told_ns, now_ns);
	tell_prefectures(w, &frame, sums, now_ns - s->told_ns, now_ns);
	if (frame.demands_count > 0)
		link_send(w, engawa_LinkType_LINK_DEMAND, engawa_LinkDemand_fields, &frame);
	s->told_ns = now_ns;
}

static int
is_share(const engawa_Share *share)
{
	return share->part >= 1 && share->part <= FAIR_WHOLE &&
	       share->prefecture < FAIR_PREFECTURES &&
	       (share->organisation[0] || share->prefecture > 0);
}

static void
take(struct worker *w, const engawa_Share *share, uint64_t now_ns)
{
	struct fair_table *t = w->fair.table;
	_Atomic uint64_t *to = &t->prefecture_share[share->prefecture];
	if (share->organisation[0]) {
		if (!fair_is(t, share->row, share->organisation))
			return;
		to = &t->organisations[share->row].share;
		/* known from sessions that came back only: their tickets do not say it */
		if (share->weight && fair_prefecture(&t->organisations[share->row]) == 0)
			fair_note(t, share->row, share->prefecture, share->weight);
	}
	int before = fair_share(to, now_ns) < FAIR_WHOLE, after = share->part < FAIR_WHOLE;
	if (after && !before)
		w->shares.divided++;
	else if (before && !after && w->shares.divided > 0)
		w->shares.divided--;
	fair_give(to, share->part, now_ns);
}

int
link_on_shares(struct worker *w, struct leg *link, const uint8_t *payload, size_t len)
{
	engawa_LinkShares msg;
	uint32_t before = w->shares.divided;
	uint64_t now_ns = mono_now().ns;
	(void)link;
	int r = frame_decode(engawa_LinkShares_fields, &msg, payload, len);
	if (r < 0 || !w->shares.offered)
		return -ERR_PROTOCOL;
	for (size_t i = 0; i < msg.shares_count; i++)
		if (!is_share(&msg.shares[i]))
			return -ERR_PROTOCOL;
	for (size_t i = 0; i < msg.shares_count; i++)
		take(w, &msg.shares[i], now_ns);
	w->shares.heard = w->now;
	if (before == 0 && w->shares.divided > 0)
		LOG(INFO, "shares.divided", F_INT("rates", w->shares.divided));
	return 0;
}
