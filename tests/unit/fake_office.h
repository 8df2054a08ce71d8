/*
 * A gate and an agent in one, on loopback, for tests of the client: honest by default, and wrong in
 * exactly the way a test asks for. It notes the types of all records that reach it, so that a test
 * can say what was never sent.
 */
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pb_encode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "base/wire.h"
#include "crypto/record.h"
#include "crypto/terminal.h"
#include "crypto/ticket.h"
#include "crypto/tls.h"
#include "inner.pb.h"
#include "net/conn.h"
#include "net/frame.h"
#include "outer.pb.h"
#include "pki.h"
#include "screen/encode.h"

struct office {
	/* set before the client comes */
	struct pki *pki;
	const struct orgfile *org;
	EVP_PKEY *ticket_key, *gate_key;
	struct ssl_ctx_st *tls;
	struct noise_keypair agent_key; /* of the handshake */
	uint8_t statement[SIGN_ENVELOPE_MAX_BYTES];
	size_t statement_len;
	uint8_t session_id[16];

	/* how to be wrong; all zero = honest */
	uint32_t hello_version, grant_code, bye_code, refuse_code;
	engawa_Role hello_role;
	int bye_first_only; /* bye_code for the first connection only */
	int joined_early, joined_other, silent_after_join, damage_message2;
	const uint8_t *ticket_agent_key; /* in the ticket */
	const uint8_t *ticket_device_hash;
	const char *ticket_organisation;
	EVP_PKEY *ticket_signer;
	int ticket_garbage;
	void (*on_facts)(struct office *o); /* instead of the login */
	void (*on_started)(struct office *o);
	int silent; /* after Start: no Pong */

	/* what happened */
	struct loop *loop;
	int listener;
	uint16_t port;
	struct watch *watch;
	struct conn *conn;
	int connections, in_channel;
	struct noise_handshake *handshake;
	struct noise_secrets secrets;
	struct noise_cipher to_client, from_client;
	int working;
	uint8_t ticket[TICKET_MAX_BYTES];
	size_t ticket_len;
	char outer[32], inner[256]; /* types that came, as letters: 'A' + type */
	char typed[1024];
	engawa_Facts facts;
	struct mono last_key;
	size_t bytes_after_message1;
	struct encoder *encoder;
	struct image image;
	uint32_t seq;
	uint8_t plain[RECORD_PLAIN_MAX_BYTES];
};

static inline void
office_note(char *log, size_t size, unsigned type)
{
	size_t len = strlen(log);
	if (len + 1 < size) {
		log[len] = (char)('A' + type);
		log[len + 1] = '\0';
	}
}

/* A record with these exact bytes, honest or not. */
static inline void
office_raw(struct office *o, uint8_t type, const void *payload, size_t len)
{
	static uint8_t wire[RECORD_WIRE_MAX_BYTES];
	int n = record_seal(&o->to_client, o->working ? RECORD_AGENT_256 : RECORD_LOGIN, type, payload,
		len, wire, sizeof wire);
	pki_must(n > 0);
	if (o->conn)
		conn_send(o->conn, wire, (size_t)n);
}

static inline void
office_send(struct office *o, uint8_t type, const pb_msgdesc_t *fields, const void *msg)
{
	static uint8_t payload[61000];
	pb_ostream_t stream = pb_ostream_from_buffer(payload, sizeof payload);
	pki_must(pb_encode(&stream, fields, msg));
	office_raw(o, type, payload, stream.bytes_written);
}

static inline void
office_prompt(struct office *o, engawa_PromptKind kind)
{
	engawa_Prompt prompt = {.kind = kind, .digits = 8, .expires_s = 300};
	office_send(o, engawa_InnerType_INNER_PROMPT, engawa_Prompt_fields, &prompt);
}

static inline void
office_refuse(struct office *o, uint32_t code)
{
	engawa_Refused refused = {.code = code, .support = "Extension 42", .retry_s = 7};
	office_send(o, engawa_InnerType_INNER_REFUSED, engawa_Refused_fields, &refused);
}

static inline void
office_work_keys(struct office *o)
{
	noise_cipher_fini(&o->to_client);
	noise_cipher_fini(&o->from_client);
	pki_must(noise_cipher_init(&o->to_client, o->secrets.work_agent) == 0);
	pki_must(noise_cipher_init(&o->from_client, o->secrets.work_client) == 0);
	o->working = 1;
}

