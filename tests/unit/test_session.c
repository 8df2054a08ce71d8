/* client/session against an office PC, honest and otherwise. */
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
static struct timer *timer;
static char log_text[64];
static const char *code_text, *password_text;
static int ended, end_code, free_at;
static void (*on_first_picture)(void);

static void
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

static int
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

static int
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

static int
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

static int
tear_down(void **state)
{
	(void)state;
	session_free(session);
	office_close(&office);
	loop_free(loop);
	return 0;
}

static int
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

static void
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

static void
on_started(void *user, const engawa_Start *start)
{
	(void)user;
	assert_string_equal(start->session_code, "S-1");
	if (note('s'))
		return;
	assert_int_equal(session_image(session)->width, 64);
}

static void
on_picture(void *user)
{
	(void)user;
	if (note('p') || !on_first_picture)
		return;
	void (*fn)(void) = on_first_picture;
	on_first_picture = NULL;
	fn();
}

static void
on_layout(void *user, const engawa_Layout *layout)
{
	(void)user;
	(void)layout;
	note('l');
}

static void
on_cursor(void *user, const engawa_Cursor *cursor)
{
	(void)user;
	(void)cursor;
	note('c');
}

static void
on_ended(void *user, int code)
{
	(void)user;
	assert_false(ended);
	ended = 1;
	end_code = code;
	if (!note('e'))
		loop_stop(loop);
}

static const struct session_events events = {
	.prompt = on_prompt,
	.started = on_started,
	.picture = on_picture,
	.layout = on_layout,
	.cursor = on_cursor,
	.ended = on_ended};

static void
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

static void
end_session(void)
{
	session_end(session);
}

static void
whole_session(void **state)
{
	(void)state;
	struct session_numbers n;
	on_first_picture = end_session;
	run();
	assert_string_equal(log_text, "mwspe");
	assert_int_equal(end_code, -ERR_ENDED);
	assert_string_equal(office.outer, "BLN"); /* Hello, Ask, Join */
	assert_string_equal(
		office.inner, "BDDV"); /* Facts, two replies, End; the picture came after the end */
	assert_int_equal(office.facts.kind, engawa_ClientKind_CLIENT_APP);
	const struct image *image = session_image(session);
	for (size_t y = 0; y < image->height; y++)
		for (size_t x = 0; x < image->width; x++)
			assert_memory_equal(
				image_at(image, x, y), image_at(&office.image, x, y), 3);
	session_numbers(session, &n);
	for (int i = 1; i < SESSION_STAGES; i++)
		assert_in_range(n.at_ms[i], n.at_ms[i - 1], 60000);
	assert_int_equal(n.pictures, 1);
	assert_in_range(n.bytes_in, 2000, 100000);
	assert_in_range(n.bytes_out, 3000, 100000);
	assert_string_equal(session_gate(session), "gate-1");
	assert_string_equal(session_support(session), "Room 101");
	session_end(session); /* once more does nothing */
}

/* The other side is somebody else: it must hear nothing but message 1, which says nothing. */
static void
stopped_before_facts(int code)
{
	run();
	assert_int_equal(end_code, code);
	assert_string_equal(log_text, "e");
	assert_string_equal(office.inner, "");
	assert_int_equal(office.bytes_after_message1, 0);
	assert_string_not_equal(session_error(session), "");
}

static void
statement_of_another_anchor(void **state)
{
	(void)state;
	EVP_PKEY *other = sign_key_generate();
	issue(other, agent_key.public, wall_s() + 3600);
	sign_key_free(other);
	stopped_before_facts(-ERR_TERMINAL_FORGED);
}

/* A controller in league with an attacker: the ticket names the attacker's key, which also does the
 * handshake, and the real PC's statement is shown. */
static void
statement_of_the_real_pc_with_another_key(void **state)
{
	(void)state;
	pki_must(noise_keypair_generate(&office.agent_key) == 0);
	stopped_before_facts(-ERR_TERMINAL_FORGED);
}

static void
statement_that_has_expired(void **state)
{
	(void)state;
	issue(anchor, agent_key.public, wall_s() - 60);
	run();
	assert_true(end_code == -ERR_CERT_EXPIRED || end_code == -ERR_TERMINAL_FORGED);
	assert_int_equal(office.bytes_after_message1, 0);
}

