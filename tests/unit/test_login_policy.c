/* agent/login: what a policy closes and opens, for whom, and again when a session goes on. */
#include "login_world.h"

#include <time.h>

#include "agent/self.h"
#include "base/build.h"

static void
test_unset(void **state)
{
	(void)state;
	w.settings.password[0] = '\0';
	begin(stranger);
	assert_int_equal(facts(HTML5), -ERR_PASSWORD_UNSET);
	strcpy(w.settings.password, "$argon2id$");
	w.settings.mail[0] = '\0';
	begin(stranger);
	assert_int_equal(facts(HTML5), -ERR_CODE_UNSET);
	strcpy(w.settings.mail, "tanaka@gmail.example");
	w.policy.otp_endwith = strdup("@city.example.lg.jp");
	begin(stranger);
	assert_int_equal(facts(HTML5), -ERR_CODE_UNSET);
	strcpy(w.settings.mail, "tanaka@CITY.example.lg.jp");
	begin(stranger);
	assert_int_equal(facts(HTML5), LOGIN_WAITS);
	assert_int_equal(w.mails, 1);
}

static void
test_password_removed_meanwhile(void **state)
{
	(void)state;
	to_password(stranger);
	w.settings.password[0] = '\0';
	assert_int_equal(reply(PASSWORD, ""), -ERR_PASSWORD_UNSET);
	assert_int_equal(w.checks, 0);
}

static int
facts_under(unsigned kind, const struct policy *policy, int code)
{
	begin_under(policy, code, stranger, "192.0.2.1", stranger);
	return facts(kind);
}

/* Without a policy nothing that is not built yet passes: every kind of client is refused, with its
 * own code. */
static void
test_closed(void **state)
{
	(void)state;
	struct policy p;
	policy_init(&p);
	assert_int_equal(facts_under(HTML5, &p, 0), -ERR_DEVICE_UNKNOWN);
	assert_int_equal(facts_under(APP, &p, 0), -ERR_DEVICE_UNKNOWN);
	p.disable_devicecheck = 1;
	assert_int_equal(facts_under(HTML5, &p, 0), -ERR_HTML5_DENIED);
	assert_int_equal(facts_under(APP, &p, 0), -ERR_MAC_DENIED);
	p.disable_maccheck = 1;
	assert_int_equal(facts_under(APP, &p, 0), -ERR_FIREWALL_REQUIRED);
	p.disable_limited_firewall = 1;
	assert_int_equal(facts_under(APP, &p, 0), LOGIN_WAITS);
	p.deny_clients_app = 1;
	assert_int_equal(facts_under(APP, &p, 0), -ERR_APP_DENIED);
	assert_int_equal(facts_under(APP, &p, -ERR_POLICY), -ERR_POLICY);
	policy_fini(&p);
}

static void
test_html5_exemptions(void **state)
{
	(void)state;
	struct policy p;
	policy_init(&p);
	p.deny_clients_html5 = 0;
	p.disable_devicecheck = 1;
	p.otp_mail_strangers = 30;
	assert_int_equal(facts_under(HTML5, &p, 0), -ERR_HTML5_UNPROVED);
	p.html5_without_inspection = p.html5_without_maccheck = 1;
	assert_int_equal(facts_under(HTML5, &p, 0), -ERR_HTML5_UNPROVED);
	p.html5_without_limited_firewall = 1;
	assert_int_equal(facts_under(HTML5, &p, 0), LOGIN_WAITS);
	assert_int_equal(
		facts_under(APP, &p, 0), -ERR_MAC_DENIED); /* an exemption of browsers only */
	p.minimum_build = 1;
	p.server_mac_list = strdup("https://10.0.0.1/list");
	w.asked_list = MAC_LIST_CLIENT;
	assert_int_equal(facts_under(HTML5, &p, 0), LOGIN_WAITS);
	assert_int_equal(w.asked_list, MAC_LIST_SERVER);
	assert_int_equal(login_checked(&w.login, -ERR_MAC_LIST), -ERR_SERVER_MAC_DENIED);
	assert_int_equal(facts_under(HTML5, &p, 0), LOGIN_WAITS);
	assert_int_equal(login_checked(&w.login, 0), LOGIN_WAITS);
	assert_int_equal(w.login.wait, LOGIN_WAIT_MAIL);
	p.server_mac_list_fail_open = 1;
	assert_int_equal(facts_under(HTML5, &p, 0), LOGIN_WAITS);
	assert_int_equal(login_checked(&w.login, -ERR_MAC_DENIED), -ERR_SERVER_MAC_DENIED);
	assert_int_equal(facts_under(HTML5, &p, 0), LOGIN_WAITS);
	assert_int_equal(login_checked(&w.login, -ERR_MAC_LIST), LOGIN_WAITS);
	policy_fini(&p);
}

