#include "agent/resume.h"

#include <errno.h>
#include <pb_encode.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/wire.h"
#include "crypto/resume.h"
#include "crypto/ticket.h"
#include "inner.pb.h"
#include "outer.pb.h"

enum {
	ATTEMPTS_MAX = 256, /* through one gate, as long as a ticket is remembered */
	/* half of what a gate takes from an office PC (AGENT_FAULTS_PER_MINUTE): whoever cuts a
	 * path all the time must not have it blamed */
	TELL_PAUSE_MS = 2000,
};

/* What a gate can cause is not allowed to fill the disk. */
static struct log_limit resume_limit = {.burst = 20, .window_ms = 60000};

const uint8_t *
resume_psk(const struct session *base, uint32_t generation)
{
	for (size_t i = 0; i < 2; i++)
		if (generation && base->keys[i].generation == generation)
			return base->keys[i].psk;
	return NULL;
}

void
resume_keep(struct session *s, uint32_t generation)
{
	const uint8_t *used = s->base ? resume_psk(s->base, generation) : NULL;
	s->keys[0].generation = generation + 1;
	memcpy(s->keys[0].psk, s->secrets.psk_next, sizeof s->keys[0].psk);
	if (!used)
		return;
	s->keys[1].generation = generation;
	memcpy(s->keys[1].psk, used, sizeof s->keys[1].psk);
}

void
resume_ticket(const struct session *s, struct start *start)
{
	const struct keys *keys = &s->agent->keys;
	engawa_ResumeBody body = {.generation = s->keys[0].generation,
		.prefecture = s->ticket.prefecture,
		.rate_class = s->ticket.rate_class,
		.issued_s = wall_s(),
		.session_id.size = SESSION_ID_BYTES,
		.device_hash.size = DEVICE_HASH_BYTES};
	body.not_after_s = body.issued_s + RESUME_TICKET_LIFE_S;
	start->resume_len = 0;
	start->resume_s = (uint32_t)s->agent->options.resume_s;
	if (!start->resume_s || keys->certificate_len > sizeof body.certificate.bytes)
		return;
	memcpy(body.session_id.bytes, s->origin, SESSION_ID_BYTES);
	memcpy(body.device_hash.bytes, s->ticket.device_hash.bytes, DEVICE_HASH_BYTES);
	body.certificate.size = (pb_size_t)keys->certificate_len;
	memcpy(body.certificate.bytes, keys->certificate, keys->certificate_len);
	int r = resume_issue(
		keys->tls, &body, start->resume, sizeof start->resume, &start->resume_len);
	if (r < 0) {
		LOG(ERROR, "resume.ticket", F_STR("session", s->code), F_ERR("code", r));
		start->resume_len = 0;
	}
}

static int
has_desktop(const struct session *s)
{
	return s->state == SESSION_WORK || s->state == SESSION_LOST ||
	       (s->resumed && (s->state == SESSION_DESKTOP || s->state == SESSION_START));
}

/* The session that a ticket is for, as it is now; NULL and why not. */
static struct session *
find_base(struct agent *agent, const engawa_ResumeBody *body, int *ret_code)
{
	*ret_code = -ERR_RESUME_OVER;
	for (size_t i = 0; i < ENDED_MAX; i++)
		if (agent->ended[i].code && memcmp(agent->ended[i].origin, body->session_id.bytes,
						    SESSION_ID_BYTES) == 0)
			*ret_code = agent->ended[i].code;
	for (size_t i = 0; i < SESSIONS_MAX; i++) {
		struct session *s = agent->sessions[i];
		if (!s || !has_desktop(s) ||
			memcmp(s->origin, body->session_id.bytes, SESSION_ID_BYTES) != 0)
			continue;
		int good = mem_equal(s->ticket.device_hash.bytes, body->device_hash.bytes,
				   DEVICE_HASH_BYTES) &&
			   resume_psk(s, body->generation);
		*ret_code = good ? 0 : -ERR_RESUME_OVER;
		return good ? s : NULL;
	}
	return NULL;
}

/* One attempt through each gate: the newest. So a gate that plays with a ticket it has seen is in
 * nobody's way but its own. */
static void
drop_older(struct agent *agent, const struct session *base, uint8_t gate)
{
	for (size_t i = 0; i < SESSIONS_MAX; i++) {
		struct session *s = agent->sessions[i];
		if (s && s->base == base && s->gate == gate && s->state < SESSION_LOGIN)
			session_end(s, ERR_CLOSED);
	}
}

