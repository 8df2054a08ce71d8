#include "screen/pace.h"

#include "base/err.h"

enum {
	/* A path may become longer; but one that is never idle must not take its queue for its
	 * length. */
	QUICKEST_AGE_MS = 10000,
	QUICKEST_GROWTH = 8, /* by this part of it */
	QUEUED_MS = 20,      /* later than the quickest: it has waited behind another */
};

void
pace_init(struct pace *pace, uint32_t interval_ms)
{
	*pace = (struct pace){.interval_ms = interval_ms};
}

static struct pace_picture *
picture(struct pace *pace, uint32_t seq)
{
	return &pace->pictures[seq % PACE_OPEN_MAX];
}

static size_t
under_way(const struct pace *pace)
{
	size_t bytes = 0;
	for (uint32_t seq = pace->acked + 1; seq <= pace->sent; seq++)
		bytes += pace->pictures[seq % PACE_OPEN_MAX].bytes;
	return bytes;
}

int
pace_wait_ms(const struct pace *pace, struct mono now)
{
	uint32_t open = pace->sent - pace->acked;
	if (open >= PACE_OPEN_MAX || (open >= PACE_OPEN_FEW && under_way(pace) > pace->carried))
		return PACE_NEVER;
	if (!mono_before(now, pace->next))
		return 0;
	/* rounded up: waking a moment too early would only spin */
	return (int)((pace->next.ns - now.ns + 999999) / 1000000);
}

void
pace_capture(struct pace *pace, struct mono now)
{
	pace->next = mono_add_ms(now, pace->interval_ms);
}

uint32_t
pace_begin(struct pace *pace, struct mono now)
{
	*picture(pace, ++pace->sent) = (struct pace_picture){.begun = now};
	return pace->sent;
}

void
pace_sent(struct pace *pace, size_t bytes)
{
	struct pace_picture *p = picture(pace, pace->sent);
	p->bytes += bytes;
	p->under_way = under_way(pace);
}

/* A queue shows in the time that a picture takes: what was under way then is too much. */
static void
learn(struct pace *pace, const struct pace_picture *p, struct mono now)
{
	uint64_t took_ms = mono_diff_ms(p->begun, now);
	int aged = mono_diff_ms(pace->quickest_at, now) > QUICKEST_AGE_MS;
	if (aged)
		pace->quickest_ms += pace->quickest_ms / QUICKEST_GROWTH + 1;
	if (!pace->quickest_at.ns || took_ms <= pace->quickest_ms)
		pace->quickest_ms = took_ms;
	if (aged || took_ms == pace->quickest_ms)
		pace->quickest_at = now;
	if (took_ms <= pace->quickest_ms + QUEUED_MS) {
		if (p->under_way > pace->carried)
			pace->carried = p->under_way;
	} else if (p->under_way / 2 < pace->carried) {
		pace->carried = p->under_way / 2;
	}
}

int
pace_ack(struct pace *pace, uint32_t seq, struct mono now)
{
	if (seq <= pace->acked || seq > pace->sent)
		return -ERR_PROTOCOL;
	learn(pace, picture(pace, seq), now);
	pace->acked = seq;
	return 0;
}
