/*
 * The login process: opens the client's records with the login keys, decodes them and hands typed,
 * length-checked facts and replies to the monitor; seals the monitor's answers. It decides nothing,
 * and when it is taken over it can ask the monitor what the client could have asked, no more: the
 * work keys never come here.
 */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/inner.h"
#include "agent/message.h"
#include "agent/role.h"
#include "base/err.h"
#include "base/ipc.h"
#include "base/mem.h"
#include "base/str.h"
#include "inner.pb.h"
#include "net/frame.h"

enum {
	STREAM = 4
};

struct login_process {
	struct inner inner;
	int has_facts;
};

static size_t
take_screens(struct screen *out, const engawa_Monitor *in, size_t count)
{
	for (size_t i = 0; i < count; i++)
		out[i] = (struct screen){in[i].x_px, in[i].y_px, in[i].width_px, in[i].height_px,
			in[i].scale_percent};
	return count;
}

/* Both or neither, and of the one size they have. */
static int
take_proof(const engawa_Facts *msg, struct facts *facts)
{
	if (str_copy(facts->apply, sizeof facts->apply, msg->apply) < 0)
		return -ERR_PROTOCOL;
	if (msg->device_key.size == 0 && msg->device_proof.size == 0)
		return 0;
	if (msg->device_key.size != FACTS_KEY_BYTES || msg->device_key.bytes[0] != 4 ||
		msg->device_proof.size != FACTS_PROOF_BYTES)
		return -ERR_PROTOCOL;
	memcpy(facts->device_key, msg->device_key.bytes, FACTS_KEY_BYTES);
	memcpy(facts->device_proof, msg->device_proof.bytes, FACTS_PROOF_BYTES);
	return 0;
}

static int
take_facts(const uint8_t *payload, size_t len, struct facts *facts)
{
	engawa_Facts msg;
	if (frame_decode(engawa_Facts_fields, &msg, payload, len) < 0 || msg.kind > UINT8_MAX)
		return -ERR_PROTOCOL;
	*facts = (struct facts){.kind = (uint8_t)msg.kind,
		.build = msg.build,
		.window_mib = msg.window_mib,
		.film = msg.film,
		.stream = msg.stream,
		.received = msg.received};
	if (str_copy(facts->os, sizeof facts->os, msg.os) < 0 ||
		str_copy(facts->computer_name, sizeof facts->computer_name, msg.computer_name) <
			0 ||
		str_copy(facts->locale, sizeof facts->locale, msg.locale) < 0 ||
		str_copy(facts->user, sizeof facts->user, msg.user) < 0)
		return -ERR_PROTOCOL;
	for (; facts->mac_count < msg.mac_count; facts->mac_count++) {
		if (msg.mac[facts->mac_count].size != sizeof facts->macs[0])
			return -ERR_PROTOCOL;
		memcpy(facts->macs[facts->mac_count], msg.mac[facts->mac_count].bytes,
			sizeof facts->macs[0]);
	}
	facts->screen_count = take_screens(facts->screens, msg.monitors, msg.monitors_count);
	return take_proof(&msg, facts);
}

static int
on_facts(struct login_process *p, const uint8_t *payload, size_t len)
{
	uint8_t out[MESSAGE_MAX_BYTES];
	struct facts facts;
	if (p->has_facts || take_facts(payload, len, &facts) < 0)
		return -ERR_PROTOCOL;
	p->has_facts = 1;
	role_send(MSG_FACTS, out, facts_put(&facts, out), -1);
	return 0;
}

