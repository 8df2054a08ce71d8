/* agent/password, users, radius, directory, check: the person step's parts, and the step with them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <argon2.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "agent/check.h"
#include "agent/directory.h"
#include "agent/local_peer.h"
#include "agent/login.h"
#include "agent/password.h"
#include "agent/radius.h"
#include "base/err.h"
#include "base/ipc.h"
#include "inner.pb.h"

static struct pepper pepper = {.key = {1, 2, 3}}, other_pepper = {.key = {1, 2, 4}};

/* ---- passwords ---- */

static int
fit(const char *text, int kinds, int alone, int waived)
{
	struct password_choice choice = {.kinds = kinds,
		.alone = alone,
		.waived = waived,
		.names = {"tanaka", "engawa-shi"}};
	return password_fit(text, &choice);
}

static void
test_rules(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int seed, nist, alone;
	} rows[] = {
		/* seed: 8 of 3 kinds, 16 of 2, 24 */
		{"Kawara7u", 0, 0, -ERR_PASSWORD_SHORT},
		{"kawarayu", -ERR_PASSWORD_WEAK, 0, -ERR_PASSWORD_SHORT},
		{"kawara yane to tsubame", 0, 0, 0},
		{"kawarayanetotsu", -ERR_PASSWORD_WEAK, 0, 0},
		{"Kawar7u", -ERR_PASSWORD_WEAK, -ERR_PASSWORD_SHORT, -ERR_PASSWORD_SHORT},
		{"縁側と瓦と燕の巣", -ERR_PASSWORD_WEAK, 0, -ERR_PASSWORD_SHORT},
		{"𠮷野家で牛丼を食べる十五文字分だ", -ERR_PASSWORD_WEAK, 0, 0},
		/* both: lists and patterns */
		{"P@ssword", -ERR_PASSWORD_LISTED, -ERR_PASSWORD_LISTED, -ERR_PASSWORD_SHORT},
		{"Ｐ＠ｓｓｗｏｒｄ", -ERR_PASSWORD_WEAK, -ERR_PASSWORD_LISTED, -ERR_PASSWORD_SHORT},
		{"aaaaaaaaaaaaaaaaaaaaaaaa", -ERR_PASSWORD_GUESSABLE, -ERR_PASSWORD_GUESSABLE,
			-ERR_PASSWORD_GUESSABLE},
		{"Ab1!Ab1!Ab1!Ab1!", -ERR_PASSWORD_GUESSABLE, -ERR_PASSWORD_GUESSABLE,
			-ERR_PASSWORD_GUESSABLE},
		{"abcdefghijklmnopqrstuvwxyz", -ERR_PASSWORD_GUESSABLE, -ERR_PASSWORD_GUESSABLE,
			-ERR_PASSWORD_GUESSABLE},
		{"987654321", -ERR_PASSWORD_WEAK, -ERR_PASSWORD_GUESSABLE, -ERR_PASSWORD_SHORT},
		{"Tanaka12", -ERR_PASSWORD_GUESSABLE, -ERR_PASSWORD_GUESSABLE, -ERR_PASSWORD_SHORT},
		{"Engawa-Shi24", -ERR_PASSWORD_GUESSABLE, -ERR_PASSWORD_GUESSABLE,
			-ERR_PASSWORD_SHORT},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		print_message("%s\n", rows[i].text);
		assert_int_equal(fit(rows[i].text, 1, 0, 0), rows[i].seed);
		assert_int_equal(fit(rows[i].text, 0, 0, 0), rows[i].nist);
		assert_int_equal(fit(rows[i].text, 0, 1, 0), rows[i].alone);
	}
	assert_int_equal(fit("password", 1, 1, 1), 0);
	assert_int_equal(fit("abc", 1, 1, 1), -ERR_PASSWORD_SHORT);
	assert_int_equal(fit("Kawara7\nu", 0, 0, 0), -ERR_PASSWORD_WEAK);
	char longest[PASSWORD_MAX_BYTES + 2];
	for (size_t i = 0; i < sizeof longest; i++)
		longest[i] = (char)('a' + i * i % 23);
	longest[PASSWORD_MAX_BYTES + 1] = '\0';
	assert_int_equal(fit(longest, 0, 1, 0), -ERR_PASSWORD_WEAK);
	longest[PASSWORD_MAX_BYTES] = '\0';
	assert_int_equal(fit(longest, 0, 1, 0), 0);
}

