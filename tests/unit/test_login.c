/* agent/login: the order of steps, codes by mail, passwords, lock-outs. */
#include "login_world.h"

#include "crypto/noise.h"

static const uint8_t other[32] = {2}, owner[32] = {3};

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

/* What is tried: every message at every point of the login where another one is due, and every
 * message after that. What comes of it: a fault of the protocol, and the login is over for good.
 * */
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

/* What is tried: the code that was mailed for another handshake. What comes of it: a wrong code.
 * */
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

/* What became of an earlier mail is said beside the prompt for a code by mail and at no other time,
 * until a code has come back from there. */
static void
test_mail_came_back(void **state)
{
	(void)state;
	w.settings.mail_back_s = w.wall_s - 60;
	begin(stranger);
	assert_null(login_mail_waits(&w.login));
	assert_int_equal(facts(HTML5), LOGIN_WAITS);
	assert_null(login_mail_waits(&w.login));
	assert_int_equal(w.notice, 0);
	assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
	assert_int_equal(w.notice, ERR_MAIL_CAME_BACK);
	assert_int_equal(w.prompt.wrong, 0);
	assert_string_equal(login_mail_waits(&w.login), w.settings.mail);
	w.notice = 0;
	assert_int_equal(reply(CODE, "00000000"), LOGIN_WAITS);
	assert_int_equal(w.notice, 0);
	assert_true(w.settings.mail_back_s != 0);
	assert_int_equal(reply(CODE, w.code), LOGIN_WAITS);
	assert_int_equal(w.settings.mail_back_s, 0);
	assert_int_equal(w.prompt.kind, PASSWORD);
	assert_null(login_mail_waits(&w.login));
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

/* What is tried: forty logins of a stranger with wrong codes. What comes of it: strangers are
 * locked out, and the owner's device comes in. */
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

/* Tried: whoever knows the terminal ID asks for codes and leaves before there is a failure. Comes
 * of it: strangers get as many as policy says, which is less than the relay mails; the owner's
 * device gets its own all the while, and a notice that follows a whole login still goes out. */
static void
test_attack_codes_asked_for_and_left(void **state)
{
	(void)state;
	w.policy.otp_mail_strangers = 2;
	assert_int_equal(devices_login(w.devices, owner, "owner", w.wall_s), 0);
	for (int i = 0; i < 40; i++) {
		begin(stranger);
		assert_int_equal(facts(HTML5), i < 2 ? LOGIN_WAITS : -ERR_LIMIT);
	}
	assert_int_equal(w.mails, 2);
	assert_in_range(w.login.retry_s, 1, STRANGERS_MAILS_S);
	for (int i = 0; i < 5; i++)
		to_password(owner);
	begin(stranger);
	assert_int_equal(
		login_send(&w.login, engawa_MailKind_MAIL_PAPER_USED, w.settings.mail, ""), 0);
	assert_int_equal(w.told, 1);
	w.wall_s += STRANGERS_MAILS_S;
	to_password(stranger);
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
		T(test_mail_came_back),
		T(test_password_wrong),
		T(test_password_check_fails),
		T(test_attack_race),
		T(test_attack_stranger_locks_owner),
		T(test_attack_codes_asked_for_and_left),
		T(test_attack_ten_thousand_guesses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
