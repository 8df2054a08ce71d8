#include "gate/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "gate/door.h"
#include "gate/pipe.h"
#include "gate/worker.h"
#include "outer.pb.h"

void
sessions_init(struct sessions *sessions, size_t count)
{
	size_t size = 64;
	while (size < count)
		size *= 2;
	*sessions = (struct sessions){.mask = size - 1};
	sessions->buckets = mem_new(size * sizeof *sessions->buckets);
}

void
sessions_fini(struct sessions *sessions)
{
	for (size_t i = 0; sessions->buckets && i <= sessions->mask; i++) {
		while (sessions->buckets[i]) {
			struct session *s = sessions->buckets[i];
			sessions->buckets[i] = s->next;
			free(s);
		}
	}
	free(sessions->buckets);
	*sessions = (struct sessions){0};
}

/* Ids are random and come in signed tickets: nobody can choose a bucket. */
static struct session **
bucket(struct sessions *sessions, const uint8_t id[static 16])
{
	uint32_t hash;
	memcpy(&hash, id, sizeof hash);
	return &sessions->buckets[hash & sessions->mask];
}

struct session *
session_find(struct worker *w, const uint8_t id[static 16])
{
	struct session *s = *bucket(&w->sessions, id);
	while (s && memcmp(s->id, id, 16) != 0)
		s = s->next;
	return s;
}

static void
tell_place(struct worker *w, enum tell type, const struct session *s)
{
	struct tell_place place = {.kind = TELL_SESSION, .serial = s->client->serial};
	memcpy(place.id, s->id, sizeof place.id);
	if (w->seat.seats > 1)
		worker_tell(w, (uint16_t)type, &place, sizeof place);
}

void
session_attach(struct worker *w, struct session *s)
{
	struct session **at = bucket(&w->sessions, s->id);
	s->next = *at;
	*at = s;
	w->sessions.count++;
	s->share = quota_row(w, s->organisation);
	if (s->agent)
		quota_count(w, s->share, QUOTA_SESSIONS, 1);
}

void
session_detach(struct worker *w, struct session *s)
{
	struct session **at = bucket(&w->sessions, s->id);
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	w->sessions.count--;
	if (s->agent)
		quota_count(w, s->share, QUOTA_SESSIONS, -1);
}

void
session_arrive(struct worker *w, struct session *s)
{
	session_attach(w, s);
	tell_place(w, TELL_PUT, s);
	if (s->agent)
		link_session_up(w, s);
}

int
session_knock(struct worker *w, struct leg *client, const struct session_claim *claim, uint8_t type,
	const pb_msgdesc_t *fields, const void *msg)
{
	struct leg *agent = presence_find(w, claim->agent_id);
	uint32_t denied = presence_denied(&w->presence, claim->agent_id);
	door_known(w, client);
	if (session_find(w, claim->id))
		return -ERR_TICKET_BAD; /* the same ticket, while its session lives */
	if (!denied && !agent && move_start(w, client, TELL_AGENT, claim->agent_id) == 0)
		return 0;
	if (denied || !agent)
		return -ERR_UNREACHABLE; /* one answer for both */
	size_t share = quota_row(w, claim->organisation);
	/* what an agent says of itself in a resume ticket moves no shares */
	if (w->fair.table && !claim->resumes)
		fair_note(w->fair.table, share, claim->prefecture, claim->rate_class);
	int full = quota_ask(w, share, QUOTA_SESSIONS);
	if (full < 0)
		return full;
	struct session *s = mem_array(1, sizeof *s);
	if (!s)
		return -ERR_TOO_MANY;
	memcpy(s->id, claim->id, sizeof s->id);
	memcpy(s->agent_id, claim->agent_id, sizeof s->agent_id);
	str_copy(s->organisation, sizeof s->organisation, claim->organisation);
	s->resumes = claim->resumes;
	s->client = client;
	s->browser = client->kind == LEG_BROWSER;
	session_attach(w, s);
	client->session = s;
	client->state = LEG_KNOCKING;
	leg_deadline(w, client, w->settings.answer_s);
	tell_place(w, TELL_PUT, s);
	/* when the agent's connection breaks at this, the client's deadline says so */
	leg_frame(w, agent, type, fields, msg);
	return 0;
}

static void
joined(struct worker *w, struct leg *l, const struct session *s)
{
	engawa_Joined msg = {.session_id.size = sizeof s->id};
	memcpy(msg.session_id.bytes, s->id, sizeof s->id);
	leg_frame(w, l, engawa_OuterType_OUTER_JOINED, engawa_Joined_fields, &msg);
}