static void
test_block_list(void **state)
{
	(void)state;
	struct password_choice choice = {.list = "/tmp/engawa-test-list.XXXXXX"};
	int fd = mkstemp(choice.list);
	static const char text[] = "\xef\xbb\xbfsomething\r\nKawara Yane\r\n\r\nlast one here";
	assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
	close(fd);
	assert_int_equal(password_fit("kawara yane", &choice), -ERR_PASSWORD_LISTED);
	assert_int_equal(password_fit("last one here", &choice), -ERR_PASSWORD_LISTED);
	assert_int_equal(password_fit("kawara yane 2", &choice), 0);
	unlink(choice.list);
	/* a list that is gone lets nothing pass */
	assert_int_equal(password_fit("kawara yane 2", &choice), -ENOENT);
}

static void
test_hashes(void **state)
{
	(void)state;
	char hash[SETTINGS_HASH_SIZE], again[SETTINGS_HASH_SIZE], old[SETTINGS_HASH_SIZE];
	assert_int_equal(password_hash(&pepper, "が Abc", hash), 0);
	assert_int_equal(password_hash(&pepper, "が Abc", again), 0);
	assert_string_not_equal(hash, again);
	assert_int_equal(strncmp(hash, "$pepper$argon2id$v=19$m=65536,t=3,p=1$", 38), 0);
	assert_int_equal(password_check(&pepper, hash, "が Abc"), 0);
	assert_int_equal(
		password_check(&pepper, hash, "\xe3\x81\x8b\xe3\x82\x99 Abc"), 0); /* NFD */
	assert_int_equal(password_check(&pepper, hash, "か Abc"), -ERR_PASSWORD_WRONG);
	assert_int_equal(password_check(&pepper, hash, ""), -ERR_PASSWORD_WRONG);
	assert_int_equal(password_check(&pepper, hash, "\xff"), -ERR_PASSWORD_WRONG);
	/* the settings file without the key */
	assert_int_equal(password_check(&other_pepper, hash, "が Abc"), -ERR_PASSWORD_WRONG);
	assert_int_equal(password_check_nobody(&pepper, "x"), -ERR_PASSWORD_WRONG);
	assert_true(password_check(&pepper, "", "") < 0);
	assert_true(password_check(&pepper, "$pepper", "") < 0);
	assert_true(password_check(&pepper, "$pepper$argon2id$", "") < 0);
	assert_true(password_check(&pepper, "$argon2id$", "") < 0);
	assert_false(password_is_old(&pepper, hash));
	/* before the pepper, and with less memory */
	assert_int_equal(
		argon2id_hash_encoded(1, 64, 1, "Abc", 3, "12345678", 8, 32, old, sizeof old), 0);
	assert_true(password_is_hash(old) && password_is_old(&pepper, old));
	assert_int_equal(password_check(&pepper, old, "Abc"), 0);
	assert_true(password_is_old(&pepper, "$pepper$argon2id$v=19$m=4096,t=3,p=1$c2FsdA$aGFzaA"));
	assert_false(password_is_hash("radius"));
}

static void
test_pepper_file(void **state)
{
	(void)state;
	char directory[] = "/tmp/engawa-test-pepper.XXXXXX", path[64];
	struct pepper made = {.key = {0}}, read = {.key = {0}};
	struct stat st;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/pepper", directory);
	assert_int_equal(pepper_load(path, 0, &made), -ENOENT);
	assert_int_equal(pepper_load(path, 1, &made), 0);
	assert_int_equal(pepper_load(path, 0, &read), 0);
	assert_memory_equal(made.key, read.key, sizeof made.key);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	chmod(path, 0644);
	assert_int_equal(pepper_load(path, 1, &read), -EPERM);
	chmod(path, 0600);
	assert_int_equal(truncate(path, 10), 0);
	assert_int_equal(pepper_load(path, 1, &read), -ERR_SETTING);
	unlink(path);
	rmdir(directory);
}

/* ---- users ---- */

