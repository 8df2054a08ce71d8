#include "agent/renew.h"

#include <stdlib.h>
#include <string.h>

#include "agent/own_certificate.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/frame.h"

enum {
	LOOK_MS = 60000,
	AGAIN_MAX_S = 3600,
	AGAIN_MIN_S = 5,
	TRIES_OF_A_REST = 20 /* in what is left of its life */
};

struct renew {
	struct agent *agent;
	struct timer *timer;
	uint64_t renew_s, until_s, again_s;
	int code, told; /* the newest that was logged */
};

static void
tell(struct renew *renew, int code)
{
	renew->code = code;
	if (code == renew->told)
		return;
	renew->told = code;
	if (code == 0)
		LOG(INFO, "certificate", F_INT("until_s", renew->until_s));
	else
		LOG(ERROR, "certificate", F_ERR("code", code), F_INT("until_s", renew->until_s),
			F_STR("text", err_text(code, ERR_LANG_EN)));
}

static int
has_link(const struct agent *agent)
{
	for (size_t i = 0; i < agent->keys.org.gate_count; i++)
		if (agent->gates[i].up)
			return 1;
	return 0;
}

/* Not before this: a relay that cannot renew is not asked by all its agents all the time. */
static uint64_t
pause_s(const struct renew *renew, uint64_t now_s)
{
	uint64_t pause = renew->until_s > now_s ? (renew->until_s - now_s) / TRIES_OF_A_REST : 0;
	return pause < AGAIN_MIN_S ? AGAIN_MIN_S : pause > AGAIN_MAX_S ? AGAIN_MAX_S : pause;
}

static void
ask(struct renew *renew, uint64_t now_s)
{
	engawa_Enrol msg;
	uint8_t frame[FRAME_HEADER_BYTES + engawa_Enrol_size];
	struct note note = {.rest = frame + FRAME_HEADER_BYTES};
	renew->again_s = now_s + pause_s(renew, now_s);
	int r = own_certificate_request(&renew->agent->keys, "", &msg);
	if (r == 0)
		r = frame_encode(engawa_OuterType_OUTER_ENROL, engawa_Enrol_fields, &msg, frame,
			sizeof frame);
	if (r > 0) {
		note.rest_len = (size_t)r - FRAME_HEADER_BYTES;
		r = agent_control(renew->agent, MSG_RENEW, &note);
	}
	LOG(INFO, "certificate.renew", F_ERR("code", r), F_INT("until_s", renew->until_s));
}

static void
look(void *user)
{
	struct renew *renew = user;
	uint64_t now_s = wall_s();
	int r = own_certificate_state(&renew->agent->keys, now_s, &renew->renew_s, &renew->until_s);
	int due = r == 0 && now_s >= renew->renew_s && has_link(renew->agent);
	tell(renew, r);
	if (due && (now_s >= renew->again_s || renew->again_s > now_s + AGAIN_MAX_S))
		ask(renew, now_s);
	uint64_t next_ms = due ? (renew->again_s - now_s) * 1000 : LOOK_MS;
	timer_start(renew->timer, next_ms < LOOK_MS ? next_ms : LOOK_MS, 0);
}

struct renew *
renew_new(struct agent *agent)
{
	struct renew *renew = mem_new(sizeof *renew);
	*renew = (struct renew){.agent = agent, .told = 1};
	renew->timer = timer_new(agent->loop, look, renew);
	look(renew);
	return renew;
}

void
renew_free(struct renew *renew)
{
	if (!renew)
		return;
	timer_free(renew->timer);
	free(renew);
}

void
renew_link_up(struct renew *renew)
{
	look(renew);
}

/* In force when it is on the disk. The connections that are up stay as they are. */
static int
take(struct renew *renew, const struct note *note)
{
	struct agent *agent = renew->agent;
	struct keys *keys = &agent->keys;
	uint64_t until_s = renew->until_s;
	struct keys before = *keys;
	int r = own_certificate_take(keys, note->rest, note->rest_len, wall_s());
	if (r == 0 && memcmp(keys->agent_id, before.agent_id, sizeof before.agent_id) != 0)
		r = -ERR_CERT_UNTRUSTED;
	if (r == 0)
		r = own_certificate_state(keys, wall_s(), &renew->renew_s, &renew->until_s);
	if (r == 0 && renew->until_s < until_s)
		r = -ERR_CERT_EXPIRED; /* an old one, played again */
	if (r == 0)
		r = own_certificate_save(&agent->options, keys);
	if (r == 0)
		r = process_send(agent->control, MSG_CERTIFICATE, keys->certificate,
			keys->certificate_len, -1);
	if (r < 0) {
		*keys = before;
		renew->until_s = until_s;
	}
	mem_wipe(&before, sizeof before);
	return r;
}

void
renew_answer(struct renew *renew, const struct note *note)
{
	int r = note->code ? -(int)note->code : take(renew, note);
	if (r == 0)
		LOG(INFO, "certificate.renewed", F_INT("until_s", renew->until_s));
	else
		LOG(WARN, "certificate.renew", F_ERR("code", r), F_INT("until_s", renew->until_s));
}

uint64_t
renew_until_s(const struct renew *renew)
{
	return renew->until_s;
}

int
renew_code(const struct renew *renew)
{
	return renew->code;
}