static void
statement_with_a_changed_byte(void **state)
{
	(void)state;
	office.statement[office.statement_len / 2] ^= 1;
	run();
	assert_true(end_code == -ERR_TERMINAL_FORGED || end_code == -ERR_PROTOCOL);
	assert_int_equal(office.bytes_after_message1, 0);
}

static void
statement_missing(void **state)
{
	(void)state;
	office.statement_len = 0;
	run();
	assert_true(end_code == -ERR_TERMINAL_FORGED || end_code == -ERR_PROTOCOL);
	assert_int_equal(office.bytes_after_message1, 0);
}

/* The ticket names a key that the one who answers does not have. */
static void
agent_without_the_key_of_the_ticket(void **state)
{
	(void)state;
	struct noise_keypair other;
	pki_must(noise_keypair_generate(&other) == 0);
	office.ticket_agent_key = other.public;
	stopped_before_facts(-ERR_CRYPTO);
}

static void
damaged_message2(void **state)
{
	(void)state;
	office.damage_message2 = 1;
	stopped_before_facts(-ERR_CRYPTO);
}

/* A bad ticket goes no further than to us, and no other gate is asked. */
static void
bad_ticket(int code)
{
	org.gate_count = 2;
	org.gates[1] = org.gates[0];
	run();
	assert_int_equal(end_code, code);
	assert_string_equal(office.outer, "BL");
	assert_int_equal(office.connections, 1);
}

static void
ticket_of_another_signer(void **state)
{
	(void)state;
	office.ticket_signer = gate_key;
	bad_ticket(-ERR_SIGNATURE);
}

static void
ticket_for_another_device(void **state)
{
	(void)state;
	static const uint8_t hash[32] = {1};
	office.ticket_device_hash = hash;
	bad_ticket(-ERR_TICKET_BAD);
}

static void
ticket_of_another_organisation(void **state)
{
	(void)state;
	office.ticket_organisation = "town";
	bad_ticket(-ERR_TICKET_BAD);
}

static void
ticket_of_garbage(void **state)
{
	(void)state;
	office.ticket_garbage = 1;
	bad_ticket(-ERR_PROTOCOL);
}

static void
refusal_by_the_relay_is_final(void **state)
{
	(void)state;
	office.grant_code = ERR_UNREACHABLE;
	bad_ticket(-ERR_UNREACHABLE);
}

static void
bye_that_means_try_elsewhere(void **state)
{
	(void)state;
	office.bye_code = ERR_DRAIN;
	office.bye_first_only = 1;
	org.gate_count = 2;
	org.gates[1] = org.gates[0];
	on_first_picture = end_session;
	run();
	assert_int_equal(office.connections, 2);
	assert_int_equal(end_code, -ERR_ENDED);
}

static void
dead_gate_is_passed_over(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) { /* the order is random */
		if (i) {
			tear_down(NULL);
			set_up(NULL);
		}
		org.gate_count = 3;
		org.gates[2] = org.gates[0];
		strcpy(org.gates[0].target, "127.0.0.1:1");
		strcpy(org.gates[1].target, "nobody.invalid:443");
		on_first_picture = end_session;
		run();
		assert_int_equal(end_code, -ERR_ENDED);
	}
}

static void
no_gate_at_all(void **state)
{
	(void)state;
	strcpy(org.gates[0].target, "127.0.0.1:1");
	run();
	assert_int_equal(end_code, -ERR_NO_GATE);
	assert_string_equal(log_text, "e");
}

/* What says most is told, whichever gate came last. */
static void
untrusted_gate(void **state)
{
	(void)state;
	struct pki other;
	pki_init(&other);
	X509 *cert = pki_gate(&other, "127.0.0.1", gate_key, 0);
	office.tls = tls_incoming(cert, gate_key, &other.issuer, 1);
	org.gate_count = 2;
	strcpy(org.gates[1].target, "127.0.0.1:1");
	strcpy(org.gates[1].name, "gate-2");
	run();
	assert_int_equal(end_code, -ERR_CERT_UNTRUSTED);
	assert_memory_equal(session_error(session), "gate-1: ", 8);
	assert_string_equal(office.outer, "");
	tls_free(office.tls);
	cert_free(cert);
	pki_fini(&other);
}

