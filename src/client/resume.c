/*
 * Going on with a session whose path is lost: round after round over all gates, the next one first,
 * until one leads to the agent or its time is over. Until the agent's Start has come, the key and
 * the ticket of before stay: an attempt that breaks in the middle costs nothing.
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
	const struct image *image = decoder_image(s->decoder);
	s->resume.planned = 0;
	decoder_layout(s->decoder, image->width, image->height);
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
		tell_lost(s, code);
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

static void
on_move(void *user)
{
	struct session *s = user;
	if (s->state != WORK)
		return;
	leave(s);
	s->resume.planned = 1;
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
