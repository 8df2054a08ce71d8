#include "controller/trail.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	GATHER_MS = 50,
	RETRY_MS = 1000,
	BATCH = 256,
	EVENTS_MAX = 16384, /* 5 MiB; about an hour of a busy site with a full disk */
};

struct trail {
	struct store *store;
	struct timer *timer;
	struct store_event *events; /* ring */
	size_t first, count;
	uint64_t lost;
	int waiting, failing;
};

/* 0 or the store's failure. */
static int
write_batch(struct trail *trail)
{
	size_t n = trail->count < BATCH ? trail->count : BATCH;
	if (n > EVENTS_MAX - trail->first)
		n = EVENTS_MAX - trail->first;
	int r = n ? store_events_add(trail->store, trail->events + trail->first, n) : 0;
	if (r < 0)
		return r;
	trail->first = (trail->first + n) % EVENTS_MAX;
	trail->count -= n;
	return 0;
}

static void
on_timer(void *user)
{
	struct trail *trail = user;
	int r = write_batch(trail);
	if (r < 0 && !trail->failing)
		LOG(ERROR, "trail.waits", F_ERR("code", r),
			F_STR("why", store_error(trail->store)));
	if (r == 0 && trail->failing)
		LOG(INFO, "trail.goes_on", F_INT("waiting", trail->count),
			F_INT("lost", trail->lost));
	trail->failing = r < 0;
	trail->waiting = trail->count > 0;
	if (trail->waiting)
		timer_start(trail->timer, r < 0 ? RETRY_MS : 1, 0);
}

struct trail *
trail_new(struct loop *loop, struct store *store)
{
	struct trail *trail = mem_new(sizeof *trail);
	trail->store = store;
	trail->timer = timer_new(loop, on_timer, trail);
	trail->events = mem_new(EVENTS_MAX * sizeof *trail->events);
	return trail;
}

void
trail_free(struct trail *trail)
{
	int r = 0;
	if (!trail)
		return;
	while (trail->count > 0 && r == 0)
		r = write_batch(trail);
	if (r < 0)
		LOG(ERROR, "trail.lost", F_INT("events", trail->count), F_ERR("code", r));
	timer_free(trail->timer);
	free(trail->events);
	free(trail);
}

void
trail_add(struct trail *trail, const char *actor, const char *event, const char *subject,
	const char *detail)
{
	if (trail->count == EVENTS_MAX) {
		trail->lost++;
		return;
	}
	struct store_event *e = &trail->events[(trail->first + trail->count++) % EVENTS_MAX];
	e->time_s = wall_s();
	(void)str_copy(e->actor, sizeof e->actor, actor);
	(void)str_copy(e->event, sizeof e->event, event);
	(void)str_copy(e->subject, sizeof e->subject, subject);
	(void)str_copy(e->detail, sizeof e->detail, detail);
	if (!trail->waiting)
		timer_start(trail->timer, GATHER_MS, 0);
	trail->waiting = 1;
}
