#include "agent/term.h"

#include <string.h>

#include "agent/hours.h"
#include "base/err.h"

enum {
	MINUTE_S = 60,
	WARN_S = 10 * MINUTE_S,
	SESSION_MAX_S = 604800, /* the most that MAX_SESSION can say: a work process that was taken
				   over sees somebody typing for ever */
};

static uint64_t
left_ms(struct mono now, struct mono end)
{
	return mono_before(now, end) ? mono_diff_ms(now, end) : 0;
}

static uint64_t
grace_ms(const struct term *term)
{
	return (uint64_t)term->policy->inspection_grace_minutes * MINUTE_S * 1000;
}

static uint32_t
grace_left_s(const struct term *term, struct mono now)
{
	return (uint32_t)(left_ms(now, mono_add_ms(term->bad, grace_ms(term))) / 1000);
}

void
term_start(struct term *term, const struct policy *policy, int inspects, struct mono now,
	uint64_t now_s)
{
	*term = (struct term){.begun = now, .inspects = inspects != 0, .reported = now};
	term_policy(term, policy, now, now_s);
}

/* An end of the hours that is later than before is not believed: a clock that is set back makes
 * one, too. */
void
term_policy(struct term *term, const struct policy *policy, struct mono now, uint64_t now_s)
{
	uint64_t left_s = hours_left_s(&policy->working_hours, &policy->holidays, now_s);
	int had_hours = term->has_hours;
	term->policy = policy;
	term->has_hours = left_s != HOURS_ALWAYS;
	if (!term->has_hours)
		return;
	struct mono end = mono_add_ms(now, left_s * 1000);
	if (!had_hours || mono_before(end, term->hours_end))
		term->hours_end = end;
}

/* Seconds until each limit; HOURS_ALWAYS = it does not apply. */
static uint64_t
hours_left(const struct term *term, struct mono now, uint64_t now_s)
{
	const struct policy *p = term->policy;
	if (!term->has_hours)
		return HOURS_ALWAYS;
	uint64_t by_wall_s = hours_left_s(&p->working_hours, &p->holidays, now_s);
	uint64_t by_mono_s = (left_ms(now, term->hours_end) + 999) / 1000;
	return by_wall_s < by_mono_s ? by_wall_s : by_mono_s;
}

static uint64_t
session_left(const struct term *term, struct mono now)
{
	int64_t set_s = term->policy->max_session_s;
	uint64_t max_ms = (uint64_t)(set_s ? set_s : SESSION_MAX_S) * 1000;
	return (left_ms(now, mono_add_ms(term->begun, max_ms)) + 999) / 1000;
}

static void
judge_missing(struct term *term, struct mono now)
{
	uint64_t due_ms = (uint64_t)term->policy->inspection_repeat_minutes * MINUTE_S * 1000 +
			  TERM_REPORT_SLACK_MS;
	if (!term->inspects || !term->policy->inspection_repeat_minutes ||
		mono_diff_ms(term->reported, now) < due_ms)
		return;
	if (!term->findings.count)
		term->bad = now;
	findings_add(&term->findings, ERR_POSTURE_MISSING);
}

int
term_tick(struct term *term, struct mono now, uint64_t now_s, struct notice *ret_notice)
{
	const struct {
		uint32_t code;
		uint64_t left_s;
	} limits[TERM_LIMITS] = {{ERR_HOURS, hours_left(term, now, now_s)},
		{ERR_SESSION_LONG, session_left(term, now)}};
	size_t before = term->findings.count;
	judge_missing(term, now);
	if (term->findings.count && mono_diff_ms(term->bad, now) >= grace_ms(term))
		return -(int)findings_code(&term->findings);
	for (size_t i = 0; i < TERM_LIMITS; i++)
		if (limits[i].left_s == 0)
			return -(int)limits[i].code;
	if (term->findings.count > before) {
		*ret_notice =
			(struct notice){ERR_INSPECTION, grace_left_s(term, now), term->findings};
		return 1;
	}
	for (size_t i = 0; i < TERM_LIMITS; i++) {
		uint64_t left_s = limits[i].left_s;
		uint8_t level = left_s <= MINUTE_S ? 2 : left_s <= WARN_S ? 1 : 0;
		if (level <= term->told[i])
			continue;
		term->told[i] = level;
		*ret_notice = (struct notice){.code = limits[i].code, .seconds = (uint32_t)left_s};
		return 1;
	}
	return 0;
}

int
term_report(struct term *term, const struct findings *findings, struct mono now,
	struct notice *ret_notice)
{
	int was_bad = term->findings.count > 0;
	term->reported = now;
	if (!was_bad)
		term->bad = now;
	term->findings = *findings;
	if (!findings->count && !was_bad)
		return 0;
	*ret_notice = (struct notice){
		ERR_INSPECTION, findings->count ? grace_left_s(term, now) : 0, term->findings};
	return 1;
}