/* The whole image as the next picture. */
static inline void
office_picture(struct office *o)
{
	static engawa_Frame frame;
	struct rect all = {0, 0, o->image.width, o->image.height};
	int last = 0;
	encoder_start(o->encoder, ++o->seq, &o->image,
		&(struct encode_change){.rects = &all, .rect_count = 1});
	while (!last) {
		int n = encoder_next(o->encoder, frame.data.bytes, sizeof frame.data.bytes, &last);
		pki_must(n >= 0);
		frame.seq = o->seq;
		frame.last = last != 0;
		frame.data.size = (pb_size_t)n;
		office_send(o, engawa_InnerType_INNER_FRAME, engawa_Frame_fields, &frame);
	}
}

static inline void
office_start(struct office *o, uint32_t window_mib)
{
	engawa_Start start = {.has_layout = true,
		.layout = {.width_px = o->image.width, .height_px = o->image.height},
		.session_code = "S-1",
		.window_mib = window_mib};
	office_send(o, engawa_InnerType_INNER_START, engawa_Start_fields, &start);
	office_work_keys(o);
	if (o->on_started)
		o->on_started(o);
	else
		office_picture(o);
}

static inline void
office_reply(struct office *o, const uint8_t *payload, size_t len)
{
	engawa_Reply reply;
	pki_must(frame_decode(engawa_Reply_fields, &reply, payload, len) == 0);
	if (reply.kind == engawa_PromptKind_PROMPT_MAIL_CODE) {
		if (strcmp(reply.text, "12345678") == 0)
			office_prompt(o, engawa_PromptKind_PROMPT_PASSWORD);
		else
			office_refuse(o, ERR_CODE_WRONG);
	} else if (strcmp(reply.text, "ひみつ") == 0) {
		office_start(o, 8);
	} else {
		office_refuse(o, ERR_PASSWORD_WRONG);
	}
}

static inline void
office_key(struct office *o, const uint8_t *payload, size_t len)
{
	engawa_Key key;
	char text[32];
	pki_must(frame_decode(engawa_Key_fields, &key, payload, len) == 0);
	o->last_key = mono_now();
	snprintf(text, sizeof text, "%c%x", key.down ? '+' : '-', (unsigned)key.keysym);
	strncat(o->typed, text, sizeof o->typed - strlen(o->typed) - 1);
}

static inline void
office_text(struct office *o, const uint8_t *payload, size_t len)
{
	engawa_Text text;
	pki_must(frame_decode(engawa_Text_fields, &text, payload, len) == 0);
	strncat(o->typed, text.text, sizeof o->typed - strlen(o->typed) - 1);
}

static inline void
office_pointer(struct office *o, const uint8_t *payload, size_t len)
{
	engawa_Pointer p;
	char text[48];
	pki_must(frame_decode(engawa_Pointer_fields, &p, payload, len) == 0);
	snprintf(text, sizeof text, "(%u,%u:%u)", (unsigned)p.x_px, (unsigned)p.y_px,
		(unsigned)p.buttons);
	strncat(o->typed, text, sizeof o->typed - strlen(o->typed) - 1);
}

static inline void
office_record(struct office *o, uint8_t type, const uint8_t *payload, size_t len)
{
	engawa_InnerPing ping;
	engawa_InnerPong pong;
	office_note(o->inner, sizeof o->inner, type);
	switch (type) {
	case engawa_InnerType_INNER_FACTS:
		pki_must(frame_decode(engawa_Facts_fields, &o->facts, payload, len) == 0);
		if (o->on_facts)
			o->on_facts(o);
		else
			office_prompt(o, engawa_PromptKind_PROMPT_MAIL_CODE);
		break;
	case engawa_InnerType_INNER_REPLY:
		office_reply(o, payload, len);
		break;
	case engawa_InnerType_INNER_KEY:
		office_key(o, payload, len);
		break;
	case engawa_InnerType_INNER_TEXT:
		office_text(o, payload, len);
		break;
	case engawa_InnerType_INNER_POINTER:
		office_pointer(o, payload, len);
		break;
	case engawa_InnerType_INNER_PING:
		pki_must(frame_decode(engawa_InnerPing_fields, &ping, payload, len) == 0);
		pong.id = ping.id;
		if (!o->silent)
			office_send(o, engawa_InnerType_INNER_PONG, engawa_InnerPong_fields, &pong);
		break;
	default:
		break;
	}
}