static void
wrong_in_the_relay(void **state)
{
	(void)state;
	static const struct {
		uint32_t version;
		engawa_Role role;
		int joined_early, joined_other;
		int code;
	} cases[] = {{2, 0, 0, 0, -ERR_VERSION}, {0, engawa_Role_ROLE_AGENT, 0, 0, -ERR_PROTOCOL},
		{0, 0, 1, 0, -ERR_PROTOCOL}, {0, 0, 0, 1, -ERR_PROTOCOL}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		if (i) {
			tear_down(NULL);
			set_up(NULL);
		}
		office.hello_version = cases[i].version;
		office.hello_role = cases[i].role;
		office.joined_early = cases[i].joined_early;
		office.joined_other = cases[i].joined_other;
		run();
		assert_int_equal(end_code, cases[i].code);
		assert_string_equal(office.inner, "");
	}
}

static void
wrong_code(void **state)
{
	(void)state;
	code_text = "00000000";
	run();
	assert_int_equal(end_code, -ERR_CODE_WRONG);
	assert_string_equal(session_support(session), "Extension 42");
	assert_int_equal(session_retry_s(session), 7);
	assert_string_equal(log_text, "me");
}

static void
wrong_password(void **state)
{
	(void)state;
	password_text = "x";
	run();
	assert_int_equal(end_code, -ERR_PASSWORD_WRONG);
	assert_string_equal(log_text, "mwe");
}

static void
two_prompts(struct office *o)
{
	office_prompt(o, engawa_PromptKind_PROMPT_MAIL_CODE);
	office_prompt(o, engawa_PromptKind_PROMPT_PASSWORD);
}

static void
unknown_prompt(struct office *o)
{
	office_prompt(o, 9);
}

static void
frame_before_start(struct office *o)
{
	office_picture(o);
}

static void
start_over_an_open_prompt(struct office *o)
{
	office_prompt(o, engawa_PromptKind_PROMPT_MAIL_CODE);
	office_start(o, 8);
}

static void
start_with_a_huge_window(struct office *o)
{
	office_start(o, 64);
}

static void
start_with_an_odd_window(struct office *o)
{
	office_start(o, 9);
}

static void
start_without_layout(struct office *o)
{
	engawa_Start start = {.window_mib = 8};
	office_send(o, engawa_InnerType_INNER_START, engawa_Start_fields, &start);
}

static void
start_with_a_huge_layout(struct office *o)
{
	engawa_Start start = {.window_mib = 8,
		.has_layout = true,
		.layout = {.width_px = 1000000, .height_px = 1000000}};
	office_send(o, engawa_InnerType_INNER_START, engawa_Start_fields, &start);
}

static void
message_of_a_client(struct office *o)
{
	office_raw(o, engawa_InnerType_INNER_FACTS, "", 0);
}

static void
garbage(struct office *o)
{
	office_raw(o, engawa_InnerType_INNER_PROMPT, "\xff\xff\xff", 3);
}

/* At any point of the login, what is not allowed ends it, and no picture was shown. */
static void
wrong_in_the_login(void **state)
{
	(void)state;
	static void (*const cases[])(struct office *) = {two_prompts, unknown_prompt,
		frame_before_start, start_over_an_open_prompt, start_with_a_huge_window,
		start_with_an_odd_window, start_without_layout, start_with_a_huge_layout,
		message_of_a_client, garbage};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		if (i) {
			tear_down(NULL);
			set_up(NULL);
		}
		office.on_facts = cases[i];
		code_text = NULL;
		run();
		if (end_code != -ERR_PROTOCOL)
			fail_msg("case %zu: %s", i, err_name(end_code));
		assert_null(strchr(log_text, 's'));
		assert_null(strchr(log_text, 'p'));
	}
}

static void
pong_to_nothing(struct office *o)
{
	engawa_InnerPong pong = {.id = 7};
	office_send(o, engawa_InnerType_INNER_PONG, engawa_InnerPong_fields, &pong);
}

static void
cursor_of_wrong_size(struct office *o)
{
	static engawa_Cursor cursor = {
		.width_px = 16, .height_px = 16, .bgra.size = 16 * 16 * 4 - 1};
	office_send(o, engawa_InnerType_INNER_CURSOR, engawa_Cursor_fields, &cursor);
}

static void
hot_spot_outside(struct office *o)
{
	static engawa_Cursor cursor = {
		.width_px = 2, .height_px = 2, .hot_x_px = 2, .bgra.size = 16};
	office_send(o, engawa_InnerType_INNER_CURSOR, engawa_Cursor_fields, &cursor);
}

