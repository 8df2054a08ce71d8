/* agent/login: security keys as a code, their registration, and the change of the mail address. */
#include "login_world.h"
#include "soft_key.h"

enum {
	TOTP = engawa_PromptKind_PROMPT_TOTP,
	RECOVERY = engawa_PromptKind_PROMPT_RECOVERY,
	KEY = engawa_PromptKind_PROMPT_WEBAUTHN,
	NEW_KEY = engawa_PromptKind_PROMPT_WEBAUTHN_NEW
};

static const char rp_id[] = "relay.example";
static struct soft_key person_key;

static int
set_up(void **state)
{
	setup(state);
	set(&w.policy.otp_webauthn, "on");
	set(&w.policy.webauthn_rp_id, rp_id);
	soft_key_init(&person_key, WEBAUTHN_ES256, 1);
	return 0;
}

static int
tear_down(void **state)
{
	soft_key_fini(&person_key);
	return teardown(state);
}

static int
come_as(const char *user)
{
	struct facts f = plain_facts(APP);
	snprintf(f.user, sizeof f.user, "%s", user);
	begin(stranger);
	return login_facts(&w.login, &f);
}

static int
come(void)
{
	return come_as("");
}

static int
say_key(const struct soft_key *key)
{
	w.reply = (struct reply){.kind = NEW_KEY, .key = key->made};
	return login_reply(&w.login, &w.reply);
}

static int
sign(struct soft_key *key)
{
	w.reply = (struct reply){.kind = KEY};
	soft_assert(key, rp_id, handshake, &w.reply.assertion);
	return login_reply(&w.login, &w.reply);
}

static int
password_is(int code)
{
	int r = reply(PASSWORD, "secret");
	return r < 0 ? r : login_checked(&w.login, code);
}

/* A key that is in the table. */
static void
registered(struct soft_key *key, const char *person)
{
	char code[PAPER_TEXT_SIZE];
	struct passkey row;
	assert_int_equal(passkeys_begin(w.passkeys, person, "key", w.wall_s, code), 0);
	assert_int_equal(passkeys_check(w.passkeys, code, w.wall_s, &row), 0);
	row.algorithm = key->made.algorithm;
	row.credential_len = key->made.credential_len;
	memcpy(row.credential, key->made.credential, row.credential_len);
	row.public_key_len = key->made.public_key_len;
	memcpy(row.public_key, key->made.public_key, row.public_key_len);
	assert_int_equal(passkeys_add(w.passkeys, &row, w.wall_s), 0);
}

