/* The clocks of a session at work: the path is dead after three seconds without a byte; a person
 * who does nothing is warned, and then the session ends. Pictures, acknowledgements and pings are
 * nobody doing something. */
#include "agent/work.h"
#include "base/err.h"
#include "inner.pb.h"

enum {
	PATH_DEAD_MS = 3000, /* the client pings every second (docs/protocol.md 8.3) */
	LATE_MS = 1500,      /* from tick to tick: this process was not run meanwhile */
	IDLE_WARN_S = 60,
};

static void
notice(struct work *work, uint32_t seconds)
{
	const struct notice message = {.code = ERR_IDLE, .seconds = seconds};
	inner_send_notice(&work->inner, &message);
}

/* The client that was warned hears that it is no longer so. */
void
work_active(struct work *work)
{
	work->last_input = work->now;
	if (work->warned)
		notice(work, 0);
	work->warned = 0;
}

static void
idle_tick(struct work *work)
{
	uint64_t idle_s = mono_diff_ms(work->last_input, work->now) / 1000;
	if (!work->idle_s)
		return;
	if (idle_s >= work->idle_s) {
		work_end(work, ERR_IDLE);
		return;
	}
	uint32_t left_s = (uint32_t)(work->idle_s - idle_s);
	if (left_s > IDLE_WARN_S || work->warned || work->state != WORK_RUNNING)
		return;
	work->warned = 1;
	notice(work, left_s);
}

void
work_tick(struct work *work)
{
	/* then the silence was ours: what waits in the socket is read before the next tick */
	work->late =
		!work->late && work->ticked.ns && mono_diff_ms(work->ticked, work->now) >= LATE_MS;
	int silent = work->state == WORK_RUNNING && !work->late &&
		     mono_diff_ms(work->last_byte, work->now) >= PATH_DEAD_MS;
	work->ticked = work->now;
	if (silent && !work->keep)
		work_end(work, ERR_TIMEOUT);
	else if (silent)
		work_lose(work, -ERR_TIMEOUT);
	if (work->state != WORK_ENDED)
		idle_tick(work);
}
