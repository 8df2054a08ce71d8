/* agent/login: authenticator apps and codes on paper. */
#include "login_world.h"

#include <liboath/oath.h>

static const uint8_t other[32] = {2};

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
	assert_int_equal(w.told, 0); /* not before the whole login */
	assert_int_equal(reply(PASSWORD, "secret"), LOGIN_WAITS);
	assert_int_equal(login_checked(&w.login, 0), LOGIN_PASSED);
	assert_int_equal(w.told, 1);
	assert_int_equal(w.last_kind, engawa_MailKind_MAIL_PAPER_USED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_attack_totp_replay),
		T(test_attack_totp_guesses),
		T(test_attack_downgrade_to_mail),
		T(test_mail_off),
		T(test_recovery),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
