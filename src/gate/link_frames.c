/* Frames of the controller, once it has welcomed us. A bad one ends the link, and it is made anew.
 */
#include <string.h>

#include "base/err.h"
#include "gate/blame.h"
#include "gate/order.h"
#include "gate/tell.h"
#include "gate/worker.h"
#include "link.pb.h"

int
link_on_grant(struct worker *w, struct leg *link, const uint8_t *payload, size_t len)
{
	engawa_LinkGrant msg;
	(void)link;
	int r = frame_decode(engawa_LinkGrant_fields, &msg, payload, len);
	if (r < 0)
		return r;
	uint8_t device[16];
	struct leg *l = request_take(w, msg.request, REQUEST_ASK, device);
	if (!l || l->state != LEG_ASKING)
		return 0;
	if (msg.grant.code == ERR_UNREACHABLE)
		blame_device(w, l, device, 0); /* a mistake, or somebody who tries */
	l->state = LEG_READY;
	leg_deadline(w, l, w->settings.frame_s);
	leg_frame(w, l, engawa_OuterType_OUTER_GRANT, engawa_Grant_fields, &msg.grant);
	return 0;
}

int
link_on_enrolled(struct worker *w, struct leg *link, const uint8_t *payload, size_t len)
{
	engawa_LinkEnrolled msg;
	(void)link;
	int r = frame_decode(engawa_LinkEnrolled_fields, &msg, payload, len);
	if (r < 0)
		return r;
	struct leg *l = request_take(w, msg.request, REQUEST_RENEW, NULL);
	if (l) {
		leg_frame(w, l, engawa_OuterType_OUTER_ENROLLED, engawa_Enrolled_fields,
			&msg.enrolled);
		return 0;
	}
	l = request_take(w, msg.request, REQUEST_ENROL, NULL);
	if (!l || l->state != LEG_ASKING)
		return 0;
	leg_frame(w, l, engawa_OuterType_OUTER_ENROLLED, engawa_Enrolled_fields, &msg.enrolled);
	leg_end(w, l, msg.enrolled.code ? -(int)msg.enrolled.code : 0);
	return 0;
}

int
link_on_code_sent(struct worker *w, struct leg *link, const uint8_t *payload, size_t len)
{
	engawa_LinkCodeSent msg;
	(void)link;
	int r = frame_decode(engawa_LinkCodeSent_fields, &msg, payload, len);
	if (r < 0)
		return r;
	struct leg *l = request_take(w, msg.request, REQUEST_SEND_CODE, NULL);
	if (l)
		leg_frame(w, l, engawa_OuterType_OUTER_CODE_SENT, engawa_CodeSent_fields,
			&msg.code_sent);
	return 0;
}

int
link_on_mail_state(struct worker *w, struct leg *link, const uint8_t *payload, size_t len)
{
	engawa_LinkMailState msg;
	(void)link;
	int r = frame_decode(engawa_LinkMailState_fields, &msg, payload, len);
	if (r < 0 || msg.agent_id.size != 16)
		return -ERR_PROTOCOL;
	struct leg *l = presence_find(w, msg.agent_id.bytes);
	if (l)
		leg_frame(w, l, engawa_OuterType_OUTER_MAIL_STATE, engawa_MailState_fields,
			&msg.mail_state);
	return 0;
}

int
link_on_end_session(struct worker *w, struct leg *link, const uint8_t *payload, size_t len)
{
	engawa_EndSession msg;
	(void)link;
	int r = frame_decode(engawa_EndSession_fields, &msg, payload, len);
	int all = msg.session_id.size == 0 && msg.agent_id.size == 16;
	if (r < 0 || (msg.session_id.size != 16 && !all))
		return -ERR_PROTOCOL;
	struct tell_end end = {.code = msg.code ? msg.code : ERR_ENDED_BY_ADMIN};
	if (all) {
		presence_ended(w, msg.agent_id.bytes, NULL, end.code);
		return 0;
	}
	struct session *s = session_find(w, msg.session_id.bytes);
	memcpy(end.session_id, msg.session_id.bytes, sizeof end.session_id);
	/* the agent first: it must not take the broken path for one to be made anew */
	if (s)
		presence_ended(w, s->agent_id, end.session_id, end.code);
	else if (msg.agent_id.size == 16)
		presence_ended(w, msg.agent_id.bytes, end.session_id, end.code);
	if (s)
		session_end(w, s, -(int)end.code);
	else
		leave_end(w, &end); /* another worker that has it hears it from the controller */
	return 0;
}

static int
take_deny(const uint8_t *payload, size_t len, struct tell_deny *ret)
{
	engawa_Deny msg;
	int r = frame_decode(engawa_Deny_fields, &msg, payload, len);
	if (r < 0 || msg.agent_id.size != 16)
		return -ERR_PROTOCOL;
	*ret = (struct tell_deny){.code = msg.code ? msg.code : ERR_SUSPENDED};
	memcpy(ret->agent_id, msg.agent_id.bytes, sizeof ret->agent_id);
	return 0;
}

int
link_on_deny(struct worker *w, struct leg *link, const uint8_t *payload, size_t len)
{
	struct tell_deny deny;
	(void)link;
	int r = take_deny(payload, len, &deny);
	if (r < 0)
		return r;
	LOG(INFO, "agent.deny", F_AGENT(deny.agent_id), F_ERR("code", (int)deny.code));
	worker_tell(w, TELL_DENY, &deny, sizeof deny);
	presence_deny(w, &deny);
	return 0;
}

int
link_on_allow(struct worker *w, struct leg *link, const uint8_t *payload, size_t len)
{
	struct tell_deny deny;
	(void)link;
	int r = take_deny(payload, len, &deny);
	if (r < 0)
		return r;
	LOG(INFO, "agent.allow", F_AGENT(deny.agent_id));
	worker_tell(w, TELL_ALLOW, &deny, sizeof deny);
	presence_allow(w, deny.agent_id);
	return 0;
}

int
link_on_ping(struct worker *w, struct leg *link, const uint8_t *payload, size_t len)
{
	engawa_Ping ping;
	(void)link;
	int r = frame_decode(engawa_Ping_fields, &ping, payload, len);
	if (r == 0)
		link_send(w, engawa_LinkType_LINK_PONG, engawa_Pong_fields,
			&(engawa_Pong){.id = ping.id});
	return r;
}

int
link_on_pong(struct worker *w, struct leg *link, const uint8_t *payload, size_t len)
{
	engawa_Pong pong;
	(void)w, (void)link;
	return frame_decode(engawa_Pong_fields, &pong, payload, len);
}