static void
test_names(void **state)
{
	(void)state;
	char name[USER_NAME_SIZE];
	static const char *const bad[] = {"", " ", "a b", "a*", "**", "a)(uid=*", "a\\2a", "a/b",
		"a\nb", "a,b", "a=b", "-x", "\xff", "a'b", "a\tb", "a;b", "a\"b", "ａ＊"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(user_fold(bad[i], name), -ERR_PERSON_NAME);
		assert_string_equal(name, "");
	}
	assert_int_equal(user_fold("Ｔａｎａｋａ．Taro", name), 0);
	assert_string_equal(name, "tanaka.taro");
	assert_int_equal(user_fold("*", name), 0);
	assert_int_equal(user_fold("田中", name), 0);
	assert_string_equal(name, "田中");
}

static void
test_table(void **state)
{
	(void)state;
	static struct users users, back;
	char path[] = "/tmp/engawa-test-users.XXXXXX";
	close(mkstemp(path));
	users.count = 3;
	users.list[0] = (struct user){"tanaka", "$pepper$argon2id$x", "2026-12-31", 0};
	users.list[1] = (struct user){"suzuki", "ldap", "", 1};
	users.list[2] = (struct user){"*", "radius", "", 0};
	assert_int_equal(users_save(path, &users), 0);
	assert_int_equal(users_load(path, &back, NULL), 0);
	assert_int_equal(back.count, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_string_equal(back.list[i].name, users.list[i].name);
		assert_string_equal(back.list[i].verifier, users.list[i].verifier);
		assert_string_equal(back.list[i].expires, users.list[i].expires);
		assert_int_equal(back.list[i].disabled, users.list[i].disabled);
	}
	assert_ptr_equal(users_find(&back, "suzuki"), &back.list[1]);
	assert_ptr_equal(users_find(&back, "sato"), &back.list[2]);
	assert_null(users_find(&back, "*"));
	assert_null(users_find(&back, ""));
	static const char *const bad[] = {"USER ldap - on a\nUSER ldap - on a\n",
		"USER plain - on a\n", "USER ldap 2026-02-30 on a\n", "USER ldap - maybe a\n",
		"USER ldap - on a b\n", "USER ldap - on A\n", "USER ldap - on\n", "OTHER x\n"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		FILE *f = fopen(path, "w");
		fputs(bad[i], f);
		fclose(f);
		assert_int_equal(users_load(path, &back, NULL), -ERR_SETTING);
	}
	unlink(path);
	assert_int_equal(users_load(path, &back, NULL), 0);
	assert_int_equal(back.count, 0);
}

static void
test_expiry(void **state)
{
	(void)state;
	struct user u = {.expires = "2027-01-15"};
	/* 1800000000 is 2027-01-15 08:00 UTC */
	assert_false(user_expired(&u, 1800000000));
	assert_true(user_expired(&u, 1800000000 + 2 * 86400));
	u.expires[0] = '\0';
	assert_false(user_expired(&u, UINT32_MAX));
	assert_true(user_date_fit("2028-02-29") && !user_date_fit("2027-02-29"));
	assert_false(
		user_date_fit("2027-1-1") || user_date_fit("") || user_date_fit("2027-01-01 "));
}

/* ---- the step ---- */

static struct world {
	struct policy policy;
	struct registry registry;
	struct pairing pairing;
	struct settings settings;
	struct iplist addresses;
	struct devices *devices, *persons;
	struct users users;
	char path[2][64], verifier[SETTINGS_HASH_SIZE];
	unsigned prompts, checks;
	uint64_t wall_s;
	struct login login;
} w;

static void
on_prompt(void *user, const struct prompt *prompt)
{
	(void)user;
	w.prompts++;
	assert_int_equal(prompt->kind, engawa_PromptKind_PROMPT_PASSWORD);
}

static void
on_check(void *user, const char *verifier, const char *text)
{
	(void)user, (void)text;
	snprintf(w.verifier, sizeof w.verifier, "%s", verifier);
	w.checks++;
}

static int
on_self(void *user, const struct facts *facts)
{
	(void)user, (void)facts;
	return 0;
}

static struct mono
on_now(void *user)
{
	(void)user;
	return (struct mono){1};
}

static uint64_t
on_wall(void *user)
{
	(void)user;
	return w.wall_s;
}

static const uint8_t device[2][32] = {{1}, {2}}, stranger[32] = {9};

