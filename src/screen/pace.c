#include "screen/pace.h"

#include "base/err.h"

void
pace_init(struct pace *pace, uint32_t interval_ms)
{
	*pace = (struct pace){.interval_ms = interval_ms};
}

int
pace_wait_ms(const struct pace *pace, struct mono now)
{
	if (pace->sent - pace->acked >= PACE_OPEN_MAX)
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
pace_begin(struct pace *pace)
{
	return ++pace->sent;
}

int
pace_ack(struct pace *pace, uint32_t seq)
{
	if (seq <= pace->acked || seq > pace->sent)
		return -ERR_PROTOCOL;
	pace->acked = seq;
	return 0;
}
