/*
 * Going on with a session whose path is lost: round after round over all gates, the next one first,
 * until one leads to the agent or its time is over. When a gate says that it goes, a second session
 * (the scout) makes the way through another one, up to Start, while the first one works. Until the
 * agent's Start has come, the key and the ticket of before stay: an attempt that breaks in the
 * middle costs nothing.
 */
#include <openssl/rand.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "client/inside.h"
#include "net/frame.h"
#include "outer.pb.h"

static uint64_t
random_below(uint64_t limit)
{
	uint64_t v = 0;
	/* without entropy: no jitter */
	return RAND_bytes((uint8_t *)&v, sizeof v) == 1 && limit ? v % limit : 0;
}

/* The picture goes at once: nobody should take it for what is on the screen now. */
static void
tell_lost(struct session *s, int code)
{
	s->resume.planned = 0;
	s->hidden = 1;
	if (s->events->lost)
		s->events->lost(s->user, err_find(code) ? code : -ERR_CLOSED);
}

/* From work to the search. */
static void
leave(struct session *s)
{
	struct resume *r = &s->resume;
	work_fini(s);
	channel_drop(s);
	session_drop(s);
	r->active = 1;
	r->last = 0;
	r->forged = 0;
	r->since = mono_now();
	r->last_byte = s->last_byte;
	r->wait_ms = AGAIN_WAIT_FIRST_MS;
	r->left = s->org->gate_count;
	s->code = -ERR_PATH_LOST;
	s->state = WAITING;
	timer_start(s->deadline, 0, 0);
}

static void
scout_drop(struct session *s)
{
	struct session *scout = s->resume.scout;
	s->resume.scout = NULL;
	session_free(scout);
}

int
resume_fail(struct session *s, int code, const char *words)
{
	struct resume *r = &s->resume;
	/* the agent's own records: it would do the same again */
	int broken = s->state > NOISE &&
		     (code == -ERR_PROTOCOL || code == -ERR_TOO_LONG || code == -ERR_INTERNAL);
	if (!r->len || broken || (!r->active && s->state != WORK) || r->last)
		return 0;
	session_say(s, words);
	if (!r->active) {
		leave(s);
		if (r->scout) {
			/* the agent ends this way when it has taken the other one */
			r->last_byte = mono_now();
			timer_start(s->deadline, SCOUT_WAIT_MS, 0);
		} else {
			tell_lost(s, code);
		}
		return 1;
	}
	if (s->state == NOISE && code == -ERR_CRYPTO && ++r->forged == AGAIN_FORGED_MAX)
		return 0;
	channel_drop(s);
	session_drop(s);
	resume_next(s);
	return 1;
}

void
resume_next(struct session *s)
{
	struct resume *r = &s->resume;
	if (r->scout) {
		scout_drop(s);
		tell_lost(s, -ERR_DRAIN);
		if (s->freed || s->state >= ENDING)
			return;
	}
	if (r->of && r->left == 0) {
		session_over(s, -ERR_NO_GATE, 0); /* on_scout_ended */
		return;
	}
	if (mono_diff_ms(r->since, mono_now()) >= r->life_s * UINT64_C(1000)) {
		session_over(s, -ERR_PATH_LOST, 0);
		return;
	}
	if (r->left == 0) {
		if (r->planned)
			tell_lost(s, -ERR_DRAIN);
		if (s->freed || s->state >= ENDING)
			return;
		r->left = s->org->gate_count;
		s->state = WAITING;
		timer_start(s->deadline, r->wait_ms / 2 + random_below(r->wait_ms), 0);
		r->wait_ms = r->wait_ms * 3 / 2 < AGAIN_WAIT_MAX_MS ? r->wait_ms * 3 / 2
								    : AGAIN_WAIT_MAX_MS;
		return;
	}
	r->left--;
	s->tried = s->tried % s->org->gate_count + 1;
	session_dial(s, AGAIN_DIAL_MS);
}

void
resume_take(struct session *s, const engawa_Start *start)
{
	struct resume *r = &s->resume;
	r->len = start->resume_s ? start->resume_ticket.size : 0;
	memcpy(r->ticket, start->resume_ticket.bytes, r->len);
	memcpy(r->psk, s->secrets.psk_next, sizeof r->psk);
	r->generation++;
	r->life_s = start->resume_s;
}

void
resume_fini(struct session *s)
{
	scout_drop(s);
	timer_free(s->resume.move);
	mem_wipe(&s->resume, sizeof s->resume);
}

