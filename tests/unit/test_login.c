/* agent/login: the order of steps, one-time codes, passwords, lock-outs and what a policy closes.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <liboath/oath.h>

#include "agent/login.h"
#include "agent/self.h"
#include "base/err.h"
#include "crypto/noise.h"
#include "inner.pb.h"

enum {
	CODE = engawa_PromptKind_PROMPT_MAIL_CODE,
	PASSWORD = engawa_PromptKind_PROMPT_PASSWORD
};
enum {
	APP = engawa_ClientKind_CLIENT_APP,
	HTML5 = engawa_ClientKind_CLIENT_HTML5
};

/* The outside of a login, and its clocks. */
static struct world {
	struct policy policy;
	struct settings settings;
	struct devices *devices;
	struct factors *factors;
	struct registry registry;
	struct pairing pairing;
	struct iplist addresses;
	int self;
	char path[64], factors_path[80];
	uint64_t mono_ms, wall_s;
	struct prompt prompt;
	unsigned prompts, mails, checks;
	char code[LOGIN_CODE_DIGITS + 1], words[2][32];
	char checked[512];
	struct login login;
} w;

static void
on_prompt(void *user, const struct prompt *prompt)
{
	(void)user;
	w.prompt = *prompt;
	w.prompts++;
}

static int
on_mail(void *user, const struct login_mail *mail)
{
	(void)user;
	assert_string_equal(mail->address, w.settings.mail);
	assert_int_equal(strlen(mail->code), LOGIN_CODE_DIGITS);
	strcpy(w.code, mail->code);
	for (int i = 0; i < 2; i++)
		snprintf(w.words[i], sizeof w.words[i], "%s", mail->words[i]);
	w.mails++;
	return 0;
}

static void
on_check(void *user, const char *hash, const char *text)
{
	(void)user;
	assert_string_equal(hash, w.settings.password);
	snprintf(w.checked, sizeof w.checked, "%s", text);
	w.checks++;
}

static struct mono
on_now(void *user)
{
	(void)user;
	return (struct mono){w.mono_ms * 1000000};
}

static uint64_t
on_wall(void *user)
{
	(void)user;
	return w.wall_s;
}

static int
on_self(void *user, const struct facts *facts)
{
	(void)user, (void)facts;
	return w.self;
}

static enum mac_list asked_list;

static void
on_maclist(void *user, enum mac_list which)
{
	(void)user;
	asked_list = which;
}

static const struct login_env env = {.maclist = on_maclist,
	.prompt = on_prompt,
	.mail = on_mail,
	.check = on_check,
	.is_self = on_self,
	.now = on_now,
	.wall_s = on_wall};
static const uint8_t stranger[32] = {1}, other[32] = {2}, owner[32] = {3};

static int
setup(void **state)
{
	(void)state;
	memset(&w, 0, sizeof w);
	policy_init(&w.policy);
	w.policy.disable_inspection = w.policy.disable_maccheck = w.policy.disable_devicecheck =
		w.policy.disable_limited_firewall = 1;
	w.policy.deny_clients_html5 = 0;
	strcpy(w.settings.mail, "tanaka@city.example.lg.jp");
	strcpy(w.settings.password, "$argon2id$");
	strcpy(w.path, "/tmp/engawa-test-login.XXXXXX");
	close(mkstemp(w.path));
	unlink(w.path);
	assert_int_equal(devices_open(w.path, &w.devices, NULL), 0);
	snprintf(w.factors_path, sizeof w.factors_path, "%s-factors", w.path);
	assert_int_equal(factors_open(w.factors_path, &w.factors, NULL), 0);
	w.mono_ms = 1000000;
	w.wall_s = 1800000000;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	login_fini(&w.login);
	policy_fini(&w.policy);
	devices_free(w.devices);
	factors_free(w.factors);
	unlink(w.factors_path);
	iplist_fini(&w.addresses);
	unlink(w.path);
	return 0;
}

static void
begin_with(const uint8_t *device, const uint8_t *hash)
{
	const struct login_office office = {&w.policy, 0, &w.settings, &w.addresses, w.devices,
		.factors = w.factors, .registry = &w.registry, .pairing = &w.pairing};
	login_init(&w.login, &env, &office, "192.0.2.1", device, hash);
}

