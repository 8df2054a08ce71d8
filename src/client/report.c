/*
 * The quarantine check as the office PC asks for it: once in the login, then again and again while
 * the session works, oftener while something is wrong. Collecting blocks and happens on the pool.
 */
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "client/inside.h"
#include "client/posture.h"

enum {
	CHANNEL_BYTES = 16,
	BACK_MS = 1000,
	AGAIN_MS = 30000, /* while something is wrong: who puts it right need not wait */
};

/* The pool's; it outlives a session that is gone. */
struct gather {
	struct session *s; /* NULL when the session is gone */
	posture_fn *collect;
	engawa_Posture posture;
};

static void
run_gather(void *user)
{
	struct gather *g = user;
	g->collect(&g->posture);
}

static void
start_timer(struct session *s)
{
	if (s->report_every_ms)
		timer_start(s->report,
			s->findings && AGAIN_MS < s->report_every_ms ? AGAIN_MS
								     : s->report_every_ms,
			0);
}

static void
on_gathered(void *user)
{
	struct gather *g = user;
	struct session *s = g->s;
	if (!s) {
		mem_wipe_free(g, sizeof *g);
		return;
	}
	s->gather = NULL;
	g->posture.channel.size = CHANNEL_BYTES;
	memcpy(g->posture.channel.bytes, s->hash, CHANNEL_BYTES);
	int r = record_send(s, engawa_InnerType_INNER_POSTURE, engawa_Posture_fields, &g->posture);
	mem_wipe_free(g, sizeof *g);
	if (r < 0)
		session_fail(s, r, "the report for the quarantine check");
	else if (s->state == LOGIN)
		timer_start(s->deadline, ANSWER_MS, 0);
	else
		start_timer(s);
}

static void
gather_start(struct session *s)
{
	struct gather *g = mem_new(sizeof *g);
	g->s = s;
	g->collect = s->collect;
	s->gather = g;
	loop_work(s->loop, run_gather, on_gathered, g);
}

static void
on_timer(void *user)
{
	struct session *s = user;
	if (!s->gather)
		gather_start(s);
}

void
report_asked(struct session *s, uint32_t every_s)
{
	s->report_every_ms = (uint64_t)every_s * 1000;
	timer_stop(s->deadline);
	gather_start(s);
}

/* After a break the office PC does not wait longer for a report than without one. */
void
report_work(struct session *s, int again)
{
	s->report = timer_new(s->loop, on_timer, s);
	if (again && s->report_every_ms)
		timer_start(s->report, BACK_MS, 0);
	else
		start_timer(s);
}

void
report_notice(struct session *s, const engawa_Notice *notice)
{
	int were = s->findings;
	if (notice->code != ERR_INSPECTION)
		return;
	s->findings = notice->findings_count > 0;
	if (s->state == WORK && s->findings && !were && !s->gather)
		start_timer(s);
}

void
report_fini(struct session *s)
{
	timer_free(s->report);
	s->report = NULL;
	if (s->gather)
		s->gather->s = NULL;
	s->gather = NULL;
}