static void
layout_of_nothing(struct office *o)
{
	engawa_Layout layout = {.width_px = 0, .height_px = 5};
	office_send(o, engawa_InnerType_INNER_LAYOUT, engawa_Layout_fields, &layout);
}

static void
frame_of_nonsense(struct office *o)
{
	static engawa_Frame frame = {.seq = 1, .last = true, .data = {8, "nonsense"}};
	office_send(o, engawa_InnerType_INNER_FRAME, engawa_Frame_fields, &frame);
}

static void
frame_out_of_order(struct office *o)
{
	o->seq = 5;
	office_picture(o);
}

static void
login_again(struct office *o)
{
	office_prompt(o, engawa_PromptKind_PROMPT_PASSWORD);
}

static void
wrong_in_the_work(void **state)
{
	(void)state;
	static void (*const cases[])(struct office *) = {pong_to_nothing, cursor_of_wrong_size,
		hot_spot_outside, layout_of_nothing, frame_of_nonsense, frame_out_of_order,
		login_again};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		if (i) {
			tear_down(NULL);
			set_up(NULL);
		}
		office.on_started = cases[i];
		run();
		if (end_code != -ERR_PROTOCOL)
			fail_msg("case %zu: %s", i, err_name(end_code));
		assert_string_equal(log_text, "mwse");
	}
}

static void
replayed_record(struct office *o)
{
	struct noise_cipher again = o->to_client;
	engawa_Cursor *cursor = mem_new(sizeof *cursor);
	office_send(
		o, engawa_InnerType_INNER_CURSOR, engawa_Cursor_fields, cursor); /* hidden: fine */
	o->to_client.nonce = again.nonce;
	office_send(o, engawa_InnerType_INNER_CURSOR, engawa_Cursor_fields, cursor);
	free(cursor);
}

static void
record_replayed_by_the_relay(void **state)
{
	(void)state;
	office.on_started = replayed_record;
	run();
	assert_int_equal(end_code, -ERR_CRYPTO);
	assert_string_equal(log_text, "mwsce");
}

static void
other_layout(struct office *o)
{
	engawa_Layout layout = {.width_px = 32, .height_px = 40};
	office_picture(o);
	image_fini(&o->image);
	pki_must(image_init(&o->image, 32, 40) == 0);
	memset(o->image.bytes, 0x5a, o->image.stride * o->image.height);
	office_send(o, engawa_InnerType_INNER_LAYOUT, engawa_Layout_fields, &layout);
	office_picture(o);
	engawa_End end = {.code = ERR_IDLE};
	office_send(o, engawa_InnerType_INNER_END, engawa_End_fields, &end);
}

static void
layout_changes_and_the_agent_ends(void **state)
{
	(void)state;
	office.on_started = other_layout;
	run();
	assert_string_equal(log_text, "mwsplpe");
	assert_int_equal(end_code, -ERR_IDLE);
	assert_int_equal(session_image(session)->height, 40);
	assert_int_equal(image_at(session_image(session), 31, 39)[0], 0x5a);
	assert_string_equal(office.inner, "BDDaa"); /* two Acks */
}

static void
finish_soon(void *user)
{
	(void)user;
	session_end(session);
}

static void
input(void)
{
	char long_text[301] = "";
	for (int i = 0; i < 100; i++)
		strcat(long_text, "縁");
	for (uint32_t x = 0; x < 1000; x++)
		assert_int_equal(session_pointer(session, x, 5, 0), 0);
	assert_int_equal(session_pointer(session, 999, 5, 1), 0);
	assert_int_equal(session_pointer(session, 999, 5, 0), 0);
	assert_int_equal(session_key(session, 4, 'a', 1), 0);
	assert_int_equal(session_key(session, 4, 'a', 0), 0);
	assert_int_equal(session_text(session, "縁側"), 0);
	assert_int_equal(session_text(session, "line\nbreak"), -EINVAL);
	assert_int_equal(session_text(session, "\xff"), -EINVAL);
	assert_int_equal(session_text(session, long_text), 0);
	assert_string_equal(office.typed, "");
	timer_start(timer, 100, 0);
}

