/* The session after Start (docs/protocol.md 8): pictures into the framebuffer, acknowledgements,
 * and the life of the path. */
#include <errno.h>
#include <stdint.h>

#include "base/err.h"
#include "client/inside.h"
#include "net/frame.h"
#include "screen/film.h"

static void
on_ping(void *user)
{
	struct session *s = user;
	struct mono now = mono_now();
	/* when this computer slept or was busy, the silence was ours: what waits in the socket is
	 * read before the next tick */
	int late = s->last_ping.ns && mono_diff_ms(s->last_ping, now) > 2 * PING_MS;
	if (!late && mono_diff_ms(s->last_byte, now) > DEAD_MS) {
		session_fail(s, -ERR_CLOSED, "nothing came for three seconds");
		return;
	}
	engawa_InnerPing ping = {.id = ++s->ping_id, .received = s->received};
	s->last_ping = now;
	int r = record_send(s, engawa_InnerType_INNER_PING, engawa_InnerPing_fields, &ping);
	if (r < 0)
		session_fail(s, r, "ping");
}

/* Of what the path before has brought nothing is of use. */
static int
new_stream(struct session *s, const engawa_Start *start)
{
	if (start->from)
		return -ERR_PROTOCOL;
	decoder_free(s->decoder);
	film_decoder_free(s->film);
	s->decoder = NULL;
	s->film = NULL;
	s->broken = 0;
	s->stream = start->stream;
	s->received = s->passed_over = s->drawn = 0;
	int r = decoder_new(start->window_mib, DECODER_BGRX, &s->decoder);
	if (r < 0)
		return r == -EINVAL ? -ERR_PROTOCOL : -ERR_INTERNAL;
	return decoder_layout(s->decoder, start->layout.width_px, start->layout.height_px);
}

static void
count_gap(struct session *s)
{
	uint64_t gap_ms = mono_diff_ms(s->resume.last_byte, mono_now());
	s->first_again = 0;
	s->numbers.gap_ms = gap_ms;
	if (gap_ms > s->numbers.gap_max_ms)
		s->numbers.gap_max_ms = gap_ms;
}

/* It goes on over another path. on: with the picture stream of before. */
static int
go_on(struct session *s, const engawa_Start *start, int on)
{
	engawa_Ack ack = {.seq = s->drawn, .received = s->received};
	int r = 0;
	s->numbers.resumes++;
	s->first_again = 1;
	if (on) {
		s->passed_over = s->received - start->from;
		count_gap(s);
	}
	if (on && s->drawn)
		r = record_send(s, engawa_InnerType_INNER_ACK, engawa_Ack_fields, &ack);
	if (!on && s->events->layout)
		s->events->layout(s->user, &start->layout);
	if (!s->freed && s->state == WORK && s->events->resumed)
		s->events->resumed(s->user);
	return r;
}

int
work_start(struct session *s, const engawa_Start *start)
{
	if (!start->has_layout || start->window_mib > s->facts.window_mib)
		return -ERR_PROTOCOL;
	int back = s->resume.active;
	int on = back && s->decoder && !s->broken && start->stream && start->stream == s->stream;
	if (on && start->from > s->received)
		return -ERR_PROTOCOL; /* what is between is nowhere */
	int r = on ? 0 : new_stream(s, start);
	if (r < 0)
		return r;
	s->hidden = 0;
	s->ping = timer_new(s->loop, on_ping, s);
	s->grid = timer_new(s->loop, input_flush, s);
	timer_start(s->ping, PING_MS, PING_MS);
	session_reached(s, SESSION_STARTED);
	s->state = WORK;
	report_work(s, back);
	s->resume.active = s->resume.planned = 0;
	s->last_byte = mono_now();
	s->last_ping = (struct mono){0};
	if (!back) {
		s->events->started(s->user, start);
		return 0;
	}
	return go_on(s, start, on);
}

void
work_fini(struct session *s)
{
	timer_free(s->ping);
	timer_free(s->grid);
	s->ping = NULL;
	s->grid = NULL;
	report_fini(s);
	s->input_count = 0;
}

/* 1: the picture is complete. */
static int
show_film(struct session *s)
{
	struct rect at;
	size_t len;
	const uint8_t *unit = decoder_film(s->decoder, &at, &len);
	int r = unit && !s->film ? film_decoder_new(&s->film) : 0;
	if (r == 0 && unit)
		r = film_decode(s->film, unit, len, &at, decoder_canvas(s->decoder));
	return r < 0 ? r : 1;
}