/* Older ones are refused, and one digit too many in the policy shuts nobody out who is as new as
 * the office PC. */
static void
test_minimum_build(void **state)
{
	(void)state;
	struct facts f = plain_facts(HTML5);
	static const int64_t minimum[] = {0, BUILD, BUILD + 1, UINT32_MAX};
	for (size_t i = 0; i < sizeof minimum / sizeof minimum[0]; i++) {
		w.policy.minimum_build = minimum[i];
		for (f.build = BUILD - 1; f.build <= BUILD + 1; f.build++) {
			begin(stranger);
			assert_int_equal(login_facts(&w.login, &f),
				f.build < BUILD && minimum[i] ? -ERR_CLIENT_OLD : LOGIN_WAITS);
		}
	}
}

static void
test_kinds(void **state)
{
	(void)state;
	static const unsigned bad[] = {0, 3, 31, 32, 64, 255};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		begin(stranger);
		assert_int_equal(facts(bad[i]), -ERR_PROTOCOL);
	}
}

/* Refused before anything is counted, sent or asked. */
static void
test_attack_forbidden_network(void **state)
{
	(void)state;
	static const char list[] = "allow 192.0.2.128/25\ndeny 192.0.2.0/24\n";
	struct conf_error error;
	assert_int_equal(iplist_parse(list, strlen(list), &w.addresses, &error), 0);
	for (int i = 0; i < 200; i++) {
		begin(stranger);
		assert_int_equal(facts(HTML5), -ERR_ADDRESS_DENIED);
	}
	assert_int_equal(w.mails + w.prompts, 0);
	uint32_t retry_s;
	assert_int_equal(devices_check(w.devices, stranger, w.wall_s, &retry_s), 0);
}

static void
test_self(void **state)
{
	(void)state;
	w.self = 1;
	begin(stranger);
	assert_int_equal(facts(APP), -ERR_SELF_CONNECT);
	assert_int_equal(w.mails + w.prompts, 0);
}

static void
test_self_signs(void **state)
{
	(void)state;
	static const uint8_t office[3][6] = {{0x52, 0x54, 0x00, 0x12, 0x34, 0x56},
		{0x00, 1, 2, 3, 4, 5}, {0x52, 0x54, 0x00, 0xa1, 0xb2, 0xc3}};
	struct facts f = {.mac_count = 2, .macs = {{0, 9, 9, 9, 9, 9}}};
	memcpy(f.macs[1], office[0], 6);
	assert_int_equal(self_has_mac(&f, office, 3), 0); /* every virtual machine's by default */
	memcpy(f.macs[1], office[1], 6);
	assert_int_equal(self_has_mac(&f, office, 3), 1);
	assert_int_equal(self_has_mac(&f, office, 1), 0);
	memcpy(f.macs[1], office[2], 6); /* one virtual machine's */
	assert_int_equal(self_has_mac(&f, office, 3), 1);
	assert_int_equal(self_has_mac(&f, office, 2), 0);
	assert_int_equal(self_has_address("127.0.0.1"), 0);
	assert_int_equal(self_has_address("::1"), 0);
	assert_int_equal(self_has_address("198.51.100.77"), 0);
	assert_int_equal(self_has_address("nonsense"), 0);
}