static void
input_keeps_its_order(void **state)
{
	(void)state;
	char expected[512] = "(999,5:0)(999,5:1)(999,5:0)+61-61縁側";
	for (int i = 0; i < 100; i++)
		strcat(expected, "縁");
	on_first_picture = input;
	timer = timer_new(loop, finish_soon, NULL);
	run();
	timer_free(timer);
	assert_string_equal(office.typed, expected);
	assert_int_equal(end_code, -ERR_ENDED);
}

static void
too_much_input(void)
{
	int r = 0, n = 0;
	for (; n < 1000 && r == 0; n++)
		r = session_key(session, 4, 'a', n % 2);
	assert_int_equal(r, -ENOBUFS);
	assert_int_equal(session_text(session, "x"), -ENOBUFS);
	session_end(session);
	assert_int_equal(session_key(session, 4, 'a', 0), -ERR_CLOSED);
}

static void
input_is_bounded(void **state)
{
	(void)state;
	on_first_picture = too_much_input;
	run();
	assert_int_equal(end_code, -ERR_ENDED);
}

static void
silent_path_is_dead_after_three_seconds(void **state)
{
	(void)state;
	struct mono start = mono_now();
	office.silent = 1;
	run();
	assert_int_equal(end_code, -ERR_CLOSED);
	assert_in_range(mono_diff_ms(start, mono_now()), 3000, 6000);
}

static void
stop_loop(void *user)
{
	session_end(session);
	(void)user;
}

static void
pings_keep_a_quiet_session_alive(void **state)
{
	(void)state;
	struct session_numbers n;
	timer = timer_new(loop, stop_loop, NULL);
	timer_start(timer, 4500, 0);
	run();
	timer_free(timer);
	assert_int_equal(end_code, -ERR_ENDED);
	session_numbers(session, &n);
	assert_in_range(n.round_trip_ms, 0, 900);
}

static void
vanish(struct office *o)
{
	office_picture(o);
	shutdown(SSL_get_fd(conn_tls(o->conn)), SHUT_RDWR);
}

static void
gate_vanishes(void **state)
{
	(void)state;
	office.on_started = vanish;
	run();
	assert_int_equal(end_code, -ERR_CLOSED);
}

/* In each event, and while the pool still checks the statement. */
static void
free_in_any_event(void **state)
{
	(void)state;
	for (const char *p = "mwspe"; *p; p++) {
		if (*p != 'm') {
			tear_down(NULL);
			set_up(NULL);
		}
		free_at = *p;
		on_first_picture = end_session;
		run();
		assert_null(session);
		assert_int_equal(ended, *p == 'e');
	}
}

static void
free_session(void *user)
{
	(void)user;
	session_free(session);
	session = NULL;
	loop_stop(loop);
}

static void
free_at_any_time(void **state)
{
	(void)state;
	for (unsigned ms = 0; ms < 200; ms += 9) {
		if (ms) {
			tear_down(NULL);
			set_up(NULL);
		}
		timer = timer_new(loop, free_session, NULL);
		timer_start(timer, ms, 0);
		run();
		timer_free(timer);
		assert_false(ended);
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(whole_session),
		TEST(statement_of_another_anchor),
		TEST(statement_of_the_real_pc_with_another_key),
		TEST(statement_that_has_expired),
		TEST(statement_with_a_changed_byte),
		TEST(statement_missing),
		TEST(agent_without_the_key_of_the_ticket),
		TEST(damaged_message2),
		TEST(ticket_of_another_signer),
		TEST(ticket_for_another_device),
		TEST(ticket_of_another_organisation),
		TEST(ticket_of_garbage),
		TEST(refusal_by_the_relay_is_final),
		TEST(bye_that_means_try_elsewhere),
		TEST(dead_gate_is_passed_over),
		TEST(no_gate_at_all),
		TEST(untrusted_gate),
		TEST(wrong_in_the_relay),
		TEST(wrong_code),
		TEST(wrong_password),
		TEST(wrong_in_the_login),
		TEST(wrong_in_the_work),
		TEST(record_replayed_by_the_relay),
		TEST(layout_changes_and_the_agent_ends),
		TEST(input_keeps_its_order),
		TEST(input_is_bounded),
		TEST(silent_path_is_dead_after_three_seconds),
		TEST(pings_keep_a_quiet_session_alive),
		TEST(gate_vanishes),
		TEST(free_in_any_event),
		TEST(free_at_any_time),
	};
	return cmocka_run_group_tests_name("session", tests, group_set_up, group_tear_down);
}
