/*
 * The inner channel up to Start (docs/protocol.md 5 and 6): the handshake, the proof of the
 * terminal ID before anything is said, then the agent's questions in the agent's order. And the
 * records of both phases.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pb_encode.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/wire.h"
#include "client/inside.h"
#include "net/frame.h"

enum {
	PROLOGUE_MAX_BYTES = 1 + 4 + 32 + 16 + TERMINAL_ID_CHARS,
	/* the largest message that a client sends is a Reply with a certificate */
	MESSAGE_MAX_BYTES = 8192,
};

/* The work of the pool: 64 MiB and 0.1 s. It has copies of all it reads, for the session may be
 * gone when it is done. */
struct verify {
	struct session *s; /* NULL when the session is gone */
	uint8_t statement[STATEMENT_MAX_BYTES];
	size_t len;
	char terminal[TERMINAL_ID_SIZE];
	uint8_t agent_key[NOISE_KEY_BYTES];
	int result;
};

struct key_use {
	struct session *s; /* NULL when the session is gone */
	struct security_key_question question;
	int makes, result;
	engawa_Reply reply;
};

int
channel_start(struct session *s)
{
	uint8_t prologue[PROLOGUE_MAX_BYTES], hash[32], out[1 + 4 + 2 + NOISE_MESSAGE1_BYTES];
	const struct resume *back = s->resume.active ? &s->resume : NULL;
	uint8_t suite = back ? NOISE_SUITE_IKPSK2 : NOISE_SUITE_IK;
	uint32_t generation = back ? back->generation : 0; /* 0: the first of a session */
	size_t len = 0;
	ticket_hash(back ? back->ticket : s->ticket, back ? back->len : s->ticket_len, hash);
	struct wr w = wr_init(prologue, sizeof prologue);
	wr_u8(&w, suite);
	wr_u32(&w, generation);
	wr_bytes(&w, hash, sizeof hash);
	wr_bytes(&w, back ? back->id : s->ticket_body.session_id.bytes, 16);
	wr_bytes(&w, s->terminal, TERMINAL_ID_CHARS);
	s->handshake = noise_handshake_new(1, &s->device, s->ticket_body.agent_key.bytes,
		back ? back->psk : NULL, prologue, w.len, NULL);
	if (!s->handshake || w.failed)
		return -ERR_INTERNAL;
	int r = noise_handshake_write(s->handshake, NULL, 0, out + 7, sizeof out - 7, &len);
	if (r < 0)
		return r;
	w = wr_init(out, sizeof out);
	wr_u8(&w, suite);
	wr_u32(&w, generation);
	wr_u16(&w, (uint16_t)len);
	return conn_send(s->conn, out, 7 + len);
}

void
channel_drop(struct session *s)
{
	token_ask_free(s->token_ask);
	s->token_ask = NULL;
	noise_handshake_free(s->handshake);
	s->handshake = NULL;
	noise_cipher_fini(&s->to_agent);
	noise_cipher_fini(&s->from_agent);
	mem_wipe(&s->secrets, sizeof s->secrets);
	if (s->verify)
		s->verify->s = NULL;
	s->verify = NULL;
	s->prompt = engawa_PromptKind_PROMPT_NONE;
}

void
channel_fini(struct session *s)
{
	channel_drop(s);
	resume_fini(s);
	mem_wipe(&s->device, sizeof s->device);
	if (s->key_use)
		s->key_use->s = NULL;
	s->key_use = NULL;
}

static void
run_verify(void *user)
{
	struct verify *v = user;
	engawa_StatementBody body;
	v->result =
		statement_verify(v->statement, v->len, v->terminal, v->agent_key, wall_s(), &body);
}

/* Facts, the first thing that we say. */
static int
say_facts(struct session *s)
{
	int paused = s->state == VERIFY;
	session_reached(s, SESSION_CHANNEL);
	s->state = LOGIN;
	timer_start(s->deadline, ANSWER_MS, 0);
	if (paused)
		conn_resume(s->conn);
	const struct session *whole = s->resume.of ? s->resume.of : s;
	int has_stream = whole->decoder && !whole->broken;
	s->facts.stream = has_stream ? whole->stream : 0;
	s->facts.received = has_stream ? whole->received : 0;
	return record_send(s, engawa_InnerType_INNER_FACTS, engawa_Facts_fields, &s->facts);
}

static void
put_proof(engawa_Facts *facts, const uint8_t *point, const uint8_t *raw)
{
	facts->device_key.size = SIGN_POINT_BYTES;
	memcpy(facts->device_key.bytes, point, SIGN_POINT_BYTES);
	facts->device_proof.size = SIGN_RAW_BYTES;
	memcpy(facts->device_proof.bytes, raw, SIGN_RAW_BYTES);
}