int
resume_send(struct session *s)
{
	struct resume *r = &s->resume;
	engawa_Resume msg = {.ticket.size = (pb_size_t)r->len, .attempt.size = sizeof r->attempt};
	if (RAND_bytes(r->attempt, sizeof r->attempt) != 1)
		return -ERR_CRYPTO;
	memcpy(msg.ticket.bytes, r->ticket, r->len);
	memcpy(msg.attempt.bytes, r->attempt, sizeof r->attempt);
	resume_session_id(r->ticket, r->len, r->attempt, r->id);
	return frame_send(s->conn, engawa_OuterType_OUTER_RESUME, engawa_Resume_fields, &msg);
}

void
resume_refused(struct session *s, int code)
{
	/* the agent may be on its way to this gate, or the gate in trouble */
	static const int passing[] = {ERR_DRAIN, ERR_NO_CONTROLLER, ERR_BUSY_DATABASE, ERR_TOO_MANY,
		ERR_TIMEOUT, ERR_UNREACHABLE, ERR_LIMIT, ERR_CLOSED, ERR_INTERNAL, ERR_SLOW,
		ERR_NO_GATE, ERR_ORGANISATION_FULL, ERR_TOO_OFTEN};
	s->resume.last = 1;
	for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++)
		if (code == passing[i])
			s->resume.last = 0;
}

/* No other gate leads there: later again, or, when the way before has ended meanwhile, like
 * everybody whose way has ended. */
static void
on_scout_ended(void *user, int code)
{
	struct session *s = user;
	(void)code;
	scout_drop(s);
	if (s->state == WORK)
		timer_start(s->resume.move, SCOUT_AGAIN_MS, 0);
	if (s->state != WAITING)
		return;
	tell_lost(s, -ERR_DRAIN);
	if (!s->freed && s->state == WAITING)
		timer_start(s->deadline, 0, 0);
}

static const struct session_events scout_events = {.ended = on_scout_ended};

/* As this session would come back, but with the way that it has still there. */
static struct session *
scout_new(struct session *s)
{
	struct session_settings settings = {.org = s->org,
		.device = s->device,
		.proof_key = s->proof_key,
		.token = s->token,
		.proxy = s->proxy,
		.facts = s->facts,
		.posture = s->collect};
	memcpy(settings.terminal, s->terminal, sizeof settings.terminal);
	struct session *scout = session_new(s->loop, &settings, &scout_events, s);
	mem_wipe(&settings, sizeof settings);
	if (!scout)
		return NULL;
	struct resume *r = &scout->resume;
	memcpy(r->ticket, s->resume.ticket, s->resume.len);
	memcpy(r->psk, s->resume.psk, sizeof r->psk);
	r->len = s->resume.len;
	r->generation = s->resume.generation;
	r->life_s = s->resume.life_s;
	r->since = mono_now();
	r->left = s->org->gate_count - 1; /* not this one again */
	r->active = 1;
	r->of = s;
	scout->ticket_body = s->ticket_body; /* the agent's key */
	memcpy(scout->order, s->order, sizeof scout->order);
	scout->tried = s->tried;
	scout->state = WAITING;
	return scout;
}

static void
on_move(void *user)
{
	struct session *s = user;
	if (s->state != WORK || s->resume.scout)
		return;
	s->resume.scout = scout_new(s);
	if (s->resume.scout)
		return;
	leave(s);
	s->resume.planned = 1;
}

int
resume_switch(struct session *scout, const engawa_Start *start)
{
	struct session *s = scout->resume.of;
	struct resume *r = &s->resume, *new = &scout->resume;
	if (s->state == WORK) {
		r->last_byte = mono_now(); /* the way before worked until now */
		work_fini(s);
		channel_drop(s);
		session_drop(s);
	}
	timer_stop(s->deadline);
	s->conn = scout->conn;
	scout->conn = NULL;
	conn_give(s->conn, s);
	s->to_agent = scout->to_agent;
	s->from_agent = scout->from_agent;
	mem_wipe(&scout->to_agent, sizeof scout->to_agent);
	mem_wipe(&scout->from_agent, sizeof scout->from_agent);
	memcpy(r->ticket, new->ticket, new->len);
	memcpy(r->psk, new->psk, sizeof r->psk);
	r->len = new->len;
	r->generation = new->generation;
	r->life_s = new->life_s;
	r->active = 1;
	s->tried = scout->tried;
	s->last_byte = scout->last_byte;
	scout_drop(s);
	int result = work_start(s, start);
	if (result < 0 && !s->freed)
		session_fail(s, result, "Start");
	return 0;
}

int
resume_move(struct session *s, uint32_t seconds)
{
	struct resume *r = &s->resume;
	if (!r->len || s->org->gate_count < 2)
		return 0;
	/* not all at once */
	uint64_t ms = random_below((seconds < 600 ? seconds : 600) * UINT64_C(1000) + 1);
	if (!r->move)
		r->move = timer_new(s->loop, on_move, s);
	timer_start(r->move, ms, 0);
	return 1;
}
