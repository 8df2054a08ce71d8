/* client/session up to the first picture: who answers, with which ticket, through which gate, and
 * what is asked. */
#include "session_world.h"

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

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
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
	};
	return cmocka_run_group_tests_name("session_login", tests, group_set_up, group_tear_down);
}
