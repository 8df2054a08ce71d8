/*
 * WAITING <---------- resume.c: the path is lost -----------------------------------+
 *    v                                                                              |
 * DIALLING -> SHAKING -> HELLO -> ASK -> JOIN -> NOISE -> VERIFY -> LOGIN -> WORK -> ENDING -> OVER
 *     ^          |         |       |      |        |         |        |       |         ^
 *     +----------+---------+-------+------+        +---------+--------+-------+---------+
 *        next gate (session_fail, until the relay itself has said no)    session_over
 */
#include "client/session.h"

#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "client/inside.h"
#include "crypto/tls.h"
#include "screen/film.h"

static void next_gate(struct session *s);

void
session_reached(struct session *s, enum session_stage stage)
{
	if (!s->numbers.at_ms[stage])
		s->numbers.at_ms[stage] =
			mono_diff_ms(s->start, mono_now()) + 1; /* 0 means not reached */
}

void
session_say(struct session *s, const char *words)
{
	const char *gate = session_gate(s);
	snprintf(s->error, sizeof s->error, "%s%s%.160s", gate, *gate ? ": " : "", words);
}

void
session_drop(struct session *s)
{
	dial_cancel(s->dial);
	s->dial = NULL;
	if (!s->conn)
		return;
	s->numbers.bytes_in += conn_bytes_in(s->conn);
	s->numbers.bytes_out += conn_bytes_out(s->conn);
	conn_free(s->conn);
	s->conn = NULL;
}

static void
tell(struct session *s)
{
	s->state = OVER;
	session_drop(s);
	timer_stop(s->deadline);
	s->events->ended(s->user, s->code);
}

void
session_over(struct session *s, int code, int polite)
{
	if (s->state >= ENDING)
		return;
	s->state = ENDING;
	s->code = err_find(code) ? code : -ERR_NO_GATE; /* a system's error of the way to a gate */
	work_fini(s);
	channel_fini(s);
	if (polite && s->conn) {
		timer_stop(s->deadline);
		conn_finish(s->conn); /* tell when it is closed */
		return;
	}
	session_drop(s);
	timer_start(s->deadline, 0, 0); /* tell from the loop */
}

/* The first failure that says more than "no connection" is the one to tell: a proxy that inspects
 * TLS on one site and a dead line to the other one is a proxy that inspects TLS. */
void
session_fail(struct session *s, int code, const char *words)
{
	if (s->state >= ENDING || resume_fail(s, code, words))
		return;
	if (s->state >= NOISE || s->final || s->resume.active) {
		session_say(s, words);
		session_over(s, code < 0 && !err_find(code) ? -ERR_CLOSED : code, 0);
		return;
	}
	if (!s->error[0] || (s->code == -ERR_NO_GATE && err_find(code))) {
		s->code = err_find(code) ? code : -ERR_NO_GATE;
		session_say(s, words);
	}
	session_drop(s);
	next_gate(s);
}

static void
on_deadline(void *user)
{
	struct session *s = user;
	if (s->state == ENDING)
		tell(s);
	else if (s->state == WAITING)
		resume_next(s);
	else if (s->state == DIALLING)
		next_gate(s);
	else
		session_fail(s, -ERR_TIMEOUT, "no answer in time");
}

static void
on_ready(void *user)
{
	struct session *s = user;
	session_reached(s, SESSION_DIALLED);
	s->state = HELLO;
	int r = relay_hello(s);
	if (r < 0)
		session_fail(s, r, "Hello");
	else
		timer_start(s->deadline, s->resume.active ? AGAIN_RELAY_MS : RELAY_MS, 0);
}

static size_t
on_data(void *user, const uint8_t *data, size_t len)
{
	struct session *s = user;
	int used = 0;
	s->last_byte = mono_now();
	if (s->state >= HELLO && s->state <= JOIN)
		used = relay_data(s, data, len);
	else if (s->state == NOISE)
		used = channel_data(s, data, len);
	else if (s->state == LOGIN || s->state == WORK)
		used = record_data(s, data, len);
	if (s->freed || used >= 0)
		return used < 0 ? 0 : (size_t)used;
	session_fail(s, used, err_name(used));
	return 0;
}

static void
on_closed(void *user, int code)
{
	struct session *s = user;
	if (s->state == ENDING)
		tell(s);
	else
		session_fail(s, code,
			*conn_error(s->conn) ? conn_error(s->conn) : "the connection was closed");
}

static const struct conn_events conn_events = {on_ready, on_data, NULL, on_closed};

static void
on_dial(void *user, int fd)
{
	struct session *s = user;
	char host[128], port[8];
	const struct orgfile_gate *gate = &s->org->gates[s->order[s->tried - 1]];
	s->dial = NULL;
	if (fd < 0) {
		session_fail(s, fd, err_text(fd, ERR_LANG_EN));
		return;
	}
	if (dial_split(gate->target, host, sizeof host, port, sizeof port) < 0)
		host[0] = '\0'; /* dial_start has split it before */
	s->state = SHAKING;
	s->conn = conn_new(s->loop, fd, s->tls, host, 0, s->resume.active ? AGAIN_TLS_MS : TLS_MS,
		&conn_events, s);
	if (!s->conn)
		session_over(s, -ERR_INTERNAL, 0);
}