static void
on_token(void *user, int code, const struct token_answer *answer)
{
	struct session *s = user;
	token_ask_free(s->token_ask);
	s->token_ask = NULL;
	if (code == 0 && answer->is_rsa)
		code = -ERR_TOKEN_NONE; /* not a key for this */
	if (code == 0) {
		put_proof(&s->facts, answer->point, answer->signature);
		code = say_facts(s);
	}
	if (code < 0)
		session_fail(s, code, "the device's key on the token");
}

/* Signs the hash of this handshake: what is signed is worth nothing in another session. */
static int
prove_device(struct session *s)
{
	uint8_t point[SIGN_POINT_BYTES], raw[SIGN_RAW_BYTES];
	int r;
	if (s->token) {
		struct token_question question = *s->token;
		r = sign_digest(
			DEVICE_PURPOSE, s->secrets.hash, sizeof s->secrets.hash, question.digest);
		if (r == 0)
			s->token_ask = token_ask_new(s->loop, &question, TOKEN_ASK_MS, on_token, s);
		mem_wipe(&question, sizeof question);
		if (s->state != VERIFY) {
			s->state = VERIFY;
			timer_stop(s->deadline);
			conn_pause(s->conn);
		}
		return r < 0 ? r : s->token_ask ? 0 : -ERR_TOKEN_FAILED;
	}
	if (!s->proof_key)
		return say_facts(s);
	r = sign_key_point(s->proof_key, point);
	if (r == 0)
		r = sign_raw(
			s->proof_key, DEVICE_PURPOSE, s->secrets.hash, sizeof s->secrets.hash, raw);
	if (r < 0)
		return r;
	put_proof(&s->facts, point, raw);
	return say_facts(s);
}

/* The other side is the one that was asked for: now it may know who we are. */
static int
login_start(struct session *s)
{
	int r = noise_handshake_split(s->handshake, &s->secrets);
	if (r < 0)
		return r;
	noise_handshake_free(s->handshake);
	s->handshake = NULL;
	r = noise_cipher_init(&s->to_agent, s->secrets.login_client);
	if (r == 0)
		r = noise_cipher_init(&s->from_agent, s->secrets.login_agent);
	if (r < 0)
		return r;
	noise_words(s->secrets.hash, s->words);
	memcpy(s->hash, s->secrets.hash, sizeof s->hash);
	return prove_device(s);
}

static void
on_verified(void *user)
{
	struct verify *v = user;
	struct session *s = v->s;
	int r = v->result;
	mem_wipe_free(v, sizeof *v);
	if (!s)
		return;
	s->verify = NULL;
	if (r == 0)
		r = login_start(s);
	if (r < 0)
		session_fail(s, r, "the agent's proof of the terminal ID");
}

int
channel_data(struct session *s, const uint8_t *data, size_t len)
{
	struct rd r = rd_init(data, len);
	size_t message_len = rd_u16(&r);
	if (!r.failed && message_len > STATEMENT_MAX_BYTES + NOISE_MESSAGE2_OVERHEAD_BYTES)
		return -ERR_TOO_LONG;
	const uint8_t *message = rd_bytes(&r, message_len);
	if (r.failed)
		return 0;
	struct verify *v = mem_array(1, sizeof *v);
	if (!v)
		return -ERR_INTERNAL;
	int result = noise_handshake_read(
		s->handshake, message, message_len, v->statement, sizeof v->statement, &v->len);
	if (result < 0) {
		free(v);
		return result;
	}
	if (s->resume.active) {
		/* that it has our key proves more than a statement: it is the very same agent */
		size_t rest = v->len;
		mem_wipe_free(v, sizeof *v);
		result = rest ? -ERR_PROTOCOL : login_start(s);
		return result < 0 ? result : (int)(2 + message_len);
	}
	v->s = s;
	memcpy(v->terminal, s->terminal, sizeof v->terminal);
	memcpy(v->agent_key, s->ticket_body.agent_key.bytes, sizeof v->agent_key);
	s->verify = v;
	s->state = VERIFY;
	timer_stop(s->deadline);
	conn_pause(s->conn);
	loop_work(s->loop, run_verify, on_verified, v);
	return (int)(2 + message_len);
}