int
session_answer(struct worker *w, struct leg *agent, const uint8_t agent_id[static 16],
	const uint8_t id[static 16])
{
	char address[ADDRESS_TEXT_SIZE];
	struct session *s = session_find(w, id);
	if (!s && move_start(w, agent, TELL_SESSION, id) == 0)
		return 0;
	/* a session that is not there, not this agent's, or answered already: one answer */
	if (!s || s->agent || !mem_equal(s->agent_id, agent_id, sizeof s->agent_id))
		return -ERR_TICKET_BAD;
	struct leg *client = s->client;
	joined(w, client, s);
	if (client->state >= LEG_CLOSING)
		return -ERR_CLOSED; /* and s is gone with it */
	joined(w, agent, s);
	if (agent->state >= LEG_CLOSING)
		return 0;
	s->agent = agent;
	agent->session = s;
	quota_count(w, s->share, QUOTA_SESSIONS,
		1); /* not before: who has only a ticket uses up nothing */
	s->started_s = wall_s();
	s->joined = mono_now();
	s->tokens = w->settings.client_burst_bytes;
	s->tokens_at = w->now;
	pipe_join(w, client, agent);
	tally_add(&w->limits.mine->tally.sessions_started, 1);
	if (s->resumes)
		tally_add(&w->limits.mine->tally.sessions_resumed, 1);
	if (w->fair.table)
		tally_add(&w->fair.table->organisations[s->share].sessions, 1);
	address_text(&client->address, address);
	LOG(INFO, "session.up", F_SESSION(s->id), F_AGENT(s->agent_id), F_STR("client", address),
		F_STR("organisation", s->organisation), F_STR("browser", s->browser ? "yes" : "no"),
		F_STR("resumed", s->resumes ? "yes" : "no"));
	link_session_up(w, s);
	return 0;
}

void
session_refused(struct worker *w, const struct tell_refuse *refuse)
{
	struct session *s = session_find(w, refuse->session_id);
	if (s && !s->agent && mem_equal(s->agent_id, refuse->agent_id, sizeof s->agent_id))
		leg_bye(w, s->client, -(int)refuse->code);
}

void
session_refuse(struct worker *w, const struct tell_refuse *refuse)
{
	if (session_find(w, refuse->session_id))
		session_refused(w, refuse);
	else if (w->seat.seats > 1)
		worker_tell(w, TELL_REFUSE, refuse, sizeof *refuse);
}

void
session_taken(struct worker *w, const struct tell_place *place)
{
	struct session *s = session_find(w, place->id);
	if (s && s->client->serial == place->serial)
		session_end(w, s, -ERR_TICKET_BAD);
}

static void
detach(struct worker *w, struct leg *l, int code)
{
	if (!l)
		return;
	l->session = NULL;
	l->peer = NULL;
	if (l->state == LEG_KNOCKING)
		leg_bye(w, l, code);
	else
		leg_end(w, l, code);
}

void
session_end(struct worker *w, struct session *s, int code)
{
	session_detach(w, s);
	tell_place(w, TELL_DROP, s);
	uint64_t ms = s->agent ? mono_diff_ms(s->joined, mono_now()) : 0;
	LOG(INFO, s->agent ? "session.down" : "session.unanswered", F_SESSION(s->id),
		F_AGENT(s->agent_id), F_ERR("code", code), F_INT("to_client", s->to_client),
		F_INT("to_agent", s->to_agent), F_INT("ms", ms));
	if (s->agent) {
		link_session_down(w, s, code);
		tally_code(w->limits.mine->tally.ends, code);
	}
	struct leg *client = s->client, *agent = s->agent;
	if (agent)
		agent->session = NULL, agent->peer = NULL;
	detach(w, client, code);
	detach(w, agent, code);
	free(s);
}

static void
end_where(struct worker *w, const uint8_t *agent_id, int code)
{
	for (size_t i = 0; i <= w->sessions.mask; i++) {
		struct session *next;
		for (struct session *s = w->sessions.buckets[i]; s; s = next) {
			next = s->next;
			if (!agent_id || memcmp(s->agent_id, agent_id, sizeof s->agent_id) == 0)
				session_end(w, s, code);
		}
	}
}

void
sessions_end_agent(struct worker *w, const uint8_t agent_id[static 16], int code)
{
	end_where(w, agent_id, code);
}

void
sessions_end_all(struct worker *w, int code)
{
	end_where(w, NULL, code);
}

size_t
session_allowance(struct worker *w, const struct leg *from, size_t want, enum limit *ret_which)
{
	struct session *s = from->session;
	enum fair_limit why;
	if (s)
		want = fair_allowance(&w->fair, s->share, want, mono_now().ns, &why);
	if (want == 0) {
		*ret_which = why == FAIR_BY_PREFECTURE ? LIMIT_PREFECTURE : LIMIT_ORGANISATION;
		return 0;
	}
	*ret_which = LIMIT_CLIENT_RATE;
	int64_t rate = w->settings.client_rate_bytes_s, burst = w->settings.client_burst_bytes;
	if (!s || from != s->client || rate == 0)
		return want;
	int64_t ticks = (int64_t)(w->now - s->tokens_at);
	if (ticks > 0) {
		s->tokens += rate * ticks * WHEEL_TICK_MS / 1000;
		s->tokens_at = w->now;
	}
	if (s->tokens > burst)
		s->tokens = burst;
	if (s->tokens <= 0)
		return 0;
	return (size_t)s->tokens < want ? (size_t)s->tokens : want;
}

void
session_count(struct worker *w, const struct leg *from, size_t len)
{
	struct session *s = from->session;
	struct tally *tally = &w->limits.mine->tally;
	if (!s)
		return;
	int to_client = from != s->client;
	fair_charge(&w->fair, s->share, len, to_client, mono_now().ns);
	tally_add(to_client ? &tally->to_client : &tally->to_agent, len);
	if (from == s->client) {
		s->to_agent += len;
		s->tokens -= (int64_t)len;
	} else {
		s->to_client += len;
	}
}