static int
place(const struct agent *agent, size_t *ret_index)
{
	for (size_t i = 0; i < SESSIONS_MAX; i++)
		if (!agent->sessions[i]) {
			*ret_index = i;
			return 0;
		}
	return -ERR_TOO_MANY;
}

/* A gate that plays an attempt back gets no second handshake. Each has its own memory: one that
 * invents attempts fills only that. */
static int
use_attempt(struct agent *agent, const struct note *note)
{
	struct ticket_memory **memory = &agent->attempts[note->gate];
	for (size_t i = 0; i < SESSIONS_MAX; i++)
		if (agent->sessions[i] && memcmp(agent->sessions[i]->ticket.session_id.bytes,
						  note->session_id, SESSION_ID_BYTES) == 0)
			return -ERR_TICKET_BAD;
	if (!*memory)
		*memory = ticket_memory_new(ATTEMPTS_MAX);
	return *memory ? ticket_memory_use(*memory, note->session_id, 0, mono_now().ns / 1000000000)
		       : -ENOMEM;
}

/* note->rest: address length, address, ticket. */
static int
check(struct agent *agent, const struct note *note, engawa_TicketBody *ret_ticket,
	uint8_t ret_hash[static 32], struct session **ret_base)
{
	struct rd r = rd_init(note->rest, note->rest_len);
	size_t address_len = rd_u8(&r), ticket_len;
	const char *address = (const char *)rd_bytes(&r, address_len);
	const uint8_t *ticket;
	uint8_t point[SIGN_POINT_BYTES];
	engawa_ResumeBody body;
	int code;
	if (r.failed || address_len >= sizeof ret_ticket->client_address)
		return -ERR_PROTOCOL;
	ticket_len = r.left;
	ticket = rd_bytes(&r, ticket_len);
	code = sign_key_point(agent->keys.tls, point);
	if (code == 0)
		code = resume_open(ticket, ticket_len, wall_s(), point, &body);
	if (code < 0)
		return code == -ERR_TICKET_EXPIRED ? code : -ERR_TICKET_BAD;
	*ret_base = find_base(agent, &body, &code);
	if (code < 0)
		return code;
	*ret_ticket = (*ret_base)->ticket;
	memcpy(ret_ticket->session_id.bytes, note->session_id, SESSION_ID_BYTES);
	memcpy(ret_ticket->client_address, address, address_len);
	ret_ticket->client_address[address_len] = '\0';
	if (!str_printable(ret_ticket->client_address))
		return -ERR_PROTOCOL;
	ticket_hash(ticket, ticket_len, ret_hash);
	return use_attempt(agent, note);
}

static int
accept_resume(struct agent *agent, const struct note *note)
{
	engawa_TicketBody ticket;
	struct session *base;
	uint8_t hash[32];
	size_t index;
	int r = check(agent, note, &ticket, hash, &base);
	if (r < 0)
		return r;
	drop_older(agent, base, note->gate);
	r = place(agent, &index);
	if (r < 0)
		return r;
	agent->sessions[index] = session_new(agent, &ticket, hash, note->gate, base);
	return agent->sessions[index] ? 0 : -ERR_INTERNAL;
}

void
agent_resume(struct agent *agent, const struct note *note)
{
	uint32_t held;
	int r = accept_resume(agent, note);
	if (r == 0)
		return;
	if (log_limit_pass(&resume_limit, &held))
		LOG(WARN, "resume.refused", F_STR("gate", agent->keys.org.gates[note->gate].name),
			F_ERR("code", r), F_INT("held", held));
	struct note refuse = {.gate = note->gate, .code = (uint32_t)-r};
	memcpy(refuse.session_id, note->session_id, SESSION_ID_BYTES);
	agent_control(agent, MSG_REFUSE, &refuse);
}

/* From here on s is what base was; base goes without a word. */
static void
take_over(struct session *s, struct session *base)
{
	s->work = base->work;
	s->desktop = base->desktop;
	base->work = base->desktop = NULL;
	process_hand(s->work, s);
	process_hand(s->desktop, s);
	s->resumed = 1;
	s->base = NULL;
	s->epoch = base->epoch + 1;
	s->started_s = base->started_s;
	session_term_move(s, base);
	s->lost_at = base->state == SESSION_LOST ? base->lost_at : mono_now();
	s->flow.facts.window_mib = base->flow.facts.window_mib; /* the desktop has its encoder */
}