int
record_send(struct session *s, uint8_t type, const pb_msgdesc_t *fields, const void *msg)
{
	uint8_t payload[MESSAGE_MAX_BYTES], wire[MESSAGE_MAX_BYTES + 1024];
	enum record_padding padding = s->state == LOGIN ? RECORD_LOGIN : RECORD_CLIENT;
	pb_ostream_t stream = pb_ostream_from_buffer(payload, sizeof payload);
	int r = -ERR_TOO_LONG;
	if (pb_encode(&stream, fields, msg))
		r = record_seal(&s->to_agent, padding, type, payload, stream.bytes_written, wire,
			sizeof wire);
	if (r > 0)
		r = conn_send(s->conn, wire, (size_t)r);
	mem_wipe(payload, sizeof payload);
	return r;
}

/* Of the kinds that this client can put to a person. */
static int
is_prompt(engawa_PromptKind kind)
{
	return (kind >= engawa_PromptKind_PROMPT_MAIL_CODE &&
		       kind <= engawa_PromptKind_PROMPT_PAIRING) ||
	       kind == engawa_PromptKind_PROMPT_CERTIFICATE;
}

static int
is_key(engawa_PromptKind kind)
{
	return kind == engawa_PromptKind_PROMPT_WEBAUTHN ||
	       kind == engawa_PromptKind_PROMPT_WEBAUTHN_NEW;
}

static int
on_prompt(struct session *s, const uint8_t *payload, size_t len)
{
	engawa_Prompt prompt;
	int r = frame_decode(engawa_Prompt_fields, &prompt, payload, len);
	if (r < 0)
		return r;
	if (s->resume.active || s->prompt || s->gather)
		return -ERR_PROTOCOL; /* who comes back has answered everything */
	if (prompt.kind == engawa_PromptKind_PROMPT_POSTURE) {
		report_asked(s, prompt.expires_s);
		return 0;
	}
	int is_certificate = prompt.kind == engawa_PromptKind_PROMPT_CERTIFICATE;
	if ((is_key(prompt.kind) && !prompt.has_webauthn) || !is_prompt(prompt.kind))
		return -ERR_PROTOCOL;
	if (is_certificate && prompt.challenge.size != sizeof s->challenge)
		return -ERR_PROTOCOL;
	if (is_certificate)
		memcpy(s->challenge, prompt.challenge.bytes, sizeof s->challenge);
	s->prompt = prompt.kind;
	s->webauthn = prompt.webauthn;
	timer_stop(s->deadline); /* a person has time; how much, the agent says */
	s->events->prompt(s->user, &prompt, s->words);
	return 0;
}

static int
on_refused(struct session *s, const uint8_t *payload, size_t len)
{
	engawa_Refused refused;
	int r = frame_decode(engawa_Refused_fields, &refused, payload, len);
	if (r < 0)
		return r;
	s->retry_s = refused.retry_s;
	memcpy(s->support, refused.support, sizeof s->support);
	session_over(s, err_find((int)refused.code) ? -(int)refused.code : -ERR_PROTOCOL, 1);
	return 0;
}

/* Both sides change to the work keys; the login keys are gone. */
static int
on_start(struct session *s, const uint8_t *payload, size_t len)
{
	engawa_Start start;
	int r = frame_decode(engawa_Start_fields, &start, payload, len);
	if (r < 0)
		return r;
	if (s->prompt || s->gather)
		return -ERR_PROTOCOL;
	noise_cipher_fini(&s->to_agent);
	noise_cipher_fini(&s->from_agent);
	r = noise_cipher_init(&s->to_agent, s->secrets.work_client);
	if (r == 0)
		r = noise_cipher_init(&s->from_agent, s->secrets.work_agent);
	resume_take(s, &start);
	mem_wipe(&s->secrets, sizeof s->secrets);
	timer_stop(s->deadline);
	if (r < 0)
		return r;
	return s->resume.of ? resume_switch(s, &start) : work_start(s, &start);
}

/* Wipes it. */
static int
send_reply(struct session *s, engawa_Reply *reply)
{
	reply->kind = s->prompt;
	s->prompt = engawa_PromptKind_PROMPT_NONE;
	int r = record_send(s, engawa_InnerType_INNER_REPLY, engawa_Reply_fields, reply);
	mem_wipe(reply, sizeof *reply);
	if (r < 0)
		session_over(s, r, 0);
	else
		timer_start(s->deadline, ANSWER_MS, 0);
	return 0;
}

int
session_certificate_digest(const struct session *s, const void *certificate, size_t len,
	uint8_t ret_digest[static HOLDER_DIGEST_BYTES])
{
	if (s->state != LOGIN || s->prompt != engawa_PromptKind_PROMPT_CERTIFICATE)
		return -ERR_PROTOCOL;
	holder_digest(s->secrets.hash, s->challenge, certificate, len, ret_digest);
	return 0;
}

