#include "gate/upgrade.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/ipc.h"
#include "base/log.h"
#include "gate/handover.h"
#include "gate/notice.h"
#include "gate/parent_state.h"

enum {
	STEP_MS = 60000, /* for each: half a million agents cross in less */
};

static void
step(struct parent *p, enum upgrade_step to, const char *text)
{
	struct upgrade *u = &p->upgrade;
	u->step = to;
	u->deadline = mono_add_ms(mono_now(), STEP_MS);
	memset(u->done, 0, sizeof u->done);
	LOG(INFO, "gate.upgrade", F_STR("step", text), F_INT("pid", u->next.pid),
		F_INT("ms", mono_diff_ms(u->begun, mono_now())));
	notice_write(p, to == UPGRADE_STARTING  ? "started"
			: to == UPGRADE_FILLING ? "filling"
			: to == UPGRADE_AGENTS  ? "agents"
						: "sessions");
}

static void
tell_workers(struct parent *p, enum tell_phase phase)
{
	for (size_t i = 0; i < p->worker_count; i++) {
		const struct tell_leave leave = {phase, (uint32_t)i};
		if (p->workers[i].child.pid > 0)
			process_tell(&p->workers[i].child, TELL_LEAVE, &leave, sizeof leave, -1);
	}
}

/* The new one is dead before anybody here goes on: no connection ever has two owners. */
void
upgrade_abort(struct parent *p, int code)
{
	struct upgrade *u = &p->upgrade;
	if (u->step == UPGRADE_NONE || u->step == UPGRADE_LATE)
		return;
	if (u->next.pid > 0) {
		kill(u->next.pid, SIGKILL);
		waitpid(u->next.pid, NULL, 0);
	}
	process_gone(&u->next);
	if (u->step >= UPGRADE_AGENTS)
		tell_workers(p, TELL_STAY);
	u->step = UPGRADE_NONE;
	notice_write(p, "given-up");
	LOG(ERROR, "gate.upgrade", F_STR("step", "given up"), F_ERR("code", code),
		F_INT("ms", mono_diff_ms(u->begun, mono_now())),
		F_STR("result", "everybody stays with the old version"));
}

void
upgrade_start(struct parent *p)
{
	struct upgrade *u = &p->upgrade;
	if (p->takeover.channel.channel >= 0 && !p->draining) {
		u->wanted = 1; /* the version before us has stragglers */
		return;
	}
	u->wanted = 0;
	if (u->step != UPGRADE_NONE || p->draining) {
		LOG(ERROR, "gate.upgrade", F_STR("step", "refused"),
			F_STR("result", "the gate is ending, or an upgrade is under way"));
		return;
	}
	u->begun = mono_now();
	u->count++;
	u->agents = u->sessions = u->others = 0;
	int r = process_start_other(&u->next, p->program, p->argv);
	if (r < 0) {
		LOG(ERROR, "gate.upgrade", F_STR("program", p->program), F_ERR("code", r));
		notice_write(p, "given-up");
		return;
	}
	step(p, UPGRADE_STARTING, "started");
}

/* It has read its settings: what it needs to be the gate. */
static int
fill(struct parent *p, const uint8_t *payload, size_t len)
{
	struct upgrade *u = &p->upgrade;
	struct tell_upgrade new, ours = {HANDOVER_VERSION, (uint32_t)p->worker_count};
	if (len != sizeof new)
		return -ERR_PROTOCOL;
	memcpy(&new, payload, sizeof new);
	if (new.version != HANDOVER_VERSION) {
		LOG(ERROR, "gate.upgrade", F_INT("version", new.version),
			F_INT("ours", HANDOVER_VERSION));
		return -ERR_VERSION;
	}
	int r = process_tell(&u->next, TELL_UPGRADE, &ours, sizeof ours, -1);
	for (size_t i = 0; i < p->worker_count; i++) {
		const struct worker_child *worker = &p->workers[i];
		for (size_t j = 0; r == 0 && j < worker->listener_count; j++)
			r = process_tell(&u->next, TELL_LISTENER, worker->listeners[j].text,
				strlen(worker->listeners[j].text), worker->listeners[j].fd);
	}
	if (r == 0)
		r = said_tell(&p->said, &u->next);
	if (r == 0)
		r = process_tell(&u->next, TELL_READY, NULL, 0, -1);
	if (r == 0)
		step(p, UPGRADE_FILLING, "settings read");
	return r;
}

/* It is the gate from here on. */
static int
commit(struct parent *p)
{
	struct upgrade *u = &p->upgrade;
	if (u->step != UPGRADE_ASKED)
		return -ERR_PROTOCOL;
	tell_workers(p, TELL_LATE);
	parent_close_listeners(p);
	p->draining = 1;
	p->stop_at = mono_add_ms(mono_now(), ((uint64_t)p->settings->drain_s + 120) * 1000);
	LOG(INFO, "gate.upgrade", F_STR("step", "handed over"), F_INT("pid", u->next.pid),
		F_INT("agents", u->agents), F_INT("sessions", u->sessions),
		F_INT("others", u->others), F_INT("pause_ms", mono_diff_ms(u->paused, mono_now())),
		F_INT("ms", mono_diff_ms(u->begun, mono_now())));
	u->step = UPGRADE_LATE;
	return 0;
}