static void
test_otp_disabled(void **state)
{
	(void)state;
	w.policy.disable_otp = 1;
	begin(stranger);
	assert_int_equal(facts(HTML5), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
	w.policy.enforce_otp = 1;
	begin(stranger);
	assert_int_equal(facts(HTML5), LOGIN_WAITS);
	assert_int_equal(w.mails, 1);
}

/* ---- quarantine ---- */

static struct report
good_report(void)
{
	struct report r = {.system = engawa_PostureSystem_SYSTEM_LINUX,
		.os = "debian",
		.os_version = "12",
		.antivirus_count = 1,
		.antivirus = {{"ClamAV", engawa_Known_KNOWN_YES, w.wall_s - 86400}},
		.network_count = 1,
		.networks = {engawa_NetworkSecurity_NETWORK_WPA2},
		.updates_looked_s = w.wall_s - 86400,
		.updates_done_s = w.wall_s - 5 * 86400};
	memcpy(r.channel, w.login.hash, sizeof r.channel);
	return r;
}

static void
to_posture(void)
{
	w.policy.disable_inspection = 0;
	begin(stranger);
	assert_int_equal(facts(APP), LOGIN_WAITS);
	assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
	assert_int_equal(reply(CODE, w.code), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, engawa_PromptKind_PROMPT_POSTURE);
	assert_int_equal(w.prompt.expires_s, 600);
}

static void
test_inspection_passed(void **state)
{
	(void)state;
	to_posture();
	struct report r = good_report();
	assert_int_equal(login_posture(&w.login, &r), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
	assert_int_equal(w.login.findings.count, 0);
	assert_int_equal(login_posture(&w.login, &r), -ERR_PROTOCOL); /* once, and then not */
}

static void
test_inspection_refused(void **state)
{
	(void)state;
	to_posture();
	struct report r = good_report();
	r.antivirus[0].patterns_s = w.wall_s - 30 * 86400;
	assert_int_equal(login_posture(&w.login, &r), -ERR_PATTERNS_OLD);
	to_posture();
	r = good_report();
	r.networks[0] = engawa_NetworkSecurity_NETWORK_OPEN;
	r.os_version[1] = '0'; /* Debian 10 */
	assert_int_equal(login_posture(&w.login, &r), -ERR_INSPECTION);
	assert_int_equal(w.login.findings.count, 2);
	assert_int_equal(w.checks, 0); /* no password was asked for */
}

/* A report that was good in another session, or none at all: the password is never asked for. */
static void
test_attack_posture_of_another_session(void **state)
{
	(void)state;
	to_posture();
	struct report r = good_report();
	r.channel[15] ^= 1;
	assert_int_equal(login_posture(&w.login, &r), -ERR_POSTURE_BAD);
	to_posture();
	assert_int_equal(login_posture(&w.login, NULL), -ERR_POSTURE_BAD);
	to_posture();
	assert_int_equal(reply(engawa_PromptKind_PROMPT_POSTURE, "fine"), -ERR_PROTOCOL);
	to_posture();
	assert_int_equal(reply(PASSWORD, "secret"), -ERR_PROTOCOL); /* skipped */
	begin(stranger);
	r = good_report();
	assert_int_equal(login_posture(&w.login, &r), -ERR_PROTOCOL); /* before its turn */
	assert_int_equal(w.checks, 0);
}

static void
test_working_hours(void **state)
{
	(void)state;
	char *line = (char[]){"mon-fri 08:30-17:15"};
	setenv("TZ", "JST-9", 1);
	tzset();
	w.policy.working_hours = (struct conf_list){&line, 1};
	w.wall_s = 1795480200; /* Tuesday 2026-11-24 09:30 JST */
	begin(stranger);
	assert_int_equal(facts(HTML5), LOGIN_WAITS);
	w.wall_s += 8 * 3600;
	begin(stranger);
	assert_int_equal(facts(HTML5), -ERR_HOURS);
	assert_int_equal(w.mails, 1); /* and no mail went out the second time */
	w.policy.working_hours = (struct conf_list){0};
}

/* ---- a session that goes on over a new connection ---- */

/* A whole login by a client of this kind, which may report; then a new connection of it. */
static void
pass(unsigned kind)
{
	begin(stranger);
	int r = facts(kind);
	if (w.login.wait == LOGIN_WAIT_CHECK)
		r = login_checked(&w.login, 0);
	if (w.login.wait == LOGIN_WAIT_MAIL) {
		assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
		r = reply(CODE, w.code);
	}
	if (w.login.wait == LOGIN_WAIT_CHECK)
		r = login_checked(&w.login, 0);
	if (w.login.wait == LOGIN_WAIT_POSTURE) {
		struct report report = good_report();
		r = login_posture(&w.login, &report);
	}
	assert_int_equal(r, LOGIN_WAITS);
	assert_int_equal(reply(PASSWORD, "secret"), LOGIN_WAITS);
	assert_int_equal(login_checked(&w.login, 0), LOGIN_PASSED);
	w.prompts = w.mails = w.checks = 0;
}

/* The one person of the table. */
static void
setup_users(struct users *users, const char *name, const char *expires)
{
	*users = (struct users){.count = 1};
	strcpy(users->list[0].name, name);
	strcpy(users->list[0].expires, expires);
	strcpy(users->list[0].verifier, w.settings.password);
}

static void
pass_as(const char *name)
{
	begin(stranger);
	struct facts f = {.kind = APP, .build = 1, .window_mib = 8};
	snprintf(f.user, sizeof f.user, "%s", name);
	assert_int_equal(login_facts(&w.login, &f), LOGIN_WAITS);
	assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
	int r = reply(CODE, w.code);
	if (w.login.wait == LOGIN_WAIT_POSTURE) {
		struct report report = good_report();
		r = login_posture(&w.login, &report);
	}
	assert_int_equal(r, LOGIN_WAITS);
	assert_int_equal(reply(PASSWORD, "secret"), LOGIN_WAITS);
	assert_int_equal(login_checked(&w.login, 0), LOGIN_PASSED);
	w.prompts = w.mails = w.checks = 0;
}

static int
come_back(unsigned kind)
{
	static struct login before;
	before = w.login;
	begin(stranger);
	login_resume(&w.login, &before);
	int r = facts(kind);
	assert_int_equal(w.prompts + w.mails + w.checks, 0);
	return r;
}

/* Nobody is asked, no matter how often. */
static void
test_resume(void **state)
{
	(void)state;
	w.policy.disable_inspection = 0;
	pass(APP);
	for (int i = 0; i < 3; i++)
		assert_int_equal(come_back(APP), LOGIN_PASSED);
	setup_users(&w.users, "tanaka", "");
	pass_as("tanaka");
	assert_int_equal(come_back(APP), LOGIN_PASSED);
}

/* Tried: policy asks for more since the login: a code, a report, a certificate, a closed network;
 * or it forbids the program. Comes of it: the session does not go on, whatever the client says it
 * is. */
static void
test_attack_resume_after_policy(void **state)
{
	(void)state;
	w.policy.disable_otp = 1;
	pass(APP);
	assert_int_equal(come_back(HTML5), -ERR_PROTOCOL);
	pass(APP);
	w.policy.disable_otp = 0;
	assert_int_equal(come_back(APP), -ERR_POLICY_CHANGED);
	pass(APP);
	w.policy.disable_inspection = 0;
	assert_int_equal(come_back(APP), -ERR_POLICY_CHANGED);
	w.policy.disable_inspection = 1;
	pass(APP);
	w.policy.require_certificate = 1;
	assert_int_equal(come_back(APP), -ERR_POLICY_CHANGED);
	w.policy.require_certificate = 0;
	pass(APP);
	w.policy.disable_limited_firewall = 0;
	assert_int_equal(come_back(APP), -ERR_FIREWALL_REQUIRED);
	w.policy.disable_limited_firewall = 1;
	pass(APP);
	w.policy.deny_clients_app = 1;
	assert_int_equal(come_back(APP), -ERR_APP_DENIED);
}

/* Tried: the home PC is to report again and again since the session lost its path, or oftener than
 * the client was told. Comes of it: a new login, where it is told so; fewer reports change nothing.
 */
static void
test_attack_resume_after_repeat(void **state)
{
	(void)state;
	w.policy.disable_inspection = 0;
	w.policy.inspection_repeat_minutes = 0;
	pass(APP);
	assert_int_equal(come_back(APP), LOGIN_PASSED);
	w.policy.inspection_repeat_minutes = 30;
	assert_int_equal(come_back(APP), -ERR_POLICY_CHANGED);
	pass(APP);
	assert_int_equal(come_back(APP), LOGIN_PASSED);
	assert_int_equal(come_back(APP), LOGIN_PASSED); /* also the second time */
	w.policy.inspection_repeat_minutes = 60;
	assert_int_equal(come_back(APP), LOGIN_PASSED);
	w.policy.inspection_repeat_minutes = 0;
	assert_int_equal(come_back(APP), LOGIN_PASSED);
	w.policy.inspection_repeat_minutes = 15;
	assert_int_equal(come_back(APP), -ERR_POLICY_CHANGED);
}

/* Tried: the client's address or this office PC is taken off the organisation's list meanwhile.
 * Comes of it: the lists are asked again, and what they say holds. */
static void
test_attack_resume_after_list(void **state)
{
	(void)state;
	w.policy.server_mac_list = strdup("https://10.0.0.1/list");
	pass(APP);
	assert_int_equal(come_back(APP), LOGIN_WAITS);
	assert_int_equal(w.asked_list, MAC_LIST_SERVER);
	assert_int_equal(login_checked(&w.login, -ERR_MAC_DENIED), -ERR_SERVER_MAC_DENIED);
	free(w.policy.server_mac_list);
	w.policy.server_mac_list = NULL;
	w.policy.disable_maccheck = 0;
	w.policy.client_mac_list = strdup("https://10.0.0.1/list");
	pass(APP);
	assert_int_equal(come_back(APP), LOGIN_WAITS);
	assert_int_equal(w.asked_list, MAC_LIST_CLIENT);
	assert_int_equal(login_checked(&w.login, 0), LOGIN_PASSED);
	assert_int_equal(come_back(APP), LOGIN_WAITS);
	assert_int_equal(login_checked(&w.login, -ERR_MAC_DENIED), -ERR_MAC_DENIED);
}

/* Tried: the person is disabled, removed, or his last day is over while the path is away. Comes of
 * it: he does not come back, and neither does who came in by the one password when there are
 * persons now. */
static void
test_attack_resume_after_person(void **state)
{
	(void)state;
	pass(APP);
	setup_users(&w.users, "tanaka", "");
	assert_int_equal(come_back(APP), -ERR_PERSON_DENIED);
	pass_as("tanaka");
	w.users.list[0].disabled = 1;
	assert_int_equal(come_back(APP), -ERR_PERSON_DENIED);
	setup_users(&w.users, "tanaka", "");
	pass_as("tanaka");
	setup_users(&w.users, "tanaka", "2020-01-01");
	assert_int_equal(come_back(APP), -ERR_PERSON_EXPIRED);
	setup_users(&w.users, "tanaka", "");
	pass_as("tanaka");
	setup_users(&w.users, "suzuki", "");
	assert_int_equal(come_back(APP), -ERR_PERSON_DENIED);
	w.users.count = 0;
	pass(APP);
	w.settings.password[0] = '\0';
	assert_int_equal(come_back(APP), -ERR_PASSWORD_UNSET);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_unset),
		T(test_password_removed_meanwhile),
		T(test_closed),
		T(test_html5_exemptions),
		T(test_minimum_build),
		T(test_kinds),
		T(test_attack_forbidden_network),
		T(test_self),
		T(test_self_signs),
		T(test_otp_disabled),
		T(test_inspection_passed),
		T(test_inspection_refused),
		T(test_attack_posture_of_another_session),
		T(test_working_hours),
		T(test_resume),
		T(test_attack_resume_after_policy),
		T(test_attack_resume_after_repeat),
		T(test_attack_resume_after_list),
		T(test_attack_resume_after_person),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
