/* An office PC behind a gate (fake_office.h) and a client/session that it is tried on, for the
 * tests of sessions. */
#pragma once
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "client/facts.h"
#include "client/session.h"
#include "fake_office.h"

static struct loop *loop;
static struct pki pki;
static struct orgfile org;
static EVP_PKEY *anchor, *ticket_key, *gate_key;
static struct ssl_ctx_st *gate_tls;
static struct noise_keypair agent_key, device;
static uint8_t salt[TERMINAL_SALT_BYTES] = {1, 2, 3};
static char terminal[TERMINAL_ID_SIZE];

static struct office office;
static struct session *session;
static char log_text[64];
static const char *code_text, *password_text;
static int ended, end_code, free_at;
static void (*on_first_picture)(void);

static inline void
issue(EVP_PKEY *by, const uint8_t key[32], uint64_t not_after_s)
{
	engawa_StatementBody body = {.anchor_key.size = SIGN_POINT_BYTES,
		.salt.size = sizeof salt,
		.agent_key.size = 32,
		.agent_id.size = 16,
		.not_after_s = not_after_s};
	pki_must(sign_key_point(by, body.anchor_key.bytes) == 0);
	memcpy(body.salt.bytes, salt, sizeof salt);
	memcpy(body.agent_key.bytes, key, 32);
	pki_must(statement_issue(by, &body, office.statement, sizeof office.statement,
			 &office.statement_len) == 0);
}

static inline int
group_set_up(void **state)
{
	uint8_t point[SIGN_POINT_BYTES];
	(void)state;
	pki_init(&pki);
	anchor = sign_key_generate();
	ticket_key = sign_key_generate();
	gate_key = sign_key_generate();
	X509 *cert = pki_gate(&pki, "127.0.0.1", gate_key, 0);
	gate_tls = tls_incoming(cert, gate_key, &pki.issuer, 1);
	cert_free(cert);
	pki_must(noise_keypair_generate(&agent_key) == 0 && noise_keypair_generate(&device) == 0);
	pki_must(sign_key_point(anchor, point) == 0);
	return gate_tls && terminal_id_derive(point, salt, terminal) == 0 ? 0 : -1;
}

static inline int
group_tear_down(void **state)
{
	(void)state;
	tls_free(gate_tls);
	sign_key_free(anchor);
	sign_key_free(ticket_key);
	sign_key_free(gate_key);
	pki_fini(&pki);
	return 0;
}

static inline int
set_up(void **state)
{
	(void)state;
	loop = loop_new();
	office = (struct office){.pki = &pki,
		.org = &org,
		.ticket_key = ticket_key,
		.tls = gate_tls,
		.agent_key = agent_key,
		.session_id = {9, 9, 9}};
	issue(anchor, agent_key.public, wall_s() + 3600);
	office_open(&office, loop);
	org = pki.org; /* borrowed: never finished */
	strcpy(org.id, "city");
	strcpy(org.support, "Room 101");
	org.gate_count = 1;
	strcpy(org.gates[0].name, "gate-1");
	str_print(org.gates[0].target, sizeof org.gates[0].target, "127.0.0.1:%u", office.port);
	org.ticket_key_count = 1;
	pki_must(sign_key_point(ticket_key, org.ticket_keys[0]) == 0);
	log_text[0] = '\0';
	code_text = "12345678";
	password_text = "ひみつ";
	ended = end_code = free_at = 0;
	on_first_picture = NULL;
	session = NULL;
	return 0;
}

static inline int
tear_down(void **state)
{
	(void)state;
	session_free(session);
	office_close(&office);
	loop_free(loop);
	return 0;
}

static inline int
note(char event)
{
	size_t len = strlen(log_text);
	if (len + 1 < sizeof log_text) {
		log_text[len] = event;
		log_text[len + 1] = '\0';
	}
	if (free_at != event)
		return 0;
	session_free(session);
	session = NULL;
	loop_stop(loop);
	return 1;
}

static inline void
on_prompt(void *user, const engawa_Prompt *prompt, const char *const words[2])
{
	(void)user;
	const char *ours[2];
	if (note(prompt->kind == engawa_PromptKind_PROMPT_MAIL_CODE ? 'm' : 'w'))
		return;
	noise_words(office.secrets.hash, ours);
	assert_string_equal(words[0], ours[0]);
	assert_string_equal(words[1], ours[1]);
	assert_int_equal(session_key(session, 4, 'a', 1), -ERR_CLOSED);
	if (!code_text)
		return; /* the person thinks */
	assert_int_equal(session_reply(session, prompt->kind == engawa_PromptKind_PROMPT_MAIL_CODE
							? code_text
							: password_text),
		0);
	assert_int_equal(session_reply(session, "again"), -ERR_PROTOCOL);
}

static inline void
on_started(void *user, const engawa_Start *start)
{
	(void)user;
	assert_string_equal(start->session_code, "S-1");
	if (note('s'))
		return;
	assert_int_equal(session_image(session)->width, 64);
}

static inline void
on_picture(void *user)
{
	(void)user;
	if (note('p') || !on_first_picture)
		return;
	void (*fn)(void) = on_first_picture;
	on_first_picture = NULL;
	fn();
}

static inline void
on_layout(void *user, const engawa_Layout *layout)
{
	(void)user;
	(void)layout;
	note('l');
}

static inline void
on_cursor(void *user, const engawa_Cursor *cursor)
{
	(void)user;
	(void)cursor;
	note('c');
}

static inline void
on_ended(void *user, int code)
{
	(void)user;
	assert_false(ended);
	ended = 1;
	end_code = code;
	if (!note('e'))
		loop_stop(loop);
}

static const struct session_events events = {.prompt = on_prompt,
	.started = on_started,
	.picture = on_picture,
	.layout = on_layout,
	.cursor = on_cursor,
	.ended = on_ended};

static inline void
run(void)
{
	struct session_settings settings = {.org = &org, .device = device};
	memcpy(settings.terminal, terminal, sizeof terminal);
	facts_collect(1920, 1080, &settings.facts);
	session = session_new(loop, &settings, &events, NULL);
	assert_non_null(session);
	assert_false(ended);
	loop_run(loop);
}

static inline void
end_session(void)
{
	session_end(session);
}
