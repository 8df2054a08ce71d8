#include "agent/work_rate.h"

enum {
	MILLI = 1000
};

/*
 * burst, then as many in ten seconds for ever.
 *   key       fast typists reach 20 presses a second for a moment, scanners of bar codes send some
 *             40 digits at once; each press has its release
 *   pointer   honest clients send one place every 20 ms, and notches of a wheel that spins freely
 *   text      a long sentence from an input method
 *   continue  one click for each warning
 *   posture   every ten minutes, every half minute while something is wrong
 *   life      a ping every second; an acknowledgement for each picture, at most two on their way
 */
static const struct {
	const char *name;
	uint32_t burst, per_10s;
} table[RATE_KINDS] = {
	[RATE_FREE] = {"free", 0, 0},
	[RATE_KEY] = {"key", 240, 800},
	[RATE_POINTER] = {"pointer", 1000, 4000},
	[RATE_TEXT] = {"text", 1000, 400},
	[RATE_LAYOUT] = {"layout", 60, 50},
	[RATE_CONTINUE] = {"continue", 6, 2},
	[RATE_POSTURE] = {"posture", 6, 1},
	[RATE_LIFE] = {"life", 1200, 2500},
};

const char *
rate_name(enum rate_kind kind)
{
	return table[kind].name;
}

void
rates_init(struct rates *rates, struct mono now)
{
	for (int i = 0; i < RATE_KINDS; i++) {
		rates->filled[i] = now;
		rates->milli[i] = (uint64_t)table[i].burst * MILLI;
	}
}

int
rates_take(struct rates *rates, enum rate_kind kind, uint32_t count, struct mono now)
{
	uint64_t full = (uint64_t)table[kind].burst * MILLI;
	if (kind == RATE_FREE)
		return 1;
	/* 1 event in 10 s = 1 thousandth in 10 ms; what is left of a step stays in `filled` */
	uint64_t steps = mono_diff_ms(rates->filled[kind], now) / 10;
	uint64_t most = full / table[kind].per_10s + 1;
	rates->filled[kind] = mono_add_ms(rates->filled[kind], steps * 10);
	rates->milli[kind] += (steps < most ? steps : most) * table[kind].per_10s;
	if (rates->milli[kind] > full)
		rates->milli[kind] = full;
	if (rates->milli[kind] < (uint64_t)count * MILLI)
		return 0;
	rates->milli[kind] -= (uint64_t)count * MILLI;
	return 1;
}