static void
test_key_as_code(void **state)
{
	(void)state;
	registered(&person_key, "");
	assert_int_equal(come(), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, KEY);
	assert_string_equal(w.prompt.rp_id, rp_id);
	assert_int_equal(w.prompt.user_verification, 1);
	assert_int_equal(sign(&person_key), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
	assert_int_equal(password_is(0), LOGIN_PASSED);
	assert_int_equal(w.mails + w.told, 0);
	assert_int_equal(passkeys_at(w.passkeys, 0)->counter, 1);
}

static void
test_registration(void **state)
{
	(void)state;
	char code[PAPER_TEXT_SIZE];
	assert_int_equal(passkeys_begin(w.passkeys, "", "家", w.wall_s, code), 0);
	assert_int_equal(come(), LOGIN_WAITS); /* by mail, as ever */
	assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
	assert_int_equal(reply(CODE, code), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, NEW_KEY);
	assert_int_equal(say_key(&person_key), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, KEY);
	assert_int_equal(sign(&person_key), LOGIN_WAITS);
	assert_int_equal(passkeys_count(w.passkeys), 0); /* not before the password */
	assert_int_equal(password_is(0), LOGIN_PASSED);
	assert_int_equal(passkeys_count(w.passkeys), 1);
	assert_int_equal(w.told, 1);
	assert_int_equal(w.last_kind, engawa_MailKind_MAIL_KEY_ADDED);
	assert_int_equal(come(), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, KEY);
	assert_int_equal(sign(&person_key), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
}

/* Somebody with the mailbox and the password has no registration code: a mail code makes no key,
 * whatever is sent along or in its place. */
static void
test_attack_register_by_mail(void **state)
{
	(void)state;
	char code[PAPER_TEXT_SIZE];
	assert_int_equal(passkeys_begin(w.passkeys, "", "x", w.wall_s, code), 0);
	assert_int_equal(come(), LOGIN_WAITS);
	assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
	assert_int_equal(say_key(&person_key), -ERR_PROTOCOL); /* not what was asked for */
	assert_int_equal(come(), LOGIN_WAITS);
	assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
	w.reply = (struct reply){.kind = CODE, .key = person_key.made};
	strcpy(w.reply.text, w.code);
	assert_int_equal(login_reply(&w.login, &w.reply), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
	w.reply = (struct reply){.kind = PASSWORD, .key = person_key.made};
	assert_int_equal(login_reply(&w.login, &w.reply), LOGIN_WAITS);
	assert_int_equal(login_checked(&w.login, 0), LOGIN_PASSED);
	assert_int_equal(passkeys_count(w.passkeys), 0);
}

/* Who found the registration code and does not know the password; who made a key that he does not
 * have; who brings one and signs with another: nothing is registered. */
static void
test_attack_register_without_all(void **state)
{
	(void)state;
	struct soft_key other;
	char code[PAPER_TEXT_SIZE];
	w.policy.lockout_count = 100;
	soft_key_init(&other, WEBAUTHN_ES256, 2);
	assert_int_equal(passkeys_begin(w.passkeys, "", "x", w.wall_s, code), 0);
	for (int way = 0; way < 4; way++) {
		assert_int_equal(come(), LOGIN_WAITS);
		assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
		assert_int_equal(reply(CODE, code), LOGIN_WAITS);
		assert_int_equal(say_key(&person_key), LOGIN_WAITS);
		if (way == 0) {
			assert_int_equal(sign(&person_key), LOGIN_WAITS);
			assert_int_equal(password_is(-ERR_PASSWORD_WRONG), LOGIN_WAITS);
		} else if (way == 1) {
			assert_int_equal(sign(&other), LOGIN_WAITS);
			assert_int_equal(w.prompt.wrong, ERR_WEBAUTHN_WRONG);
		} else if (way == 2) {
			assert_int_equal(reply(KEY, code), -ERR_PROTOCOL);
		} else {
			memcpy(other.made.credential, person_key.made.credential, 16);
			assert_int_equal(sign(&other), LOGIN_WAITS);
			assert_int_equal(w.prompt.wrong, ERR_WEBAUTHN_WRONG);
		}
	}
	assert_int_equal(passkeys_count(w.passkeys), 0);
	soft_key_fini(&other);
}

/* Without a registration code that is open, 25 characters are a wrong code like any other. */
static void
test_attack_guessed_registration(void **state)
{
	(void)state;
	char code[PAPER_TEXT_SIZE];
	assert_int_equal(passkeys_begin(w.passkeys, "", "x", w.wall_s, code), 0);
	assert_int_equal(passkeys_cancel(w.passkeys), 0);
	assert_int_equal(come(), LOGIN_WAITS);
	assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(reply(CODE, code), LOGIN_WAITS);
		assert_int_equal(w.prompt.wrong, ERR_CODE_WRONG);
	}
	assert_int_equal(reply(CODE, code), -ERR_LOCKED_OUT);
}

/* Recorded in this handshake's own session before, in another one, by a copy of the key, by a key
 * of nobody: each is a failure that counts. */
static void
test_attack_assertions(void **state)
{
	(void)state;
	static const uint8_t other_hash[32] = {1};
	struct soft_key copy, nobody;
	soft_key_init(&nobody, WEBAUTHN_ES256, 9);
	registered(&person_key, "");
	assert_int_equal(come(), LOGIN_WAITS);
	assert_int_equal(sign(&person_key), LOGIN_WAITS);
	struct reply recorded = w.reply;
	copy = person_key;
	copy.counter = 0;
	assert_int_equal(w.prompt.kind, PASSWORD);
	assert_int_equal(come(), LOGIN_WAITS);
	assert_int_equal(login_reply(&w.login, &recorded), LOGIN_WAITS);
	assert_int_equal(w.prompt.wrong, ERR_WEBAUTHN_WRONG);
	assert_int_equal(sign(&copy), LOGIN_WAITS);
	assert_int_equal(w.prompt.wrong, ERR_WEBAUTHN_WRONG);
	assert_int_equal(sign(&nobody), LOGIN_WAITS);
	assert_int_equal(w.prompt.wrong, ERR_WEBAUTHN_WRONG);
	w.reply = (struct reply){.kind = KEY};
	soft_assert(&person_key, rp_id, other_hash, &w.reply.assertion);
	assert_int_equal(login_reply(&w.login, &w.reply), LOGIN_WAITS);
	assert_int_equal(w.prompt.wrong, ERR_WEBAUTHN_WRONG);
	w.reply = (struct reply){.kind = KEY};
	soft_assert(&person_key, "evil.example", handshake, &w.reply.assertion);
	assert_int_equal(login_reply(&w.login, &w.reply), -ERR_LOCKED_OUT);
	soft_key_fini(&nobody);
}

/* Who has the mailbox and no key: no mail, unless policy says recovery; under "only" not even then,
 * and no app. */
static void
test_attack_downgrade(void **state)
{
	(void)state;
	registered(&person_key, "");
	assert_int_equal(come(), LOGIN_WAITS);
	assert_int_equal(reply(KEY, ""), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, RECOVERY);
	assert_int_equal(reply(RECOVERY, ""), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, KEY);
	set(&w.policy.otp_mail, "recovery");
	assert_int_equal(come(), LOGIN_WAITS);
	assert_int_equal(reply(KEY, ""), LOGIN_WAITS);
	assert_int_equal(reply(RECOVERY, ""), LOGIN_WAITS);
	assert_int_equal(w.mails, 1);
	assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, CODE);
	set(&w.policy.otp_webauthn, "only");
	assert_int_equal(come(), LOGIN_WAITS);
	assert_int_equal(reply(KEY, ""), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, RECOVERY);
	assert_int_equal(reply(RECOVERY, ""), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, KEY);
	for (int i = 0; i < LOGIN_TURNS_MAX - 2; i++)
		assert_int_equal(reply(w.prompt.kind, ""), LOGIN_WAITS);
	assert_int_equal(reply(w.prompt.kind, ""), -ERR_LIMIT);
	assert_int_equal(w.mails, 1);
}

static void
test_only_keys(void **state)
{
	(void)state;
	char code[PAPER_TEXT_SIZE], paper[RECOVERY_COUNT][RECOVERY_TEXT_SIZE];
	set(&w.policy.otp_webauthn, "only");
	assert_int_equal(factors_recovery_make(w.factors, paper), 0);
	assert_int_equal(come(), -ERR_WEBAUTHN_UNSET);
	assert_int_equal(passkeys_begin(w.passkeys, "", "x", w.wall_s, code), 0);
	assert_int_equal(come(), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, RECOVERY);
	assert_int_equal(reply(RECOVERY, code), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, NEW_KEY);
	assert_int_equal(reply(NEW_KEY, ""), LOGIN_WAITS); /* not after all */
	assert_int_equal(w.prompt.kind, RECOVERY);
	assert_int_equal(reply(RECOVERY, code), LOGIN_WAITS);
	assert_int_equal(say_key(&person_key), LOGIN_WAITS);
	assert_int_equal(sign(&person_key), LOGIN_WAITS);
	assert_int_equal(password_is(0), LOGIN_PASSED);
	assert_int_equal(come(), LOGIN_WAITS);
	assert_int_equal(reply(KEY, ""), LOGIN_WAITS);
	assert_int_equal(reply(RECOVERY, paper[0]), LOGIN_WAITS); /* the way out of a lost key */
	assert_int_equal(w.prompt.kind, PASSWORD);
	assert_int_equal(w.mails, 0);
	set(&w.policy.otp_webauthn, "off");
	assert_int_equal(come(), LOGIN_WAITS);
	assert_int_equal(w.mails, 1); /* keys count while policy says so */
}

/* A key that was removed is dead at once. */
static void
test_attack_removed_key(void **state)
{
	(void)state;
	struct soft_key second;
	soft_key_init(&second, WEBAUTHN_EDDSA, 2);
	registered(&person_key, "");
	registered(&second, "");
	assert_int_equal(come(), LOGIN_WAITS);
	assert_int_equal(passkeys_remove(w.passkeys, 0), 0);
	assert_int_equal(sign(&person_key), LOGIN_WAITS);
	assert_int_equal(w.prompt.wrong, ERR_WEBAUTHN_WRONG);
	assert_int_equal(sign(&second), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
	soft_key_fini(&second);
}

/* ---- several persons ---- */

static void
add_user(const char *name, const char *verifier)
{
	struct user *u = &w.users.list[w.users.count++];
	strcpy(u->name, name);
	strcpy(u->verifier, verifier);
}

static void
test_name_with_the_password(void **state)
{
	(void)state;
	w.policy.disable_otp = 1;
	add_user("tanaka", "$argon2id$t");
	assert_int_equal(come(), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
	assert_int_equal(w.prompt.person, 1);
	w.reply = (struct reply){.kind = PASSWORD, .text = "x", .user = "ＴＡＮＡＫＡ"};
	assert_int_equal(login_reply(&w.login, &w.reply), LOGIN_WAITS);
	assert_string_equal(w.verifier, "$argon2id$t");
	assert_int_equal(login_checked(&w.login, -ERR_PASSWORD_WRONG), LOGIN_WAITS);
	assert_int_equal(w.prompt.person, 1);
	w.reply = (struct reply){.kind = PASSWORD, .text = "x", .user = "suzuki"};
	assert_int_equal(login_reply(&w.login, &w.reply), LOGIN_WAITS);
	assert_string_equal(w.verifier, LOGIN_NOBODY); /* and the same words follow */
	assert_int_equal(login_checked(&w.login, -ERR_PASSWORD_WRONG), LOGIN_WAITS);
	assert_int_equal(w.prompt.wrong, ERR_PASSWORD_WRONG);
	assert_int_equal(reply(PASSWORD, "x"), -ERR_PERSON_NAME);
	assert_int_equal(come_as("tanaka"), LOGIN_WAITS); /* told before: not asked again */
	assert_int_equal(w.prompt.person, 0);
	w.reply = (struct reply){.kind = PASSWORD, .text = "x", .user = "suzuki"};
	assert_int_equal(login_reply(&w.login, &w.reply), LOGIN_WAITS);
	assert_string_equal(w.verifier, "$argon2id$t");
}

/* A stranger learns from the login up to the code neither that there are several persons nor who.
 */
static void
test_attack_persons_before_the_code(void **state)
{
	(void)state;
	static const char *const names[] = {"", "tanaka", "nobody", "*"};
	struct prompt first;
	for (int users = 0; users < 2; users++) {
		for (size_t i = 0; i < 4; i++) {
			assert_int_equal(come_as(names[i]), LOGIN_WAITS);
			assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
			if (users == 0 && i == 0)
				first = w.prompt;
			assert_memory_equal(&first, &w.prompt, sizeof first);
		}
		add_user("tanaka", "$argon2id$t");
	}
}

/* One's own key and a colleague's name, with the colleague's password: as wrong as any. */
static void
test_attack_key_of_another_person(void **state)
{
	(void)state;
	struct soft_key everybody;
	soft_key_init(&everybody, WEBAUTHN_ES256, 5);
	add_user("tanaka", "$argon2id$t");
	add_user("suzuki", "$argon2id$s");
	registered(&person_key, "suzuki");
	registered(&everybody, ""); /* from the time before there were several persons */
	assert_int_equal(come_as("tanaka"), LOGIN_WAITS);
	assert_int_equal(sign(&person_key), LOGIN_WAITS);
	assert_int_equal(reply(PASSWORD, "of tanaka"), LOGIN_WAITS);
	assert_string_equal(w.verifier, LOGIN_NOBODY);
	assert_int_equal(come_as("suzuki"), LOGIN_WAITS);
	assert_int_equal(sign(&everybody), LOGIN_WAITS);
	assert_int_equal(w.prompt.wrong, ERR_WEBAUTHN_WRONG);
	assert_int_equal(sign(&person_key), LOGIN_WAITS);
	assert_int_equal(reply(PASSWORD, "of suzuki"), LOGIN_WAITS);
	assert_string_equal(w.verifier, "$argon2id$s");
	soft_key_fini(&everybody);
}

/* ---- the address for codes ---- */

static void
ask_for_change(void)
{
	strcpy(w.settings.mail_next, "tanaka@new.example.lg.jp");
	w.settings.mail_next_until_s = w.wall_s + 3600;
}

static void
to_new_address(void)
{
	assert_int_equal(come(), LOGIN_WAITS);
	assert_string_equal(w.to, "tanaka@city.example.lg.jp");
	assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
	assert_int_equal(w.prompt.new_address, 0);
	assert_int_equal(reply(CODE, w.code), LOGIN_WAITS);
	assert_int_equal(password_is(0), LOGIN_WAITS);
	assert_int_equal(w.last_kind, engawa_MailKind_MAIL_NEW_ADDRESS);
	assert_string_equal(w.to, "tanaka@new.example.lg.jp");
}

static void
test_address_change(void **state)
{
	(void)state;
	ask_for_change();
	to_new_address();
	assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, CODE);
	assert_int_equal(w.prompt.new_address, 1);
	assert_string_equal(w.prompt.masked_address, "t***@new.example.lg.jp");
	assert_int_equal(reply(CODE, w.code), LOGIN_PASSED);
	assert_int_equal(w.confirmed, 1);
	assert_int_equal(w.told, 1);
	assert_string_equal(w.to, "tanaka@city.example.lg.jp"); /* the old one is told */
	assert_string_equal(w.settings.mail, "tanaka@new.example.lg.jp");
}

/* What goes wrong with the new address keeps nobody out, and changes nothing. */
static void
test_address_later(void **state)
{
	(void)state;
	ask_for_change();
	to_new_address();
	assert_int_equal(login_mailed(&w.login, -ERR_MAIL_BOUNCED), LOGIN_PASSED);
	to_new_address();
	assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
	assert_int_equal(reply(CODE, ""), LOGIN_PASSED);
	to_new_address();
	assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
	w.mail_fails = 1; /* the old address cannot be told */
	assert_int_equal(reply(CODE, w.code), LOGIN_PASSED);
	w.mail_fails = 0;
	w.wall_s += 3600; /* too late */
	assert_int_equal(come(), LOGIN_WAITS);
	assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
	assert_int_equal(reply(CODE, w.code), LOGIN_WAITS);
	assert_int_equal(password_is(0), LOGIN_PASSED);
	assert_int_equal(w.confirmed, 0);
}

/* Another address is asked for while the code of the first is on its way: whoever returns that code
 * has confirmed the first, and the second gets nothing. */
static void
test_attack_address_swapped_meanwhile(void **state)
{
	(void)state;
	ask_for_change();
	to_new_address();
	strcpy(w.settings.mail_next, "mallory@elsewhere.example");
	assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
	assert_string_equal(w.prompt.masked_address, "t***@new.example.lg.jp");
	assert_int_equal(reply(CODE, w.code), LOGIN_PASSED);
	assert_int_equal(w.confirmed, 0);
	assert_string_equal(w.settings.mail, "tanaka@city.example.lg.jp");
}

/* Disabled or removed after the password was found right, before the login is through: not let in,
 * and nothing that only a whole login may do is done. */
static void
test_attack_person_disabled_meanwhile(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		w.users = (struct users){.count = 0};
		add_user("tanaka", "$argon2id$t");
		ask_for_change();
		assert_int_equal(come_as("tanaka"), LOGIN_WAITS);
		assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
		assert_int_equal(reply(CODE, w.code), LOGIN_WAITS);
		assert_int_equal(reply(PASSWORD, "of tanaka"), LOGIN_WAITS);
		assert_int_equal(login_checked(&w.login, 0), LOGIN_WAITS);
		if (i)
			w.users.count = 0;
		else
			w.users.list[0].disabled = 1;
		assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
		assert_int_equal(reply(CODE, w.code), -ERR_PERSON_DENIED);
		assert_int_equal(w.confirmed, 0);
	}
}

/* Whoever set it at the unlocked office PC has not the old mailbox, or not the password, or cannot
 * read the new address: it stays as it is. The code of the login is none for the address. */
static void
test_attack_address_change(void **state)
{
	(void)state;
	char login_code[LOGIN_CODE_DIGITS + 1];
	w.policy.lockout_count = 100;
	ask_for_change();
	assert_int_equal(come(), LOGIN_WAITS);
	assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
	assert_int_equal(reply(CODE, strcmp(w.code, "00000000") ? "00000000" : "1"), LOGIN_WAITS);
	assert_int_equal(reply(CODE, w.code), LOGIN_WAITS);
	assert_int_equal(password_is(-ERR_PASSWORD_WRONG), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
	do {
		assert_int_equal(come(), LOGIN_WAITS);
		assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
		strcpy(login_code, w.code);
		assert_int_equal(reply(CODE, w.code), LOGIN_WAITS);
		assert_int_equal(password_is(0), LOGIN_WAITS);
	} while (strcmp(login_code, w.code) == 0);
	assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
	for (int i = 0; i < LOGIN_TRIES_MAX - 1; i++) {
		assert_int_equal(reply(CODE, login_code), LOGIN_WAITS);
		assert_int_equal(w.prompt.wrong, ERR_CODE_WRONG);
	}
	assert_int_equal(reply(CODE, login_code), -ERR_CODE_WRONG);
	/* one that policy does not allow, and a login without any code */
	set(&w.policy.otp_endwith, "@city.example.lg.jp");
	assert_int_equal(come(), LOGIN_WAITS);
	assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
	assert_int_equal(reply(CODE, w.code), LOGIN_WAITS);
	assert_int_equal(password_is(0), LOGIN_PASSED);
	set(&w.policy.otp_endwith, "");
	w.policy.disable_otp = 1;
	assert_int_equal(come(), LOGIN_WAITS);
	assert_int_equal(password_is(0), LOGIN_PASSED);
	assert_int_equal(w.confirmed, 0);
	assert_string_equal(w.settings.mail, "tanaka@city.example.lg.jp");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		T(test_key_as_code),
		T(test_registration),
		T(test_attack_register_by_mail),
		T(test_attack_register_without_all),
		T(test_attack_guessed_registration),
		T(test_attack_assertions),
		T(test_attack_downgrade),
		T(test_only_keys),
		T(test_attack_removed_key),
		T(test_name_with_the_password),
		T(test_attack_persons_before_the_code),
		T(test_attack_key_of_another_person),
		T(test_address_change),
		T(test_address_later),
		T(test_attack_address_swapped_meanwhile),
		T(test_attack_person_disabled_meanwhile),
		T(test_attack_address_change),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