static inline size_t
office_handshake(struct office *o, const uint8_t *data, size_t len)
{
	uint8_t prologue[128], hash[32], out[SIGN_ENVELOPE_MAX_BYTES + 64], none[1];
	const char *id =
		(const char *)o->typed; /* the terminal ID is kept there until the session works */
	size_t n, message_len = 1 + 4 + 2 + NOISE_MESSAGE1_BYTES;
	if (len < message_len)
		return 0;
	ticket_hash(o->ticket, o->ticket_len, hash);
	struct wr w = wr_init(prologue, sizeof prologue);
	wr_bytes(&w, data, 5);
	wr_bytes(&w, hash, sizeof hash);
	wr_bytes(&w, o->session_id, sizeof o->session_id);
	wr_bytes(&w, id, TERMINAL_ID_CHARS);
	o->handshake = noise_handshake_new(0, &o->agent_key, NULL, NULL, prologue, w.len, NULL);
	if (noise_handshake_read(
		    o->handshake, data + 7, NOISE_MESSAGE1_BYTES, none, sizeof none, &n) < 0) {
		/* not for this key: an attacker in the middle answers with anything it can make */
		memset(out, 0x42, sizeof out);
		out[0] = 0;
		out[1] = 200;
		conn_send(o->conn, out, 202);
		o->in_channel = 2;
		return message_len;
	}
	pki_must(noise_handshake_write(o->handshake, o->statement, o->statement_len, out + 2,
			 sizeof out - 2, &n) == 0);
	out[0] = (uint8_t)(n >> 8);
	out[1] = (uint8_t)n;
	if (o->damage_message2)
		out[n] ^= 1;
	conn_send(o->conn, out, n + 2);
	pki_must(noise_handshake_split(o->handshake, &o->secrets) == 0);
	pki_must(noise_cipher_init(&o->to_client, o->secrets.login_agent) == 0);
	pki_must(noise_cipher_init(&o->from_client, o->secrets.login_client) == 0);
	o->typed[0] = '\0';
	o->in_channel = 2;
	return message_len;
}

static inline void
office_grant(struct office *o, const engawa_Ask *ask)
{
	engawa_Grant grant = {.code = o->grant_code};
	engawa_TicketBody body = {.session_id.size = 16,
		.agent_id.size = 16,
		.agent_key.size = 32,
		.device_hash.size = 32,
		.issued_s = wall_s(),
		.not_after_s = wall_s() + TICKET_LIFE_S,
		.gates_count = 1,
		.gates = {"gate-1"}};
	memcpy(o->typed, ask->terminal_id, TERMINAL_ID_SIZE);
	memcpy(body.session_id.bytes, o->session_id, 16);
	memcpy(body.agent_key.bytes,
		o->ticket_agent_key ? o->ticket_agent_key : o->agent_key.public, 32);
	memcpy(body.device_hash.bytes,
		o->ticket_device_hash ? o->ticket_device_hash : ask->device_hash.bytes, 32);
	str_copy(body.organisation, sizeof body.organisation,
		o->ticket_organisation ? o->ticket_organisation : o->org->id);
	pki_must(ticket_issue(o->ticket_signer ? o->ticket_signer : o->ticket_key, &body, o->ticket,
			 sizeof o->ticket, &o->ticket_len) == 0);
	if (o->ticket_garbage)
		memset(o->ticket, 0xff, o->ticket_len);
	if (!o->grant_code) {
		memcpy(grant.ticket.bytes, o->ticket, o->ticket_len);
		grant.ticket.size = (pb_size_t)o->ticket_len;
	}
	frame_send(o->conn, engawa_OuterType_OUTER_GRANT, engawa_Grant_fields, &grant);
}