static int
setup(void **state)
{
	(void)state;
	memset(&w, 0, sizeof w);
	policy_init(&w.policy);
	w.policy.disable_otp = w.policy.disable_inspection = w.policy.disable_maccheck =
		w.policy.disable_devicecheck = w.policy.disable_limited_firewall = 1;
	w.wall_s = 1800000000;
	for (int i = 0; i < 2; i++) {
		strcpy(w.path[i], "/tmp/engawa-test-persons.XXXXXX");
		close(mkstemp(w.path[i]));
		unlink(w.path[i]);
		assert_int_equal(devices_open(w.path[i], i ? &w.persons : &w.devices, NULL), 0);
		devices_login(w.devices, device[i], "", w.wall_s);
	}
	w.users.count = 4;
	w.users.list[0] = (struct user){"tanaka", "$argon2id$t", "2027-01-20", 0};
	w.users.list[1] = (struct user){"suzuki", "ldap", "", 0};
	w.users.list[2] = (struct user){"sato", "$argon2id$s", "", 1};
	w.users.list[3] = (struct user){"ito", "$argon2id$i", "2027-01-01", 0};
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	login_fini(&w.login);
	policy_fini(&w.policy);
	devices_free(w.devices);
	devices_free(w.persons);
	unlink(w.path[0]);
	unlink(w.path[1]);
	return 0;
}

static int
begin(const uint8_t *from, const char *user)
{
	static const struct login_env env = {.prompt = on_prompt,
		.check = on_check,
		.is_self = on_self,
		.now = on_now,
		.wall_s = on_wall};
	static const uint8_t hash[32];
	const struct login_office office = {.policy = &w.policy,
		.settings = &w.settings,
		.addresses = &w.addresses,
		.devices = w.devices,
		.registry = &w.registry,
		.pairing = &w.pairing,
		.users = &w.users,
		.persons = w.persons};
	struct facts facts = {.kind = engawa_ClientKind_CLIENT_APP, .build = 1, .window_mib = 8};
	strcpy(facts.user, user);
	login_init(&w.login, &env, &office, "192.0.2.1", from, hash);
	return login_facts(&w.login, &facts);
}

static int
answer(int code)
{
	struct reply reply = {.kind = engawa_PromptKind_PROMPT_PASSWORD, .text = "x"};
	int r = login_reply(&w.login, &reply);
	return r < 0 ? r : login_checked(&w.login, code);
}

static void
test_persons(void **state)
{
	(void)state;
	assert_int_equal(begin(stranger, "Ｔanaka"), LOGIN_WAITS);
	assert_int_equal(answer(0), LOGIN_PASSED);
	assert_string_equal(w.verifier, "$argon2id$t");
	begin(stranger, "suzuki");
	assert_int_equal(answer(0), LOGIN_PASSED);
	assert_string_equal(w.verifier, "ldap");
	assert_int_equal(begin(stranger, ""), LOGIN_WAITS);
	assert_int_equal(answer(0), -ERR_PERSON_NAME); /* a client that cannot ask for it */
	/* the single password is nobody's now */
	strcpy(w.settings.password, "$argon2id$single");
	begin(stranger, "nobody");
	assert_int_equal(answer(-ERR_PASSWORD_WRONG), LOGIN_WAITS);
	assert_string_equal(w.verifier, LOGIN_NOBODY);
	/* but there are persons no longer */
	w.users.count = 0;
	begin(stranger, "");
	assert_int_equal(answer(0), LOGIN_PASSED);
	assert_string_equal(w.verifier, "$argon2id$single");
}

/* Whether a name exists is asked of the same function, and refused with the same words. */
static void
test_attack_names_cannot_be_told_apart(void **state)
{
	(void)state;
	static const char *const names[] = {
		"tanaka", "nobody", "sato", "ito", "suzuki", "*", "a)(uid=*", "tanaka)(|(uid=*"};
	w.policy.lockout_count = 100;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		assert_int_equal(begin(stranger, names[i]), LOGIN_WAITS);
		assert_int_equal(answer(-ERR_PASSWORD_WRONG), LOGIN_WAITS);
		assert_int_equal(w.checks, i + 1);
	}
	assert_string_equal(w.verifier, LOGIN_NOBODY); /* never in a question to a directory */
}