static void
begin(const uint8_t *device)
{
	static const uint8_t hash[32] = {7, 9};
	begin_with(device, hash);
}

static int
facts(unsigned kind)
{
	struct facts f = {.kind = (uint8_t)kind, .build = 1, .window_mib = 8};
	strcpy(f.computer_name, "home");
	return login_facts(&w.login, &f);
}

static int
reply(unsigned kind, const char *text)
{
	struct reply r = {.kind = (uint8_t)kind};
	snprintf(r.text, sizeof r.text, "%s", text);
	return login_reply(&w.login, &r);
}

static void
to_code(const uint8_t *device)
{
	begin(device);
	assert_int_equal(facts(HTML5), LOGIN_WAITS);
	assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, CODE);
}

static void
to_password(const uint8_t *device)
{
	to_code(device);
	assert_int_equal(reply(CODE, w.code), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
}

static const char *
wrong_code(void)
{
	return strcmp(w.code, "00000000") == 0 ? "11111111" : "00000000";
}

static void
test_whole(void **state)
{
	(void)state;
	const char *words[2];
	to_code(stranger);
	noise_words(w.login.hash, words);
	for (int i = 0; i < 2; i++) {
		assert_string_equal(w.words[i], words[i]);
		assert_string_equal(w.prompt.words[i], words[i]);
	}
	assert_string_equal(w.prompt.masked_address, "t***@city.example.lg.jp");
	assert_int_equal(w.prompt.expires_s, 300);
	assert_int_equal(reply(CODE, w.code), LOGIN_WAITS);
	assert_int_equal(reply(PASSWORD, "secret"), LOGIN_WAITS);
	assert_string_equal(w.checked, "secret");
	assert_int_equal(login_checked(&w.login, 0), LOGIN_PASSED);
	assert_int_equal(w.mails, 1);
	/* nothing may follow */
	assert_int_equal(reply(PASSWORD, "secret"), -ERR_PROTOCOL);
	assert_int_equal(facts(HTML5), -ERR_PROTOCOL);
}

/* Every call out of its turn, at every point where a login can stand, ends it and nothing revives
 * it. */
enum {
	CALLS = 7
};

static int
call(int which)
{
	switch (which) {
	case 0:
		return facts(HTML5);
	case 1:
		return reply(CODE, w.code[0] ? w.code : "12345678");
	case 2:
		return reply(PASSWORD, "secret");
	case 3:
		return reply(0, "");
	case 4:
		return login_mailed(&w.login, 0);
	case 5:
		return login_checked(&w.login, 0);
	default:
		return reply(99, "x");
	}
}

static void
stand_at(int point)
{
	if (point == 0)
		begin(stranger);
	if (point == 1) {
		begin(stranger);
		facts(HTML5);
	}
	if (point == 2)
		to_code(stranger);
	if (point >= 3)
		to_password(stranger);
	if (point == 4)
		reply(PASSWORD, "secret");
}

static void
test_attack_every_order(void **state)
{
	static const int right[5] = {0, 4, 1, 2, 5};
	for (int point = 0; point < 5; point++) {
		for (int which = 0; which < CALLS; which++) {
			if (which == right[point])
				continue;
			stand_at(point);
			assert_int_equal(call(which), -ERR_PROTOCOL);
			for (int after = 0; after < CALLS; after++)
				assert_int_equal(call(after), -ERR_PROTOCOL);
			teardown(state);
			setup(state);
		}
	}
}

/* Any sequence of calls that never answers a check with "right" and never knows the code: no way
 * through. */
static void
test_attack_random_orders(void **state)
{
	(void)state;
	srandom(4);
	for (int round = 0; round < 3000; round++) {
		begin(stranger);
		for (int i = 0; i < 12; i++) {
			int which = (int)random() % CALLS, r;
			if (which == 1)
				r = reply(CODE, w.code[0] ? wrong_code() : "12345678");
			else if (which == 5)
				r = login_checked(&w.login, -ERR_PASSWORD_WRONG);
			else
				r = call(which);
			assert_int_not_equal(r, LOGIN_PASSED);
		}
		if (round % 8 == 0)
			devices_unlock(w.devices);
		w.wall_s += 3600;
	}
	assert_int_equal(w.checks, 0);
}

static void
test_code_wrong(void **state)
{
	(void)state;
	to_code(stranger);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(reply(CODE, wrong_code()), LOGIN_WAITS);
		assert_int_equal(w.prompt.wrong, ERR_CODE_WRONG);
		assert_int_equal(w.prompt.kind, CODE);
	}
	assert_int_equal(reply(CODE, wrong_code()), -ERR_LOCKED_OUT);
	assert_in_range(w.login.retry_s, 1, 60);
	assert_int_equal(w.mails, 1);
}