static inline void
office_joined(struct office *o)
{
	engawa_Joined joined = {.session_id.size = 16};
	memcpy(joined.session_id.bytes, o->session_id, 16);
	joined.session_id.bytes[0] ^= (uint8_t)o->joined_other;
	frame_send(o->conn, engawa_OuterType_OUTER_JOINED, engawa_Joined_fields, &joined);
}

static inline void
office_frame(struct office *o, uint8_t type, const uint8_t *payload, size_t len)
{
	engawa_Hello hello = {.version = o->hello_version ? o->hello_version : 1,
		.role = o->hello_role ? o->hello_role : engawa_Role_ROLE_GATE};
	engawa_Bye bye = {.code = o->bye_code};
	engawa_Ask ask;
	office_note(o->outer, sizeof o->outer, type);
	if (type == engawa_OuterType_OUTER_HELLO) {
		if (o->bye_code && (!o->bye_first_only || o->connections == 1))
			frame_send(o->conn, engawa_OuterType_OUTER_BYE, engawa_Bye_fields, &bye);
		else if (o->joined_early)
			office_joined(o);
		else
			frame_send(
				o->conn, engawa_OuterType_OUTER_HELLO, engawa_Hello_fields, &hello);
	} else if (type == engawa_OuterType_OUTER_ASK) {
		pki_must(frame_decode(engawa_Ask_fields, &ask, payload, len) == 0);
		office_grant(o, &ask);
	} else if (type == engawa_OuterType_OUTER_JOIN) {
		if (!o->silent_after_join)
			office_joined(o);
		o->in_channel = 1;
	}
}

static inline size_t
office_data(void *user, const uint8_t *data, size_t len)
{
	struct office *o = user;
	uint8_t type;
	const uint8_t *payload;
	size_t payload_len;
	int used;
	if (o->in_channel == 1)
		return office_handshake(o, data, len);
	if (o->in_channel == 2)
		o->bytes_after_message1 += len;
	if (o->in_channel == 2 && !o->from_client.context)
		return len; /* the attacker who has no key */
	if (o->in_channel == 2) {
		used = record_open(
			&o->from_client, data, len, o->plain, &type, &payload, &payload_len);
		if (used < 0)
			return len; /* an honest agent would close here; this one lets the client
				       find out */
		if (used > 0)
			office_record(o, type, payload, payload_len);
		return (size_t)used;
	}
	used = frame_parse(data, len, FRAME_MAX_BYTES, &type, &payload, &payload_len);
	pki_must(used >= 0);
	if (used > 0)
		office_frame(o, type, payload, payload_len);
	return (size_t)used;
}

static inline void
office_ready(void *user)
{
	(void)user;
}

static inline void
office_closed(void *user, int code)
{
	struct office *o = user;
	(void)code;
	conn_free(o->conn);
	o->conn = NULL;
}

static const struct conn_events office_events = {office_ready, office_data, NULL, office_closed};

static inline void
office_accept(void *user, int ready)
{
	struct office *o = user;
	(void)ready;
	int fd = accept4(o->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	conn_free(o->conn); /* the client has moved on */
	o->in_channel = 0;
	o->connections++;
	o->conn = conn_new(o->loop, fd, o->tls, NULL, 1, 10000, &office_events, o);
}

static inline void
office_open(struct office *o, struct loop *loop)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof sa;
	o->loop = loop;
	o->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	pki_must(
		bind(o->listener, (struct sockaddr *)&sa, len) == 0 && listen(o->listener, 8) == 0);
	pki_must(getsockname(o->listener, (struct sockaddr *)&sa, &len) == 0);
	o->port = ntohs(sa.sin_port);
	o->watch = watch_new(loop, o->listener, office_accept, o);
	watch_set(o->watch, WATCH_READ);
	pki_must(encoder_new(8, NULL, &o->encoder) == 0 && image_init(&o->image, 64, 48) == 0);
	for (size_t i = 0; i < o->image.stride * o->image.height; i++)
		o->image.bytes[i] = (uint8_t)(i * 7 + i / 251);
}

static inline void
office_close(struct office *o)
{
	conn_free(o->conn);
	watch_free(o->watch);
	close(o->listener);
	noise_handshake_free(o->handshake);
	noise_cipher_fini(&o->to_client);
	noise_cipher_fini(&o->from_client);
	encoder_free(o->encoder);
	image_fini(&o->image);
}