static void
test_only_who_knows_the_password_is_told(void **state)
{
	(void)state;
	begin(stranger, "sato");
	assert_int_equal(answer(0), -ERR_PERSON_DENIED);
	begin(stranger, "ito");
	assert_int_equal(answer(0), -ERR_PERSON_EXPIRED);
	begin(stranger, "suzuki");
	assert_int_equal(answer(-ERR_PERSON_EXPIRED), -ERR_PERSON_EXPIRED);
	begin(stranger, "suzuki");
	assert_int_equal(answer(-ENOMEM), -ERR_INTERNAL);
	begin(stranger, "suzuki");
	assert_int_equal(answer(-ERR_PERSON_SERVICE), -ERR_PERSON_SERVICE);
	/* a service that is down locks nobody out */
	for (int i = 0; i < 20; i++) {
		assert_int_equal(begin(stranger, "suzuki"), LOGIN_WAITS);
		assert_int_equal(answer(-ERR_PERSON_SERVICE), -ERR_PERSON_SERVICE);
	}
}

static void
fail_times(const uint8_t *from, const char *user, unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		w.wall_s += 2 * LOCKOUT_DELAY_MAX_S; /* the device's own lock-out is over */
		if (begin(from, user) == LOGIN_WAITS)
			answer(-ERR_PASSWORD_WRONG);
	}
}

/* What is tried: guesses at one person's password from many devices. What comes of it: strangers
 * do not reach that person's counter; known devices together lock the person after three times the
 * tries, and nobody else. */
static void
test_attack_one_person_by_many_devices(void **state)
{
	(void)state;
	w.policy.lockout_count = 2;
	w.policy.lockout_timeout_s = 86400;
	w.users.list[0].expires[0] = '\0';
	begin(device[0], "tanaka");
	assert_int_equal(answer(0), LOGIN_PASSED); /* has a counter from now on */
	/* strangers do not reach it */
	begin(stranger, "tanaka");
	for (int i = 0; i < 3; i++)
		answer(-ERR_PASSWORD_WRONG);
	assert_int_equal(begin(stranger, "tanaka"), -ERR_LOCKED_OUT);
	assert_int_equal(begin(device[0], "tanaka"), LOGIN_WAITS);
	/* other devices do, together, after three times as many as one has */
	w.policy.lockout_timeout_s = 1;
	fail_times(device[1], "tanaka", 5);
	assert_int_equal(begin(device[0], "tanaka"), LOGIN_WAITS);
	w.policy.lockout_timeout_s = 86400;
	fail_times(device[1], "tanaka", 1);
	assert_int_equal(begin(device[0], "tanaka"), -ERR_LOCKED_OUT);
	assert_int_equal(begin(device[0], "suzuki"), LOGIN_WAITS);
}

/* Tried: from a device that is known, guesses at names in the table and at names of nobody, as many
 * as there can be. Comes of it: who has never logged in still can, and is counted alone. */
static void
test_attack_first_login_shut_out_by_others(void **state)
{
	(void)state;
	char name[16];
	w.policy.lockout_count = 2;
	w.policy.lockout_timeout_s = 86400;
	w.users.list[0].expires[0] = '\0';
	for (int i = 0; i < 3 * LOCKOUT_ROW_MAX; i++) {
		snprintf(name, sizeof name, "nobody%d", i);
		w.wall_s += 2 * 86400;
		devices_unlock(w.devices); /* its own counter is not what is looked at */
		if (begin(device[1], i % 2 ? name : "tanaka") == LOGIN_WAITS)
			answer(-ERR_PASSWORD_WRONG);
	}
	devices_unlock(w.devices);
	assert_true(begin(device[1], "tanaka") < 0);
	devices_unlock(w.devices);
	devices_unlock(w.persons);
	for (int i = 0; i < 6; i++) { /* as if it were somebody */
		assert_int_equal(begin(device[1], "nobody1"), LOGIN_WAITS);
		answer(-ERR_PASSWORD_WRONG);
		devices_unlock(w.devices);
	}
	assert_int_equal(begin(device[1], "nobody1"), -ERR_LOCKED_OUT);
	assert_int_equal(begin(device[0], "suzuki"), LOGIN_WAITS);
	assert_int_equal(answer(0), LOGIN_PASSED);
	/* as many as the table can have */
	w.users.count = USERS_MAX;
	for (int i = 0; i < USERS_MAX; i++) {
		w.users.list[i] = (struct user){"", "ldap", "", 0};
		snprintf(w.users.list[i].name, sizeof w.users.list[i].name, "u%d", i);
		assert_int_equal(begin(device[0], w.users.list[i].name), LOGIN_WAITS);
		answer(-ERR_PASSWORD_WRONG);
		devices_unlock(w.devices);
	}
	assert_true(devices_count(w.persons) >= USERS_MAX);
	assert_true(devices_count(w.persons) <= DEVICES_MAX);
}

