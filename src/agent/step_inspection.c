/*
 * Quarantine (検疫): the home PC reports its state, the policy's limits are put to it here. A
 * report of another session, or one that contradicts itself, is no report. A session that goes on
 * over a new connection goes on reporting when it was due (term.h), held to today's limits.
 */
#include <string.h>

#include "agent/login.h"
#include "base/err.h"
#include "inner.pb.h"

/* The program answers, not the person: the time until the next report is due comes along. */
static int
enter(struct login *login)
{
	int64_t minutes = login->office.policy->inspection_repeat_minutes;
	struct prompt prompt = {
		.kind = engawa_PromptKind_PROMPT_POSTURE, .expires_s = (uint32_t)minutes * 60};
	login->report_minutes = minutes;
	login->wait = LOGIN_WAIT_POSTURE;
	login->env->prompt(login->env->user, &prompt);
	return LOGIN_WAITS;
}

static int
posture(struct login *login, const struct report *report)
{
	struct findings *findings = &login->findings;
	*findings = (struct findings){0};
	if (!report || !login_report_fits(login, report)) {
		findings_add(findings, ERR_POSTURE_BAD);
		return -ERR_POSTURE_BAD;
	}
	judge_report(report, &login->office.policy->limits, login->env->wall_s(login->env->user),
		findings);
	if (findings->count > 1)
		return -ERR_INSPECTION;
	return findings->count ? -(int)findings->codes[0] : LOGIN_PASSED;
}

/* The client keeps to what it was told at the login: reports that are to come oftener by now would
 * be missed, and the session ended for it. */
static int
holds(const struct login *login)
{
	int64_t minutes = login->office.policy->inspection_repeat_minutes;
	return !minutes || (login->report_minutes && login->report_minutes <= minutes);
}

const struct login_step step_inspection = {
	.name = "inspection", .holds = holds, .enter = enter, .posture = posture};