/* The message's fields are no larger than ours: the tables say so. */
#define TAKE_BYTES(to, from, field)                                                    \
	do {                                                                           \
		_Static_assert(sizeof(to)->field >= sizeof(from).field.bytes, #field); \
		(to)->field##_len = (from).field.size;                                 \
		memcpy((to)->field, (from).field.bytes, (from).field.size);            \
	} while (0)

static void
take_key(struct reply *reply, const engawa_Reply *msg)
{
	if (msg->has_assertion) {
		TAKE_BYTES(&reply->assertion, msg->assertion, credential);
		TAKE_BYTES(&reply->assertion, msg->assertion, authenticator_data);
		TAKE_BYTES(&reply->assertion, msg->assertion, client_data);
		TAKE_BYTES(&reply->assertion, msg->assertion, signature);
	}
	if (msg->has_key) {
		TAKE_BYTES(&reply->key, msg->key, credential);
		TAKE_BYTES(&reply->key, msg->key, public_key);
		reply->key.algorithm = msg->key.algorithm;
	}
}

static int
on_reply(const uint8_t *payload, size_t len)
{
	uint8_t out[MESSAGE_MAX_BYTES];
	engawa_Reply msg;
	struct reply reply = {0};
	int r = frame_decode(engawa_Reply_fields, &msg, payload, len);
	if (r == 0 &&
		(msg.kind > UINT8_MAX || str_copy(reply.text, sizeof reply.text, msg.text) < 0 ||
			str_copy(reply.user, sizeof reply.user, msg.user) < 0))
		r = -ERR_PROTOCOL;
	reply.kind = (uint8_t)msg.kind;
	reply.proof.certificate_len = msg.certificate.size;
	memcpy(reply.proof.certificate, msg.certificate.bytes, msg.certificate.size);
	reply.proof.signature_len = msg.signature.size;
	memcpy(reply.proof.signature, msg.signature.bytes, msg.signature.size);
	if (r == 0)
		take_key(&reply, &msg);
	if (r == 0)
		role_send(MSG_REPLY, out, reply_put(&reply, out), -1);
	mem_wipe(&msg, sizeof msg);
	mem_wipe(&reply, sizeof reply);
	mem_wipe(out, sizeof out);
	return r;
}

/* What cannot be read is told to the monitor as what it is: the person shall learn why. */
static int
on_posture(const uint8_t *payload, size_t len)
{
	uint8_t out[MESSAGE_MAX_BYTES];
	engawa_Posture msg;
	struct report report = {0};
	if (frame_decode(engawa_Posture_fields, &msg, payload, len) < 0 ||
		report_take(&msg, &report) < 0)
		role_send(MSG_POSTURE, NULL, 0, -1);
	else
		role_send(MSG_POSTURE, out, report_put(&report, out), -1);
	return 0;
}

static int
on_record(void *user, uint8_t type, const uint8_t *payload, size_t len)
{
	struct login_process *p = user;
	if (type == engawa_InnerType_INNER_FACTS)
		return on_facts(p, payload, len);
	if (type == engawa_InnerType_INNER_REPLY && p->has_facts)
		return on_reply(payload, len);
	if (type == engawa_InnerType_INNER_POSTURE && p->has_facts)
		return on_posture(payload, len);
	return -ERR_PROTOCOL;
}

static void
on_closed(void *user, int code)
{
	(void)user;
	_exit(code == -ERR_CLOSED ? 0 : 1);
}

static int
send_prompt(struct login_process *p, const struct prompt *prompt)
{
	engawa_Prompt msg = {.kind = (engawa_PromptKind)prompt->kind,
		.wrong = prompt->wrong,
		.digits = prompt->digits,
		.expires_s = prompt->expires_s,
		.optional = prompt->optional != 0};
	for (int i = 0; i < 2 && prompt->words[i][0]; i++)
		str_copy(msg.words[msg.words_count++], sizeof msg.words[0], prompt->words[i]);
	str_copy(msg.masked_address, sizeof msg.masked_address, prompt->masked_address);
	if (prompt->kind == engawa_PromptKind_PROMPT_CERTIFICATE) {
		msg.challenge.size = sizeof prompt->challenge;
		memcpy(msg.challenge.bytes, prompt->challenge, sizeof prompt->challenge);
	}
	msg.new_address = prompt->new_address;
	msg.person = prompt->person;
	msg.has_webauthn = prompt->rp_id[0] != '\0';
	msg.webauthn.user_verification = prompt->user_verification;
	str_copy(msg.webauthn.rp_id, sizeof msg.webauthn.rp_id, prompt->rp_id);
	str_copy(msg.webauthn.person, sizeof msg.webauthn.person, prompt->key_person);
	return inner_send_message(
		&p->inner, engawa_InnerType_INNER_PROMPT, engawa_Prompt_fields, &msg);
}

static int
send_refused(struct login_process *p, const struct refusal *refusal)
{
	engawa_Refused msg = {.code = refusal->code, .retry_s = refusal->retry_s};
	str_copy(msg.support, sizeof msg.support, refusal->support);
	return inner_send_message(
		&p->inner, engawa_InnerType_INNER_REFUSED, engawa_Refused_fields, &msg);
}

static int
send_start(struct login_process *p, const struct start *start)
{
	engawa_Start msg = {
		.has_layout = true, .idle_s = start->idle_s, .window_mib = start->window_mib};
	msg.layout.width_px = start->layout.width_px;
	msg.layout.height_px = start->layout.height_px;
	for (size_t i = 0; i < start->layout.screen_count; i++) {
		const struct screen *s = &start->layout.screens[i];
		msg.layout.monitors[msg.layout.monitors_count++] = (engawa_Monitor){
			s->x_px, s->y_px, s->width_px, s->height_px, s->scale_percent};
	}
	str_copy(msg.message, sizeof msg.message, start->message);
	str_copy(msg.session_code, sizeof msg.session_code, start->session_code);
	msg.resume_s = start->resume_s;
	msg.own_display = start->own_display != 0;
	msg.stream = start->stream;
	msg.from = start->from;
	msg.resume_ticket.size = (pb_size_t)start->resume_len;
	memcpy(msg.resume_ticket.bytes, start->resume, start->resume_len);
	return inner_send_message(
		&p->inner, engawa_InnerType_INNER_START, engawa_Start_fields, &msg);
}

static int
take_message(struct login_process *p, uint16_t type, const uint8_t *payload, size_t len)
{
	struct prompt prompt;
	struct refusal refusal;
	struct notice notice;
	struct start start;
	if (type == MSG_PROMPT && prompt_get(payload, len, &prompt) == 0)
		return send_prompt(p, &prompt);
	if (type == MSG_NOTICE && notice_get(payload, len, &notice) == 0)
		return inner_send_notice(&p->inner, &notice);
	if (type == MSG_REFUSED && refusal_get(payload, len, &refusal) == 0) {
		int r = send_refused(p, &refusal);
		inner_finish(&p->inner);
		return r;
	}
	if (type == MSG_START && start_get(payload, len, &start) == 0) {
		int r = send_start(p, &start);
		inner_finish(&p->inner);
		return r;
	}
	return -ERR_PROTOCOL;
}

static void
on_monitor(void *user, int ready)
{
	uint8_t payload[MESSAGE_MAX_BYTES];
	uint16_t type;
	(void)ready;
	int n = ipc_recv(ROLE_CHANNEL, &type, payload, sizeof payload, NULL);
	if (n < 0)
		_exit(0);
	if (take_message(user, type, payload, (size_t)n) < 0)
		_exit(2);
}

int
login_main(const struct options *options)
{
	struct loop *loop = loop_new();
	struct login_process p = {
		.inner = {.on_record = on_record, .on_closed = on_closed, .user = &p}};
	uint8_t keys[64];
	EVP_CIPHER_free(EVP_CIPHER_fetch(
		NULL, "AES-256-GCM", NULL)); /* the library reads its files before the sandbox */
	if (role_expect(MSG_KEYS, keys, sizeof keys, NULL) != sizeof keys)
		return 2;
	role_sandbox(options, "login", SANDBOX_IO);
	int r = inner_open(&p.inner, loop, STREAM, RECORD_LOGIN, keys, keys + 32);
	mem_wipe(keys, sizeof keys);
	if (r < 0)
		return 2;
	struct watch *watch = watch_new(loop, ROLE_CHANNEL, on_monitor, &p);
	watch_set(watch, WATCH_READ);
	loop_run(loop);
	return 0;
}