/* Tried: where a directory knows who may come in (the row *), a colleague's password is guessed
 * from a device that is known until the counter says no, and then as many made-up names as there
 * can be, to push that counter out; also the counter of one who has never come in. Comes of it:
 * they share other counters, and neither is forgotten, also not by a restart; names make no rows.
 */
static void
test_attack_counters_pushed_out_by_names(void **state)
{
	(void)state;
	char name[16];
	w.policy.lockout_count = 2;
	w.policy.lockout_timeout_s = 86400;
	w.users.list[w.users.count++] = (struct user){"*", "ldap", "", 0};
	begin(device[0], "yamada");
	assert_int_equal(answer(0), LOGIN_PASSED);
	size_t rows = devices_count(w.persons);
	for (int i = 0; i < 6; i++)
		for (int who = 0; who < 2; who++) {
			assert_int_equal(
				begin(device[1], who ? "yamada" : "newcomer"), LOGIN_WAITS);
			assert_int_equal(
				answer(-ERR_PASSWORD_WRONG), i < 5 ? LOGIN_WAITS : -ERR_LOCKED_OUT);
			devices_unlock(w.devices);
		}
	for (int i = 0; i < 2 * DEVICES_MAX; i++) {
		snprintf(name, sizeof name, "made-up%d", i);
		if (begin(device[1], name) == LOGIN_WAITS)
			answer(-ERR_PASSWORD_WRONG);
		devices_unlock(w.devices);
	}
	assert_int_equal(devices_count(w.persons), rows);
	devices_free(w.persons);
	assert_int_equal(devices_open(w.path[1], &w.persons, NULL), 0);
	assert_int_equal(begin(device[1], "yamada"), -ERR_LOCKED_OUT);
	assert_int_equal(begin(device[1], "newcomer"), -ERR_LOCKED_OUT);
	assert_int_equal(begin(device[1], "suzuki"), LOGIN_WAITS); /* has a row of his own */
	/* who comes in for the first time leaves nothing behind in what others share */
	devices_unlock(w.persons);
	rows = devices_count(w.persons);
	for (int i = 0; i < 20; i++) {
		begin(device[1], "newcomer");
		assert_int_equal(answer(-ERR_PERSON_SERVICE), -ERR_PERSON_SERVICE);
	}
	begin(device[1], "newcomer");
	assert_int_equal(answer(0), LOGIN_PASSED);
	assert_int_equal(devices_count(w.persons), rows + 1);
}

/* ---- two changes of one row ---- */

/* Tried: a person is disabled or taken out while a new password of theirs is being hashed, which
 * takes its time and had the row as it was. Comes of it: disabled or gone they stay. */
