#include "screen/pace.h"

#include <limits.h>

#include "base/err.h"

enum {
	/* A path may become longer; but one that is never idle must not take its queue for its
	 * length. */
	QUICKEST_AGE_MS = 10000,
	QUICKEST_GROWTH = 8,     /* by this part of it */
	QUEUED_MS = 20,          /* later than the quickest: it has waited behind another */
	RATE_LEAST_BYTES = 1500, /* fewer say nothing of how fast a path is */
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

/* Rounded up: waking a moment too early would only spin. */
static int
wait_ms(struct mono now, struct mono then)
{
	uint64_t ms = (then.ns - now.ns + 999999) / 1000000;
	return ms < INT_MAX ? (int)ms : INT_MAX;
}

int
pace_wait_ms(const struct pace *pace, struct mono now)
{
	uint32_t open = pace->sent - pace->acked;
	if (open >= PACE_OPEN_MAX || (open >= PACE_OPEN_FEW && under_way(pace) > pace->carried))
		return PACE_NEVER;
	return mono_before(now, pace->next) ? wait_ms(now, pace->next) : 0;
}

/* The time of those pictures, without that which any picture needs; how much that is may not be
 * known well. */
static uint64_t
rate_ms(const struct pace *pace)
{
	uint64_t length_ms = pace->rate_count * pace->quickest_ms / 256,
		 least_ms = pace->rate_ms / (pace->length_known ? 8 : 2) + 1;
	return pace->rate_ms > length_ms + least_ms ? pace->rate_ms - length_ms : least_ms;
}

uint64_t
pace_bytes(const struct pace *pace, uint32_t ms)
{
	return pace->rate_bytes * ms / rate_ms(pace);
}

int
pace_idle_ms(const struct pace *pace, struct mono now)
{
	if (pace->sent == pace->acked)
		return 0;
	if (pace->sent - pace->acked > 1 || pace->rate_bytes == 0)
		return PACE_NEVER;
	const struct pace_picture *p = &pace->pictures[pace->sent % PACE_OPEN_MAX];
	struct mono gone = mono_add_ms(p->begun, p->bytes * rate_ms(pace) / pace->rate_bytes);
	return mono_before(now, gone) ? wait_ms(now, gone) : 0;
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

/* From a picture with little before it. */
static void
learn_rate(struct pace *pace, const struct pace_picture *p, struct mono now)
{
	if (p->bytes < RATE_LEAST_BYTES)
		pace->length_known = 1;
	else if (p->under_way <= 2 * p->bytes) {
		pace->rate_bytes = pace->rate_bytes * 3 / 4 + p->bytes;
		pace->rate_ms = pace->rate_ms * 3 / 4 + mono_diff_ms(p->begun, now);
		pace->rate_count = pace->rate_count * 3 / 4 + 256;
	}
}

int
pace_ack(struct pace *pace, uint32_t seq, struct mono now)
{
	if (seq <= pace->acked || seq > pace->sent)
		return -ERR_PROTOCOL;
	learn_rate(pace, picture(pace, seq), now);
	learn(pace, picture(pace, seq), now);
	pace->acked = seq;
	return 0;
}