/* A picture that cannot be taken apart costs the stream, not the session: the client comes back
 * with empty hands. Another one within a minute ends it. */
static int
begin_anew(struct session *s, int r)
{
	struct mono now = mono_now();
	if (r != -ERR_PROTOCOL || !s->resume.len ||
		(s->broken_at.ns && mono_diff_ms(s->broken_at, now) < ANEW_MS))
		return r;
	s->broken = 1;
	s->broken_at = now;
	return -ERR_CLOSED;
}

/* Whether the next record of the picture stream is a new one. */
static int
counts(struct session *s)
{
	if (s->passed_over) {
		s->passed_over--;
		return 0;
	}
	s->received++;
	return 1;
}

int
work_frame(struct session *s, const uint8_t *payload, size_t len)
{
	if (!counts(s))
		return 0;
	engawa_Frame *f = &s->frame;
	int r = frame_decode(engawa_Frame_fields, f, payload, len);
	if (r < 0)
		return r;
	r = decoder_frame(s->decoder, f->seq, f->last, f->data.bytes, f->data.size);
	if (r == 1)
		r = show_film(s);
	if (r <= 0)
		return r < 0 ? begin_anew(s, r) : 0;
	session_reached(s, SESSION_PICTURE);
	s->numbers.pictures++;
	if (s->first_again)
		count_gap(s);
	s->drawn = f->seq;
	engawa_Ack ack = {.seq = f->seq, .received = s->received};
	s->events->picture(s->user);
	if (s->state != WORK)
		return 0; /* ended or freed by the user */
	return record_send(s, engawa_InnerType_INNER_ACK, engawa_Ack_fields, &ack);
}

int
work_cursor(struct session *s, const uint8_t *payload, size_t len)
{
	if (!counts(s))
		return 0;
	engawa_Cursor *c = &s->cursor;
	int r = frame_decode(engawa_Cursor_fields, c, payload, len);
	if (r < 0)
		return r;
	if (c->width_px > UINT16_MAX || c->height_px > UINT16_MAX ||
		(uint64_t)c->width_px * c->height_px * 4 != c->bgra.size ||
		(c->width_px && (c->hot_x_px >= c->width_px || c->hot_y_px >= c->height_px)))
		return -ERR_PROTOCOL;
	if (s->events->cursor)
		s->events->cursor(s->user, c);
	return 0;
}

int
work_layout(struct session *s, const uint8_t *payload, size_t len)
{
	if (!counts(s))
		return 0;
	engawa_Layout layout;
	int r = frame_decode(engawa_Layout_fields, &layout, payload, len);
	if (r == 0)
		r = decoder_layout(s->decoder, layout.width_px, layout.height_px);
	if (r < 0)
		return r;
	if (s->events->layout)
		s->events->layout(s->user, &layout);
	return 0;
}

int
work_notice(struct session *s, const uint8_t *payload, size_t len)
{
	engawa_Notice notice;
	int r = frame_decode(engawa_Notice_fields, &notice, payload, len);
	if (r < 0)
		return r;
	if (notice.code == ERR_DRAIN && resume_move(s, notice.seconds))
		return 0; /* nothing that a person has to know */
	report_notice(s, &notice);
	if (s->events->notice)
		s->events->notice(s->user, &notice);
	return 0;
}

int
work_pong(struct session *s, const uint8_t *payload, size_t len)
{
	engawa_InnerPong pong;
	int r = frame_decode(engawa_InnerPong_fields, &pong, payload, len);
	if (r < 0)
		return r;
	if (pong.id == 0 || pong.id > s->ping_id)
		return -ERR_PROTOCOL; /* an answer to nothing */
	if (pong.id == s->ping_id)
		s->numbers.round_trip_ms = mono_diff_ms(s->last_ping, mono_now());
	return 0;
}

int
work_end(struct session *s, const uint8_t *payload, size_t len)
{
	engawa_End end;
	int r = frame_decode(engawa_End_fields, &end, payload, len);
	if (r < 0)
		return r;
	session_over(s,
		end.code == 0             ? -ERR_ENDED
		: err_find((int)end.code) ? -(int)end.code
					  : -ERR_PROTOCOL,
		1);
	return 0;
}