static void
test_attack_password_brings_row_back(void **state)
{
	enum {
		UNTOUCHED,
		DISABLED,
		REMOVED
	};
	static struct agent agent;
	struct pepper mine = pepper;
	char dir[] = "/tmp/engawa-test-rows.XXXXXX", path[64];
	int pair[2];
	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(ipc_pair(pair), 0);
	agent = (struct agent){.loop = loop_new(), .users = &w.users, .pepper = &mine};
	agent.options.state_directory = dir;
	for (int what = UNTOUCHED; what <= REMOVED; what++) {
		struct peer peer = {.agent = &agent, .fd = pair[0]};
		struct user row = w.users.list[0];
		peer.watch = watch_new(agent.loop, pair[0], NULL, NULL);
		local_hash_password(&peer, &row, "Abcdef12-Ghijkl34");
		local_hash_drop(&peer); /* who asked has gone; the change goes on */
		watch_free(peer.watch);
		if (what == REMOVED)
			w.users.list[0] = w.users.list[--w.users.count];
		else if (what == DISABLED)
			w.users.list[0].disabled = 1;
		const size_t count = w.users.count;
		loop_free(agent.loop); /* waits for the thread, and for what follows it */
		agent.loop = loop_new();
		assert_int_equal(w.users.count, count);
		const struct user *now = users_row(&w.users, "tanaka");
		assert_int_equal(now != NULL, what != REMOVED);
		if (!now)
			continue;
		assert_int_equal(now->disabled, what == DISABLED);
		assert_int_equal(strcmp(now->verifier, row.verifier) == 0, what == DISABLED);
	}
	loop_free(agent.loop);
	close(pair[0]);
	close(pair[1]);
	snprintf(path, sizeof path, "%s/users", dir);
	unlink(path);
	rmdir(dir);
}

/* ---- RADIUS ---- */