/* Organisations' weights and debts, as late as possible: here nobody moves bytes any more. */
static int
tell_shares(struct parent *p)
{
	static uint8_t message[32768];
	size_t next = 0, len;
	while ((len = fair_pack(&p->common->fair, &next, message, sizeof message)) > 0) {
		int r = process_tell(&p->upgrade.next, TELL_SHARES, message, len, -1);
		if (r < 0)
			return r;
	}
	return 0;
}

/* When all have done this step, the next one. */
static void
go_on(struct parent *p)
{
	struct upgrade *u = &p->upgrade;
	for (size_t i = 0; i < p->worker_count; i++)
		if (!u->done[i])
			return;
	if (u->step == UPGRADE_AGENTS) {
		step(p, UPGRADE_REST, "agents are across");
		u->paused = mono_now();
		for (size_t i = 0; i < p->worker_count; i++)
			u->done[i] = p->workers[i].child.pid <= 0;
		tell_workers(p, TELL_REST);
		go_on(p); /* when nobody is left */
	} else if (u->step == UPGRADE_REST) {
		step(p, UPGRADE_ASKED, "sessions are across");
		if (tell_shares(p) < 0 || process_tell(&u->next, TELL_COMMIT, NULL, 0, -1) < 0)
			upgrade_abort(p, -ERR_CLOSED);
	}
}

/* A channel for each of our workers, to one of the new ones. */
static int
connect_workers(struct parent *p)
{
	struct upgrade *u = &p->upgrade;
	step(p, UPGRADE_AGENTS, "up");
	for (size_t i = 0; i < p->worker_count; i++) {
		const struct tell_leave leave = {TELL_AGENTS, (uint32_t)i};
		int pair[2];
		if (p->workers[i].child.pid <= 0) {
			u->done[i] = 1;
			continue;
		}
		int r = ipc_pair(pair);
		if (r < 0)
			return r;
		r = process_tell(&u->next, TELL_ARRIVE, &leave, sizeof leave, pair[0]);
		if (r == 0)
			r = process_tell(
				&p->workers[i].child, TELL_LEAVE, &leave, sizeof leave, pair[1]);
		close(pair[0]);
		close(pair[1]);
		if (r < 0)
			return r;
	}
	go_on(p);
	return 0;
}

void
upgrade_hear(struct parent *p)
{
	static uint8_t payload[64];
	struct upgrade *u = &p->upgrade;
	uint16_t type;
	int n = ipc_recv(u->next.channel, &type, payload, sizeof payload, NULL);
	int r = n < 0 ? n : -ERR_PROTOCOL;
	if (n >= 0 && type == TELL_UPGRADE && u->step == UPGRADE_STARTING)
		r = fill(p, payload, (size_t)n);
	else if (n >= 0 && type == TELL_READY && u->step == UPGRADE_FILLING)
		r = connect_workers(p);
	else if (n >= 0 && type == TELL_COMMIT)
		r = commit(p);
	if (r == 0)
		return;
	if (u->step == UPGRADE_LATE) {
		/* it is on its own */
		close(u->next.channel);
		u->next.channel = -1;
		return;
	}
	upgrade_abort(p, r);
}

void
upgrade_on_left(struct parent *p, size_t seat, const uint8_t *payload, size_t len)
{
	struct upgrade *u = &p->upgrade;
	struct tell_left left;
	if (len != sizeof left || u->step < UPGRADE_AGENTS)
		return;
	memcpy(&left, payload, sizeof left);
	if (left.phase == TELL_STAY) {
		upgrade_abort(p, -ERR_CLOSED);
		return;
	}
	if ((left.phase == TELL_AGENTS) != (u->step == UPGRADE_AGENTS))
		return;
	if (left.phase == TELL_REST) {
		u->agents += left.agents;
		u->sessions += left.sessions;
		u->others += left.others;
	}
	u->done[seat] = 1;
	go_on(p);
}

void
upgrade_worker_gone(struct parent *p, size_t seat)
{
	struct upgrade *u = &p->upgrade;
	if (u->step != UPGRADE_AGENTS && u->step != UPGRADE_REST)
		return;
	u->done[seat] = 1;
	go_on(p);
}

void
upgrade_tick(struct parent *p)
{
	struct upgrade *u = &p->upgrade;
	if (u->wanted && p->takeover.channel.channel < 0)
		upgrade_start(p);
	if (u->step != UPGRADE_NONE && u->step != UPGRADE_LATE &&
		!mono_before(mono_now(), u->deadline))
		upgrade_abort(p, -ERR_TIMEOUT);
}