int
resume_adopt(struct session *s)
{
	struct session *base = s->base;
	struct agent *agent = s->agent;
	if (!has_desktop(base) || agent->working != base || !base->work || !base->desktop)
		return -ERR_RESUME_OVER;
	if (strcmp(s->ticket.client_address, base->ticket.client_address) != 0)
		LOG(INFO, "resume.address", F_STR("session", s->code),
			F_STR("from", base->ticket.client_address),
			F_STR("to", s->ticket.client_address));
	take_over(s, base);
	agent->working = s;
	for (size_t i = 0; i < SESSIONS_MAX; i++) {
		struct session *other = agent->sessions[i];
		if (other && other != s && other->base == base) {
			other->base = NULL;
			session_end(other, ERR_RESUME_OVER);
		}
	}
	session_retire(base);
	int r = session_work_start(s);
	if (r < 0)
		return -ERR_DESKTOP_FAILED;
	session_wait_picture(s);
	return 0;
}

static void
say_waits(struct agent *agent)
{
	engawa_SessionWaits waits = engawa_SessionWaits_init_zero;
	uint8_t bytes[engawa_SessionWaits_size];
	pb_ostream_t stream = pb_ostream_from_buffer(bytes, sizeof bytes);
	const struct session *s = agent->working;
	if (s && s->state == SESSION_LOST) {
		uint64_t gone_s = mono_diff_ms(s->lost_at, mono_now()) / 1000;
		uint64_t wait_s = (uint64_t)agent->options.resume_s;
		waits.session_id.size = SESSION_ID_BYTES;
		memcpy(waits.session_id.bytes, s->ticket.session_id.bytes, SESSION_ID_BYTES);
		str_copy(waits.client_address, sizeof waits.client_address,
			s->ticket.client_address);
		waits.started_s = s->started_s;
		waits.browser = s->flow.facts.kind == engawa_ClientKind_CLIENT_HTML5;
		waits.wait_s = (uint32_t)(wait_s > gone_s ? wait_s - gone_s : 0);
	}
	if (!pb_encode(&stream, engawa_SessionWaits_fields, &waits))
		return;
	struct note note = {.rest = bytes, .rest_len = stream.bytes_written};
	agent_control(agent, MSG_WAITS, &note); /* no gate: when there is one */
}

static void
on_tell_pause(void *user)
{
	struct agent *agent = user;
	timer_free(agent->tell_pause);
	agent->tell_pause = NULL;
	if (agent->tell_again)
		resume_tell(agent);
}

void
resume_tell(struct agent *agent)
{
	agent->tell_again = agent->tell_pause != NULL;
	if (agent->tell_pause)
		return;
	agent->tell_pause = timer_new(agent->loop, on_tell_pause, agent);
	timer_start(agent->tell_pause, TELL_PAUSE_MS, 0);
	say_waits(agent);
}

/* What a person should know. */
static int
tells(int code)
{
	static const int told[] = {ERR_IDLE, ERR_ENDED_BY_ADMIN, ERR_TAKEN_OVER,
		ERR_CONNECTED_AGAIN, ERR_SUSPENDED, ERR_DESKTOP_FAILED, ERR_HOURS, ERR_SESSION_LONG,
		ERR_INPUT_BURST, ERR_INSPECTION, ERR_POSTURE_MISSING, ERR_DESKTOP_LOCKED,
		ERR_NO_DISPLAY, ERR_ASLEEP, ERR_VT_AWAY, ERR_ADMIN_AGENT, ERR_DARK_UNDONE,
		ERR_INPUT_UNDONE, ERR_BREAK_KEY, ERR_GUARD_LOST};
	for (size_t i = 0; i < sizeof told / sizeof told[0]; i++)
		if (code == -told[i])
			return 1;
	return 0;
}

void
resume_over(struct session *s)
{
	struct agent *agent = s->agent;
	if (s->started_s) {
		struct ended_session *e = &agent->ended[agent->ended_next++ % ENDED_MAX];
		memcpy(e->origin, s->origin, sizeof e->origin);
		e->code = tells(s->end_code) ? s->end_code : -ERR_RESUME_OVER;
	}
	for (size_t i = 0; i < SESSIONS_MAX; i++) {
		struct session *other = agent->sessions[i];
		if (other && other->base == s) {
			other->base = NULL;
			session_end(other, ERR_RESUME_OVER);
		}
	}
}