int
session_reply_certificate(struct session *s, const struct holder_proof *proof)
{
	engawa_Reply reply = {.kind = s->prompt};
	if (s->state != LOGIN || s->prompt != engawa_PromptKind_PROMPT_CERTIFICATE)
		return -ERR_PROTOCOL;
	reply.certificate.size = (pb_size_t)proof->certificate_len;
	memcpy(reply.certificate.bytes, proof->certificate, proof->certificate_len);
	reply.signature.size = (pb_size_t)proof->signature_len;
	memcpy(reply.signature.bytes, proof->signature, proof->signature_len);
	send_reply(s, &reply);
	return 0;
}

int
session_reply_as(struct session *s, const char *text, const char *user)
{
	engawa_Reply reply = engawa_Reply_init_zero;
	if (s->state != LOGIN || !s->prompt || s->key_use || !str_utf8(text, strlen(text)) ||
		!str_utf8(user, strlen(user)))
		return -ERR_PROTOCOL;
	if (str_copy(reply.text, sizeof reply.text, text) < 0 ||
		str_copy(reply.user, sizeof reply.user, user) < 0) {
		mem_wipe(&reply, sizeof reply);
		return -ERR_TOO_LONG;
	}
	return send_reply(s, &reply);
}

int
session_reply(struct session *s, const char *text)
{
	return session_reply_as(s, text, "");
}

/* ---- security keys: they wait for a touch, on a thread of the pool ---- */

static void
run_key(void *user)
{
	struct key_use *k = user;
	k->reply = (engawa_Reply)engawa_Reply_init_zero;
	k->result = k->makes ? security_key_make(&k->question, &k->reply.key)
			     : security_key_sign(&k->question, &k->reply.assertion);
	k->reply.has_key = k->makes;
	k->reply.has_assertion = !k->makes;
}

static void
on_key(void *user)
{
	struct key_use *k = user;
	struct session *s = k->s;
	if (s) {
		s->key_use = NULL;
		if (k->result == 0)
			send_reply(s, &k->reply);
		else
			s->events->key_failed(s->user, k->result);
	}
	mem_wipe_free(k, sizeof *k);
}

int
session_use_key(struct session *s, const char *pin, security_key_open_fn *open, void *open_user)
{
	if (s->state != LOGIN || s->key_use || !is_key(s->prompt))
		return -ERR_PROTOCOL;
	struct key_use *k = mem_array(1, sizeof *k);
	if (!k)
		return -ERR_INTERNAL;
	if (str_copy(k->question.pin, sizeof k->question.pin, pin) < 0) {
		free(k);
		return -ERR_TOO_LONG;
	}
	k->s = s;
	k->makes = s->prompt == engawa_PromptKind_PROMPT_WEBAUTHN_NEW;
	k->question.asked = s->webauthn;
	k->question.open = open;
	k->question.user = open_user;
	memcpy(k->question.hash, s->hash, sizeof k->question.hash);
	_Static_assert(sizeof k->question.terminal >= sizeof s->terminal, "it fits");
	memcpy(k->question.terminal, s->terminal, sizeof s->terminal);
	s->key_use = k;
	loop_work(s->loop, run_key, on_key, k);
	return 0;
}

/* What may come in which phase; everything else ends the session. */
static const struct {
	enum state state;
	engawa_InnerType type;
	int (*handle)(struct session *s, const uint8_t *payload, size_t len);
} order[] = {
	{LOGIN, engawa_InnerType_INNER_PROMPT, on_prompt},
	{LOGIN, engawa_InnerType_INNER_NOTICE, work_notice},
	{LOGIN, engawa_InnerType_INNER_REFUSED, on_refused},
	{LOGIN, engawa_InnerType_INNER_START, on_start},
	{WORK, engawa_InnerType_INNER_FRAME, work_frame},
	{WORK, engawa_InnerType_INNER_CURSOR, work_cursor},
	{WORK, engawa_InnerType_INNER_LAYOUT, work_layout},
	{WORK, engawa_InnerType_INNER_NOTICE, work_notice},
	{WORK, engawa_InnerType_INNER_PONG, work_pong},
	{WORK, engawa_InnerType_INNER_END, work_end},
};

int
record_data(struct session *s, const uint8_t *data, size_t len)
{
	uint8_t type;
	const uint8_t *payload;
	size_t payload_len;
	int used = record_open(&s->from_agent, data, len, s->plain, &type, &payload, &payload_len);
	if (used <= 0)
		return used;
	for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
		if (order[i].state == s->state && order[i].type == type) {
			int r = order[i].handle(s, payload, payload_len);
			return r < 0 ? r : used;
		}
	}
	return -ERR_PROTOCOL;
}