static void
test_code_tries_of_one_session(void **state)
{
	(void)state;
	w.policy.lockout_count = 100;
	to_code(stranger);
	for (int i = 0; i < 4; i++)
		assert_int_equal(reply(CODE, wrong_code()), LOGIN_WAITS);
	assert_int_equal(reply(CODE, wrong_code()), -ERR_CODE_WRONG);
	assert_int_equal(reply(CODE, w.code), -ERR_PROTOCOL);
}

static void
test_code_forms(void **state)
{
	(void)state;
	char longer[16];
	to_code(stranger);
	snprintf(longer, sizeof longer, "%s0", w.code);
	assert_int_equal(reply(CODE, longer), LOGIN_WAITS);
	assert_int_equal(w.prompt.wrong, ERR_CODE_WRONG);
	snprintf(longer, sizeof longer, "%.7s", w.code);
	assert_int_equal(reply(CODE, longer), LOGIN_WAITS);
	assert_int_equal(w.prompt.wrong, ERR_CODE_WRONG);
	assert_int_equal(reply(CODE, w.code), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
}

static void
test_code_late(void **state)
{
	(void)state;
	char first[16];
	to_code(stranger);
	strcpy(first, w.code);
	w.mono_ms += 299 * 1000;
	assert_int_equal(reply(CODE, wrong_code()), LOGIN_WAITS);
	assert_int_equal(w.prompt.expires_s, 1);
	w.mono_ms += 1000;
	assert_int_equal(
		reply(CODE, first), LOGIN_WAITS); /* right, a second too late: a new mail */
	assert_int_equal(w.mails, 2);
	assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
	assert_int_equal(w.prompt.wrong, ERR_CODE_EXPIRED);
	assert_int_equal(w.prompt.expires_s, 300);
	if (strcmp(first, w.code) != 0) {
		assert_int_equal(reply(CODE, first), LOGIN_WAITS); /* only the newest counts */
		assert_int_equal(w.prompt.wrong, ERR_CODE_WRONG);
	}
	assert_int_equal(reply(CODE, w.code), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
}

static void
test_code_sends(void **state)
{
	(void)state;
	to_code(stranger);
	for (int i = 1; i < LOGIN_CODE_SENDS_MAX; i++) {
		assert_int_equal(reply(CODE, ""), LOGIN_WAITS); /* "send it again" */
		assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
		assert_int_equal(w.prompt.wrong, 0);
	}
	assert_int_equal(reply(CODE, ""), -ERR_LIMIT);
	assert_int_equal(w.mails, LOGIN_CODE_SENDS_MAX);
}

static void
test_attack_code_of_other_session(void **state)
{
	(void)state;
	static const uint8_t hash1[32] = {1}, hash2[32] = {2};
	char first[16];
	begin_with(stranger, hash1);
	facts(HTML5);
	login_mailed(&w.login, 0);
	strcpy(first, w.code);
	struct login one = w.login;
	do { /* two codes that differ */
		begin_with(other, hash2);
		facts(HTML5);
		login_mailed(&w.login, 0);
	} while (strcmp(first, w.code) == 0);
	assert_int_equal(reply(CODE, first), LOGIN_WAITS);
	assert_int_equal(w.prompt.wrong, ERR_CODE_WRONG);
	login_fini(&one);
}

static void
test_code_reused(void **state)
{
	(void)state;
	char first[16];
	to_password(stranger);
	strcpy(first, w.code);
	assert_int_equal(reply(PASSWORD, "x"), LOGIN_WAITS);
	assert_int_equal(login_checked(&w.login, -ERR_PASSWORD_WRONG), LOGIN_WAITS);
	assert_int_equal(reply(CODE, first), -ERR_PROTOCOL);
}

static void
test_mail_fails(void **state)
{
	(void)state;
	begin(stranger);
	facts(HTML5);
	assert_int_equal(login_mailed(&w.login, -ERR_MAIL_UNSET), -ERR_MAIL_UNSET);
	begin(stranger);
	facts(HTML5);
	assert_int_equal(login_mailed(&w.login, -ERR_TIMEOUT), -ERR_MAIL_FAILED);
	assert_int_equal(w.prompts, 0);
}

static void
test_password_wrong(void **state)
{
	(void)state;
	w.policy.lockout_count = 3;
	to_password(stranger);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(reply(PASSWORD, "x"), LOGIN_WAITS);
		assert_int_equal(login_checked(&w.login, -ERR_PASSWORD_WRONG), LOGIN_WAITS);
		assert_int_equal(w.prompt.wrong, ERR_PASSWORD_WRONG);
	}
	assert_int_equal(reply(PASSWORD, "x"), LOGIN_WAITS);
	assert_int_equal(login_checked(&w.login, -ERR_PASSWORD_WRONG), -ERR_LOCKED_OUT);
	begin(other);
	assert_int_equal(facts(HTML5), -ERR_LOCKED_OUT); /* all strangers together */
	assert_int_equal(w.mails, 1);
	w.wall_s += 60;
	begin(other);
	assert_int_equal(facts(HTML5), LOGIN_WAITS);
}

/* A check that failed for want of memory is no wrong password, and no way in either. */
static void
test_password_check_fails(void **state)
{
	(void)state;
	to_password(stranger);
	reply(PASSWORD, "x");
	assert_int_equal(login_checked(&w.login, -ENOMEM), -ERR_INTERNAL);
}

/* Two logins share one try: the one whose verdict comes later must not find the door open. */
static void
test_attack_race(void **state)
{
	(void)state;
	w.policy.lockout_count = 1;
	to_password(stranger);
	struct login first = w.login;
	to_password(other);
	struct login second = w.login;
	struct reply r = {.kind = PASSWORD, .text = "x"};
	assert_int_equal(login_reply(&first, &r), LOGIN_WAITS);
	assert_int_equal(login_reply(&second, &r), -ERR_LOCKED_OUT);
	assert_int_equal(login_checked(&first, -ERR_PASSWORD_WRONG), -ERR_LOCKED_OUT);
	assert_int_equal(w.checks, 1);
}

static void
test_attack_stranger_locks_owner(void **state)
{
	(void)state;
	assert_int_equal(devices_login(w.devices, owner, "owner", w.wall_s), 0);
	for (int i = 0; i < 40; i++) {
		begin(stranger);
		if (facts(HTML5) == LOGIN_WAITS && login_mailed(&w.login, 0) == LOGIN_WAITS)
			while (reply(CODE, wrong_code()) == LOGIN_WAITS)
				;
	}
	begin(stranger);
	assert_int_equal(facts(HTML5), -ERR_LOCKED_OUT);
	to_password(owner);
	assert_int_equal(reply(PASSWORD, "secret"), LOGIN_WAITS);
	assert_int_equal(login_checked(&w.login, 0), LOGIN_PASSED);
}

/* Ten thousand guesses of one code, by one who waits whenever he is told to: a hundred are judged,
 * in five mails' sessions each, and then none any more. */
static void
test_attack_ten_thousand_guesses(void **state)
{
	(void)state;
	unsigned judged = 0, asked = 0;
	for (int i = 0; i < 10000; i++) {
		if (w.login.wait != LOGIN_WAIT_REPLY) {
			begin(stranger);
			int r = facts(HTML5);
			asked += r == LOGIN_WAITS;
			if (r == LOGIN_WAITS)
				assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
			else
				assert_true(r == -ERR_LOCKED_OUT || r == -ERR_SHUT_OUT ||
					    r == -ERR_LIMIT);
			w.wall_s += w.login.retry_s;
		} else {
			judged++;
			assert_int_not_equal(reply(CODE, wrong_code()), LOGIN_PASSED);
			assert_int_not_equal(w.login.prompt, PASSWORD);
			w.wall_s += w.login.retry_s;
		}
	}
	assert_int_equal(judged, LOCKOUT_ROW_MAX);
	assert_in_range(asked, LOCKOUT_ROW_MAX / 5, LOCKOUT_ROW_MAX);
	begin(stranger);
	assert_int_equal(facts(HTML5), -ERR_SHUT_OUT);
}

/* ---- app and paper ---- */

enum {
	TOTP = engawa_PromptKind_PROMPT_TOTP,
	RECOVERY = engawa_PromptKind_PROMPT_RECOVERY
};

static char app[TOTP_DIGITS + 1];

static const char *
app_shows(const struct totp *totp)
{
	assert_int_equal(
		oath_hotp_generate((const char *)totp->secret, sizeof totp->secret,
			w.wall_s / TOTP_STEP_S, TOTP_DIGITS, 0, OATH_HOTP_DYNAMIC_TRUNCATION, app),
		OATH_OK);
	return app;
}

static struct totp
enrol(void)
{
	struct totp totp;
	assert_int_equal(factors_totp_begin(w.factors, w.wall_s, &totp), 0);
	assert_int_equal(factors_totp_confirm(w.factors, app_shows(&totp), w.wall_s), 0);
	w.wall_s += 60;
	return totp;
}

static void
set_mail_policy(const char *value)
{
	free(w.policy.otp_mail);
	w.policy.otp_mail = strdup(value);
}

/* With an app no mail goes out; the code is good once, in whichever session. */
static void
test_attack_totp_replay(void **state)
{
	(void)state;
	struct totp totp = enrol();
	begin(stranger);
	assert_int_equal(facts(HTML5), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, TOTP);
	assert_int_equal(w.prompt.digits, 6);
	assert_int_equal(reply(TOTP, app_shows(&totp)), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
	begin(other);
	assert_int_equal(facts(HTML5), LOGIN_WAITS);
	assert_int_equal(reply(TOTP, app), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, TOTP);
	assert_int_equal(w.prompt.wrong, ERR_CODE_WRONG);
	w.wall_s += 30;
	assert_int_equal(reply(TOTP, app_shows(&totp)), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
	assert_int_equal(w.mails, 0);
}

/* Wrong codes of an app count like any others. */
static void
test_attack_totp_guesses(void **state)
{
	(void)state;
	struct totp totp = enrol();
	begin(stranger);
	assert_int_equal(facts(HTML5), LOGIN_WAITS);
	app_shows(&totp);
	app[0] = app[0] == '9' ? '0' : (char)(app[0] + 1);
	for (int i = 0; i < 4; i++)
		assert_int_equal(reply(TOTP, i % 2 ? app : "12345678"), LOGIN_WAITS);
	assert_int_equal(reply(TOTP, "00000-00000-00000-00000"), -ERR_LOCKED_OUT);
	begin(other);
	assert_int_equal(facts(HTML5), -ERR_LOCKED_OUT);
}

/* No way around the app through the mailbox, unless policy makes it one. */
static void
test_attack_downgrade_to_mail(void **state)
{
	(void)state;
	enrol();
	static const char *const values[] = {"legacy", "off", "nonsense"};
	for (size_t i = 0; i < 3; i++) {
		set_mail_policy(values[i]);
		begin(stranger);
		assert_int_equal(facts(HTML5), LOGIN_WAITS);
		assert_int_equal(reply(TOTP, ""), LOGIN_WAITS);
		assert_int_equal(w.prompt.kind, RECOVERY);
		assert_int_equal(reply(RECOVERY, ""), LOGIN_WAITS);
		assert_int_equal(w.prompt.kind, TOTP);
	}
	for (int i = 0; i < LOGIN_TURNS_MAX - 2; i++)
		assert_int_equal(reply(w.prompt.kind, ""), LOGIN_WAITS);
	assert_int_equal(reply(w.prompt.kind, ""), -ERR_LIMIT);
	assert_int_equal(w.mails, 0);
	set_mail_policy("recovery");
	begin(stranger);
	facts(HTML5);
	reply(TOTP, "");
	assert_int_equal(reply(RECOVERY, ""), LOGIN_WAITS);
	assert_int_equal(w.mails, 1);
	assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
	assert_int_equal(reply(CODE, w.code), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
}

static void
test_mail_off(void **state)
{
	(void)state;
	char codes[RECOVERY_COUNT][RECOVERY_TEXT_SIZE];
	static const char *const values[] = {"off", "recovery"};
	assert_int_equal(factors_recovery_make(w.factors, codes), 0);
	for (size_t i = 0; i < 2; i++) {
		set_mail_policy(values[i]);
		begin(stranger);
		assert_int_equal(facts(HTML5), -ERR_CODE_UNSET);
	}
	assert_int_equal(w.mails, 0);
}

/* Paper helps whatever is asked for, each code once. */
static void
test_recovery(void **state)
{
	(void)state;
	char codes[RECOVERY_COUNT][RECOVERY_TEXT_SIZE];
	assert_int_equal(factors_recovery_make(w.factors, codes), 0);
	to_code(stranger);
	assert_int_equal(reply(CODE, codes[0]), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
	to_code(stranger);
	assert_int_equal(reply(CODE, codes[0]), LOGIN_WAITS);
	assert_int_equal(w.prompt.wrong, ERR_CODE_WRONG);
	enrol();
	begin(stranger);
	facts(HTML5);
	reply(TOTP, "");
	assert_int_equal(reply(TOTP, codes[1]), -ERR_PROTOCOL); /* not the open prompt */
	begin(stranger);
	facts(HTML5);
	reply(TOTP, "");
	assert_int_equal(reply(RECOVERY, codes[1]), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
}

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
	const struct login_office office = {policy, code, &w.settings, &w.addresses, w.devices,
		.factors = w.factors, .registry = &w.registry, .pairing = &w.pairing};
	login_init(&w.login, &env, &office, "192.0.2.1", stranger, stranger);
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
	assert_int_equal(facts_under(HTML5, &p, 0), -ERR_HTML5_UNPROVED);
	p.html5_without_inspection = p.html5_without_maccheck = 1;
	assert_int_equal(facts_under(HTML5, &p, 0), -ERR_HTML5_UNPROVED);
	p.html5_without_limited_firewall = 1;
	assert_int_equal(facts_under(HTML5, &p, 0), LOGIN_WAITS);
	assert_int_equal(
		facts_under(APP, &p, 0), -ERR_MAC_DENIED); /* an exemption of browsers only */
	p.minimum_build = 2;
	assert_int_equal(facts_under(HTML5, &p, 0), -ERR_CLIENT_OLD);
	p.minimum_build = 1;
	p.server_mac_list = strdup("https://10.0.0.1/list");
	asked_list = MAC_LIST_CLIENT;
	assert_int_equal(facts_under(HTML5, &p, 0), LOGIN_WAITS);
	assert_int_equal(asked_list, MAC_LIST_SERVER);
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
	static const uint8_t office[2][6] = {{0x02, 1, 2, 3, 4, 5}, {0x00, 1, 2, 3, 4, 5}};
	struct facts f = {.mac_count = 2, .macs = {{0, 9, 9, 9, 9, 9}, {0x02, 1, 2, 3, 4, 5}}};
	assert_int_equal(self_has_mac(&f, office, 2), 0); /* made up: many machines have it */
	memcpy(f.macs[1], office[1], 6);
	assert_int_equal(self_has_mac(&f, office, 2), 1);
	assert_int_equal(self_has_mac(&f, office, 1), 0);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_whole),
		T(test_attack_every_order),
		T(test_attack_random_orders),
		T(test_code_wrong),
		T(test_code_tries_of_one_session),
		T(test_code_forms),
		T(test_code_late),
		T(test_code_sends),
		T(test_attack_code_of_other_session),
		T(test_code_reused),
		T(test_mail_fails),
		T(test_password_wrong),
		T(test_password_check_fails),
		T(test_attack_race),
		T(test_attack_stranger_locks_owner),
		T(test_attack_ten_thousand_guesses),
		T(test_attack_totp_replay),
		T(test_attack_totp_guesses),
		T(test_attack_downgrade_to_mail),
		T(test_mail_off),
		T(test_recovery),
		T(test_unset),
		T(test_password_removed_meanwhile),
		T(test_closed),
		T(test_html5_exemptions),
		T(test_kinds),
		T(test_attack_forbidden_network),
		T(test_self),
		T(test_self_signs),
		T(test_otp_disabled),
		T(test_inspection_passed),
		T(test_inspection_refused),
		T(test_attack_posture_of_another_session),
		T(test_working_hours),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
