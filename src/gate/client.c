/* Frames of those who do not wait: clients, agents' session connections, enrolments. */
#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "crypto/resume.h"
#include "crypto/ticket.h"
#include "gate/blame.h"
#include "gate/order.h"
#include "gate/secure.h"
#include "gate/worker.h"
#include "link.pb.h"

static void
wait_for_controller(struct worker *w, struct leg *l)
{
	l->state = LEG_ASKING;
	leg_deadline(w, l, w->settings.controller_s + LINGER_S);
}

int
client_on_ask(struct worker *w, struct leg *l, const uint8_t *payload, size_t len)
{
	engawa_LinkAsk msg = {.has_ask = true};
	int r = frame_decode(engawa_Ask_fields, &msg.ask, payload, len);
	if (r < 0 || strlen(msg.ask.terminal_id) != 16 || msg.ask.device_hash.size != 32)
		return -ERR_PROTOCOL;
	if (++l->asks > w->settings.asks_max) {
		limit_bite(&w->limits, LIMIT_ASKS, &l->address);
		return -ERR_LIMIT;
	}
	wait_for_controller(w, l);
	address_text(&l->address, msg.address);
	r = blame_ask_device(w, l, msg.ask.device_hash.bytes);
	if (r == 0)
		r = request_new(w, l, REQUEST_ASK, msg.ask.device_hash.bytes, &msg.request);
	if (r < 0)
		request_refuse(w, l, REQUEST_ASK, NULL, r);
	else
		link_send(w, engawa_LinkType_LINK_ASK, engawa_LinkAsk_fields, &msg);
	mem_wipe(&msg, sizeof msg); /* the terminal ID */
	return 0;
}

int
client_on_enrol(struct worker *w, struct leg *l, const uint8_t *payload, size_t len)
{
	engawa_LinkEnrol msg = {.has_enrol = true};
	int r = frame_decode(engawa_Enrol_fields, &msg.enrol, payload, len);
	if (r < 0 || !msg.enrol.code[0])
		return -ERR_PROTOCOL; /* without a code: presence_on_renew */
	wait_for_controller(w, l);
	address_text(&l->address, msg.address);
	r = request_new(w, l, REQUEST_ENROL, NULL, &msg.request);
	if (r < 0)
		request_refuse(w, l, REQUEST_ENROL, NULL, r);
	else
		link_send(w, engawa_LinkType_LINK_ENROL, engawa_LinkEnrol_fields, &msg);
	mem_wipe(&msg, sizeof msg); /* the enrolment code */
	return 0;
}

/* The ticket is good: it is the device's fault now when nothing comes of it. */
static int
knock_for(struct worker *w, struct leg *l, const struct session_claim *claim, const uint8_t *device,
	size_t device_len, uint8_t type, const pb_msgdesc_t *fields, const void *msg)
{
	if (device_len != 32)
		return -ERR_TICKET_BAD;
	int r = blame_ask_device(w, l, device);
	if (r == 0)
		r = session_knock(w, l, claim, type, fields, msg);
	if (r == -ERR_TICKET_BAD || r == -ERR_UNREACHABLE)
		blame_device(w, l, device, 1);
	return r;
}

static int
for_this_gate(const struct worker *w, const engawa_TicketBody *body)
{
	for (size_t i = 0; i < body->gates_count; i++)
		if (strcmp(body->gates[i], w->settings.name) == 0)
			return 1;
	return 0;
}

int
client_on_join(struct worker *w, struct leg *l, const uint8_t *payload, size_t len)
{
	engawa_Join join;
	engawa_Knock knock;
	engawa_TicketBody body;
	int r = frame_decode(engawa_Join_fields, &join, payload, len);
	if (r < 0)
		return r;
	if (w->draining)
		return -ERR_DRAIN;
	if (w->ticket_keys.count == 0)
		return -ERR_NO_CONTROLLER; /* never heard of it: nothing to check with */
	r = ticket_verify(w->ticket_keys.points, w->ticket_keys.count, join.ticket.bytes,
		join.ticket.size, wall_s(), &body);
	if (r < 0)
		return r == -ERR_SIGNATURE || r == -ERR_PROTOCOL ? -ERR_TICKET_BAD : r;
	if (body.session_id.size != 16 || body.agent_id.size != 16 || !for_this_gate(w, &body))
		return -ERR_TICKET_BAD;
	const struct session_claim claim = {body.session_id.bytes, body.agent_id.bytes,
		body.organisation, body.prefecture, body.rate_class, 0};
	static_assert(sizeof knock.ticket == sizeof join.ticket, "passed on as it came");
	memcpy(&knock.ticket, &join.ticket, sizeof knock.ticket);
	return knock_for(w, l, &claim, body.device_hash.bytes, body.device_hash.size,
		engawa_OuterType_OUTER_KNOCK, engawa_Knock_fields, &knock);
}

/* No controller is asked: the agent's own certificate, which any gate can check, says whose ticket
 * it is. Whether it still counts the agent says. */
int
client_on_resume(struct worker *w, struct leg *l, const uint8_t *payload, size_t len)
{
	engawa_Resume resume;
	engawa_ResumeBody body;
	uint8_t agent_id[16], id[16];
	char organisation[sizeof(((struct session *)0)->organisation)];
	int r = frame_decode(engawa_Resume_fields, &resume, payload, len);
	if (r < 0 || resume.attempt.size != RESUME_ATTEMPT_BYTES)
		return -ERR_PROTOCOL;
	if (w->draining)
		return -ERR_DRAIN;
	r = resume_open(resume.ticket.bytes, resume.ticket.size, wall_s(), NULL, &body);
	if (r == 0)
		r = secure_check_agent(w->secure, body.certificate.bytes, body.certificate.size,
			agent_id, organisation, sizeof organisation);
	if (r < 0)
		return r == -ERR_TICKET_EXPIRED ? r : -ERR_TICKET_BAD;
	resume_session_id(resume.ticket.bytes, resume.ticket.size, resume.attempt.bytes, id);
	const struct session_claim claim = {
		id, agent_id, organisation, body.prefecture, body.rate_class, 1};
	address_text(&l->address, resume.client_address);
	return knock_for(w, l, &claim, body.device_hash.bytes, body.device_hash.size,
		engawa_OuterType_OUTER_RESUME, engawa_Resume_fields, &resume);
}

int
client_on_answer(struct worker *w, struct leg *l, const uint8_t *payload, size_t len)
{
	engawa_Answer answer;
	uint8_t agent_id[16];
	int r = frame_decode(engawa_Answer_fields, &answer, payload, len);
	/* bytes behind it would be the inner channel's, before anybody is there */
	if (r < 0 || answer.session_id.size != 16 || w->surplus > 0)
		return -ERR_PROTOCOL;
	r = secure_agent(l->secure, agent_id);
	return r < 0 ? r : session_answer(w, l, agent_id, answer.session_id.bytes);
}
