/* A session that works is watched: every second for what ends it, and at each report of the home
 * PC.
 */
#include "agent/session.h"
#include "base/err.h"
#include "base/log.h"

enum {
	TICK_MS = 1000
};

static void
tell(struct session *s, const struct notice *notice)
{
	uint8_t out[MESSAGE_MAX_BYTES];
	char codes[FINDINGS_TEXT_SIZE];
	findings_text(&notice->findings, codes);
	LOG(INFO, "session.notice", F_STR("session", s->code), F_ERR("code", (int)notice->code),
		F_INT("left_s", notice->seconds), F_STR("findings", codes));
	process_send(s->work, MSG_NOTICE, out, notice_put(notice, out), -1);
}

static void
on_tick(void *user)
{
	struct session *s = user;
	struct notice notice;
	int r = term_tick(&s->term, s->env.now(s->env.user), s->env.wall_s(s->env.user), &notice);
	if (r == 1)
		tell(s, &notice);
	if (r < 0)
		session_end(s, (uint32_t)-r);
}

void
session_term_start(struct session *s)
{
	if (!s->resumed)
		term_start(&s->term, &s->policy, s->inspected, s->env.now(s->env.user),
			s->env.wall_s(s->env.user));
	session_term_stop(s); /* of the path before */
	s->watch = timer_new(s->agent->loop, on_tick, s);
	timer_start(s->watch, TICK_MS, TICK_MS);
}

void
session_term_move(struct session *s, const struct session *base)
{
	s->term = base->term;
	term_policy(&s->term, &s->policy, s->env.now(s->env.user), s->env.wall_s(s->env.user));
	s->inspected = base->inspected;
}

void
session_term_stop(struct session *s)
{
	timer_free(s->watch);
	s->watch = NULL;
}

void
session_term_report(struct session *s, const struct report *report)
{
	struct findings findings = {0};
	struct notice notice;
	if (!s->inspected) { /* nobody has asked this one */
		session_end(s, ERR_PROTOCOL);
		return;
	}
	if (!report || !login_report_fits(&s->flow, report))
		findings_add(&findings, ERR_POSTURE_BAD);
	else
		judge_report(report, &s->policy.limits, s->env.wall_s(s->env.user), &findings);
	if (term_report(&s->term, &findings, s->env.now(s->env.user), &notice))
		tell(s, &notice);
}

/* ---- the office PC is switched off after hours, where its settings say so ---- */

static void
on_command(void *user, pid_t pid, int status)
{
	(void)user, (void)pid;
	LOG(INFO, "hours.shutdown", F_STR("state", "done"), F_INT("status", status));
}

void
session_term_shutdown(struct session *s)
{
	char *command = s->agent->options.shutdown_command;
	char *argv[] = {"/bin/sh", "-c", command, NULL};
	char *env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	pid_t pid;
	if (!command || s->end_code != -ERR_HOURS || !s->started_s)
		return;
	int r = child_start(s->agent->loop, argv, env, NULL, 0, on_command, NULL, &pid);
	LOG(WARN, "hours.shutdown", F_STR("state", r < 0 ? "failed" : "started"),
		F_STR("session", s->code), F_INT("error", r));
}