/* Also when called from a callback of the connection that failed: it goes at the end of the tick.
 */
static void
next_gate(struct session *s)
{
	if (s->tried == s->org->gate_count) {
		session_over(s, s->code, 0);
		return;
	}
	s->tried++;
	session_dial(s, DIAL_MS);
}

void
session_dial(struct session *s, uint64_t ms)
{
	const struct orgfile_gate *gate = &s->org->gates[s->order[s->tried - 1]];
	s->state = DIALLING;
	timer_stop(s->deadline);
	s->dial = dial_start(s->loop, gate->target, s->proxy, ms, on_dial, s);
}

/* Fisher-Yates; no gate is everybody's first. 0 or -ERR_CRYPTO. */
static int
shuffle(struct session *s)
{
	uint8_t dice[ORGFILE_GATES_MAX];
	if (RAND_bytes(dice, sizeof dice) != 1)
		return -ERR_CRYPTO;
	for (size_t i = 0; i < s->org->gate_count; i++)
		s->order[i] = (uint8_t)i;
	for (size_t i = s->org->gate_count; i > 1; i--) {
		size_t j = dice[i - 1] % i;
		uint8_t t = s->order[j];
		s->order[j] = s->order[i - 1];
		s->order[i - 1] = t;
	}
	return 0;
}

struct session *
session_new(struct loop *loop, const struct session_settings *settings,
	const struct session_events *events, void *user)
{
	struct session *s = mem_array(1, sizeof *s);
	if (!s)
		return NULL;
	s->loop = loop;
	s->org = settings->org;
	s->events = events;
	s->user = user;
	s->device = settings->device;
	s->proof_key = settings->proof_key;
	s->token = settings->token;
	s->facts = settings->facts;
	s->collect = settings->posture;
	s->code = -ERR_NO_GATE;
	memcpy(s->terminal, settings->terminal, sizeof s->terminal);
	SHA256(s->device.public, sizeof s->device.public, s->device_hash);
	s->start = mono_now();
	s->tls = tls_outgoing(s->org, NULL, NULL);
	if (!s->tls || shuffle(s) < 0) {
		tls_free(s->tls);
		mem_wipe_free(s, sizeof *s);
		return NULL;
	}
	s->proxy = mem_str(settings->proxy);
	s->deadline = timer_new(loop, on_deadline, s);
	s->state = DIALLING;
	timer_start(s->deadline, 0, 0); /* the first gate, from the loop */
	return s;
}

static void
release(void *user)
{
	struct session *s = user;
	if (s->proxy)
		mem_wipe_free(s->proxy, strlen(s->proxy));
	mem_wipe_free(s, sizeof *s);
}

void
session_free(struct session *s)
{
	if (!s)
		return;
	s->freed = 1;
	s->state = OVER;
	work_fini(s);
	channel_fini(s);
	session_drop(s);
	decoder_free(s->decoder);
	s->decoder = NULL;
	film_decoder_free(s->film);
	s->film = NULL;
	timer_free(s->deadline);
	tls_free(s->tls);
	loop_defer(s->loop, release, s); /* we may be inside of one of our events */
}

void
session_end(struct session *s)
{
	engawa_End end = {.code = ERR_ENDED};
	if (s->state == WORK)
		record_send(s, engawa_InnerType_INNER_END, engawa_End_fields, &end);
	session_over(s, -ERR_ENDED, 1);
}

const struct image *
session_image(const struct session *s)
{
	return s->decoder && !s->hidden ? decoder_image(s->decoder) : NULL;
}

const struct rect *
session_rects(const struct session *s, size_t *ret_count)
{
	*ret_count = 0;
	return s->decoder ? decoder_rects(s->decoder, ret_count) : NULL;
}

void
session_numbers(const struct session *s, struct session_numbers *ret_numbers)
{
	*ret_numbers = s->numbers;
	if (s->conn) {
		ret_numbers->bytes_in += conn_bytes_in(s->conn);
		ret_numbers->bytes_out += conn_bytes_out(s->conn);
	}
}

int
session_is_lost(const struct session *s)
{
	return s->resume.active && s->state < ENDING;
}

const char *
session_gate(const struct session *s)
{
	return s->tried ? s->org->gates[s->order[s->tried - 1]].name : "";
}

const char *
session_error(const struct session *s)
{
	return s->error;
}

const char *
session_support(const struct session *s)
{
	return *s->support ? s->support : s->org->support;
}

uint32_t
session_retry_s(const struct session *s)
{
	return s->retry_s;
}
