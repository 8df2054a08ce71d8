#include "controller/post.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "controller/bounce.h"
#include "controller/link.h"
#include "net/frame.h"

enum {
	POSTS_MAX = 1024
};

/* With the mailer, by a number of ours: request numbers of different links may be the same. */
struct post {
	struct post *next;
	uint64_t number, origin, request;
	engawa_CodeSent sent; /* session_id is filled */
};

static void
answer(struct core *core, uint64_t origin, uint64_t request, const engawa_CodeSent *code_sent)
{
	engawa_LinkCodeSent sent = {
		.request = request, .has_code_sent = true, .code_sent = *code_sent};
	LOG(INFO, "mail", F_STR("result", code_sent->code ? err_name((int)code_sent->code) : "ok"),
		F_HEX("session", code_sent->session_id.bytes, code_sent->session_id.size));
	link_code_sent(core, origin, &sent);
}

static int
check(struct core *core, const engawa_LinkSendCode *send)
{
	struct store_agent agent;
	const engawa_SendCode *code = &send->send_code;
	if (!send->has_send_code || send->agent_id.size != PRESENCE_ID_BYTES ||
		code->session_id.size != PRESENCE_ID_BYTES)
		return -ERR_PROTOCOL;
	if (!core->settings->smtp_url)
		return -ERR_MAIL_UNSET;
	/* an agent alone must not be able to make us write mail: somebody has to be connecting to
	 * it */
	if (!presence_is_session_of(
		    core->presence, code->session_id.bytes, send->agent_id.bytes, wall_s()))
		return -ERR_DENIED;
	int r = store_agent_get(core->store, send->agent_id.bytes, &agent);
	if (r == 0 && (agent.state != STORE_ACTIVE || agent.org_suspended))
		r = -ERR_SUSPENDED;
	if (r == 0 && core->post_count >= POSTS_MAX)
		r = -ERR_LIMIT;
	return r;
}

void
post_start(struct core *core, uint64_t origin, const engawa_LinkSendCode *send)
{
	struct post *post = mem_new(sizeof *post);
	*post = (struct post){
		.number = ++core->next_post, .origin = origin, .request = send->request};
	post->sent.session_id.size = send->send_code.session_id.size;
	memcpy(post->sent.session_id.bytes, send->send_code.session_id.bytes,
		post->sent.session_id.size);
	int r = check(core, send);
	if (r == 0) {
		engawa_LinkSendCode forward = *send;
		forward.request = post->number;
		r = peer_send(core->mailer, PEER_MAIL, engawa_LinkSendCode_fields, &forward) < 0
			    ? -ERR_MAIL_FAILED
			    : 0;
	}
	if (r < 0) {
		post->sent.code = (uint32_t)-r;
		answer(core, origin, post->request, &post->sent);
		free(post);
		return;
	}
	post->next = core->posts;
	core->posts = post;
	core->post_count++;
}

static void
finish(struct core *core, struct post **at, uint32_t code)
{
	struct post *post = *at;
	*at = post->next;
	core->post_count--;
	post->sent.code = code;
	answer(core, post->origin, post->request, &post->sent);
	free(post);
}

void
post_done(struct core *core, const uint8_t *payload, size_t len)
{
	engawa_LinkCodeSent sent;
	if (frame_decode(engawa_LinkCodeSent_fields, &sent, payload, len) < 0)
		return;
	for (struct post **at = &core->posts; *at; at = &(*at)->next) {
		if ((*at)->number == sent.request) {
			finish(core, at, sent.code_sent.code);
			return;
		}
	}
}

void
post_failed(struct core *core)
{
	while (core->posts)
		finish(core, &core->posts, ERR_MAIL_FAILED);
}

/* A mail server tries again for days, and whoever has one good token can repeat it. */
static struct log_limit returned_limit = {.burst = 20, .window_ms = 60000};

/* What a mail server repeats, and what somebody with one good token repeats, is taken no oftener
 * than mails go out. */
static int
tell(struct core *core, const engawa_LinkMailState *state)
{
	struct store_agent agent;
	struct link *links[PRESENCE_GATES_MAX];
	const uint32_t code = state->mail_state.code;
	if (state->agent_id.size != PRESENCE_ID_BYTES || !bounce_status_ok(state->status) ||
		(code != ERR_MAIL_CAME_BACK && code != ERR_MAIL_DELAYED))
		return -ERR_PROTOCOL;
	int r = store_agent_get(core->store, state->agent_id.bytes, &agent);
	if (r < 0)
		return r;
	if (agent.state != STORE_ACTIVE)
		return -ERR_NOT_FOUND;
	if (presence_links(core->presence, state->agent_id.bytes, links) == 0)
		return -ERR_UNREACHABLE;
	if (!limit_take(core->returned, state->agent_id.bytes, mono_now()))
		return -ERR_LIMIT;
	link_mail_state(core, state);
	return 0;
}

void
post_came_back(struct core *core, const uint8_t *payload, size_t len)
{
	engawa_LinkMailState state;
	char id[2 * PRESENCE_ID_BYTES + 1] = "";
	uint32_t held;
	if (frame_decode(engawa_LinkMailState_fields, &state, payload, len) < 0)
		return;
	int r = tell(core, &state), came_back = state.mail_state.code == ERR_MAIL_CAME_BACK;
	engawa_LinkCodeSent told = {
		.request = state.request, .has_code_sent = true, .code_sent.code = (uint32_t)-r};
	if (r != -ERR_PROTOCOL)
		str_hex(id, state.agent_id.bytes, state.agent_id.size);
	if (r != -ERR_PROTOCOL && log_limit_pass(&returned_limit, &held))
		LOG(WARN, "mail.returned", F_STR("agent", id),
			F_ERR("state", (int)state.mail_state.code), F_STR("status", state.status),
			F_ERR("told", r), F_INT("held", held));
	if (r == 0)
		trail_add(core->trail, "mail", came_back ? "mail.came_back" : "mail.delayed", id,
			state.status);
	peer_send(core->mailer, PEER_TOLD, engawa_LinkCodeSent_fields, &told);
}