static const struct radius_request request = {
	7, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

/* An answer as a server makes it; forge: 0 honest, 1 no Message-Authenticator, 2 wrong one, 3 other
 * secret, 4 two of them. */
static size_t
make_answer(uint8_t code, const char *text, int forge, uint8_t *out)
{
	const char *secret = forge == 3 ? "other" : "secret";
	size_t len = 20, mac = 0;
	out[0] = code;
	out[1] = request.id;
	memcpy(out + 4, request.authenticator, 16);
	for (int i = 0; i < (forge == 1 ? 0 : forge == 4 ? 2 : 1); i++) {
		out[len] = 80;
		out[len + 1] = 18;
		mac = len + 2;
		memset(out + mac, 0, 16);
		len += 18;
	}
	out[len] = 18; /* Reply-Message */
	out[len + 1] = (uint8_t)(2 + strlen(text));
	memcpy(out + len + 2, text, strlen(text));
	len += 2 + strlen(text);
	out[2] = (uint8_t)(len >> 8);
	out[3] = (uint8_t)len;
	if (mac)
		HMAC(EVP_md5(), secret, (int)strlen(secret), out, len, out + mac, NULL);
	if (forge == 2)
		out[mac] ^= 1;
	uint8_t all[256], digest[16];
	memcpy(all, out, len);
	memcpy(all + len, secret, strlen(secret));
	EVP_Digest(all, len + strlen(secret), digest, NULL, EVP_md5(), NULL);
	memcpy(out + 4, digest, 16);
	return len;
}

static void
test_radius_request(void **state)
{
	(void)state;
	uint8_t out[RADIUS_PACKET_MAX_BYTES], mac[16], again[16], key[32];
	char longest[RADIUS_PASSWORD_MAX_BYTES + 2];
	size_t len = radius_put(&request, "tanaka", "hello", "secret", out);
	assert_int_equal(len, 20 + 18 + 8 + 18 + 8 + 6);
	assert_int_equal(out[0], 1);
	assert_int_equal(out[2] << 8 | out[3], len);
	memcpy(mac, out + 22, 16);
	memset(out + 22, 0, 16);
	HMAC(EVP_md5(), "secret", 6, out, len, again, NULL);
	assert_memory_equal(mac, again, 16);
	/* the password: block ^ MD5(secret authenticator) */
	memcpy(key, "secret", 6);
	memcpy(key + 6, request.authenticator, 16);
	EVP_Digest(key, 22, again, NULL, EVP_md5(), NULL);
	for (int i = 0; i < 16; i++)
		assert_int_equal(
			out[48 + i] ^ again[i], (uint8_t) "hello\0\0\0\0\0\0\0\0\0\0\0"[i]);
	memset(longest, 'x', sizeof longest);
	longest[sizeof longest - 1] = '\0';
	assert_int_equal(radius_put(&request, "tanaka", longest, "secret", out), 0);
	longest[sizeof longest - 2] = '\0';
	assert_true(radius_put(&request, "tanaka", longest, "secret", out) > 0);
	assert_int_equal(radius_put(&request, "", "x", "secret", out), 0);
	assert_int_equal(radius_put(&request, "tanaka", "", "secret", out), 0);
	assert_int_equal(radius_put(&request, "tanaka", "x", "", out), 0);
}

/* What is tried: answers with any byte flipped, cut, without or with two Message-Authenticators,
 * by another secret, and other codes with "Access-Accept" as text. What comes of it: forged, or a
 * reject. */
static void
test_attack_radius_answers(void **state)
{
	(void)state;
	uint8_t p[256];
	size_t len = make_answer(2, "", 0, p);
	assert_int_equal(radius_get(&request, "secret", 1, p, len), RADIUS_ACCEPT);
	assert_int_equal(radius_get(&request, "secret", 1, p, len - 1), RADIUS_FORGED);
	for (size_t i = 0; i < len; i++) {
		p[i] ^= 1;
		assert_int_equal(radius_get(&request, "secret", 1, p, len), RADIUS_FORGED);
		p[i] ^= 1;
	}
	for (int forge = 1; forge <= 4; forge++) {
		len = make_answer(2, "OK", forge, p);
		assert_int_equal(radius_get(&request, "secret", 1, p, len), RADIUS_FORGED);
	}
	/* texts are for nobody */
	static const uint8_t codes[] = {3, 11, 1, 5, 0, 255};
	for (size_t i = 0; i < sizeof codes; i++) {
		len = make_answer(codes[i], "OK Access-Accept", 0, p);
		assert_int_equal(radius_get(&request, "secret", 1, p, len), RADIUS_REJECT);
	}
	for (size_t n = 0; n < 20; n++)
		assert_int_equal(radius_get(&request, "secret", 1, p, n), RADIUS_FORGED);
}

/* ---- directory, questions ---- */

/* What is tried: names with characters that mean something in a filter, in a DN or in a format.
 * What comes of it: they stand escaped, and what does not fit is nothing at all. */
static void
test_attack_ldap_escape(void **state)
{
	(void)state;
	char out[128];
	assert_int_equal(directory_fill(out, sizeof out, "(uid=%s)", "a*)(x=\\", 1), 0);
	assert_string_equal(out, "(uid=a\\2a\\29\\28x\\3d\\5c)");
	assert_int_equal(directory_fill(out, sizeof out, "uid=%s,ou=p", "a,ou=q+r \"", 1), 0);
	assert_string_equal(out, "uid=a\\2cou\\3dq\\2br\\20\\22,ou=p");
	assert_int_equal(directory_fill(out, sizeof out, "%s@x", "田", 0), 0);
	assert_string_equal(out, "田@x");
	assert_int_equal(directory_fill(out, sizeof out, "%s%s", "%s", 1), 0);
	assert_string_equal(out, "\\25s\\25s");
	assert_int_equal(directory_fill(out, 4, "(uid=%s)", "a", 1), -ENAMETOOLONG);
	assert_string_equal(out, "");
}

static void
test_question(void **state)
{
	(void)state;
	static struct check_question q, back;
	static uint8_t payload[CHECK_MAX_BYTES];
	strcpy(q.field[CHECK_USER], "tanaka");
	strcpy(q.field[CHECK_NESTED], "1");
	memset(q.field[CHECK_PASSWORD], 'x', CHECK_FIELD_SIZE - 1);
	size_t len = check_put(&q, payload);
	assert_int_equal(check_get(payload, len, &back), 0);
	assert_memory_equal(&q, &back, sizeof q);
	for (size_t n = 0; n < len; n++)
		assert_int_equal(check_get(payload, n, &back), -ERR_PROTOCOL);
	payload[3] = '\n';
	assert_int_equal(check_get(payload, len, &back), -ERR_PROTOCOL);
}

int
main(void)
{
#define STEP(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_block_list),
		cmocka_unit_test(test_hashes),
		cmocka_unit_test(test_pepper_file),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_expiry),
		STEP(test_persons),
		STEP(test_attack_names_cannot_be_told_apart),
		STEP(test_only_who_knows_the_password_is_told),
		STEP(test_attack_one_person_by_many_devices),
		STEP(test_attack_first_login_shut_out_by_others),
		STEP(test_attack_counters_pushed_out_by_names),
		STEP(test_attack_password_brings_row_back),
		cmocka_unit_test(test_radius_request),
		cmocka_unit_test(test_attack_radius_answers),
		cmocka_unit_test(test_attack_ldap_escape),
		cmocka_unit_test(test_question),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
