/* agent/factors: what was accepted once is void, also after a restart; nothing usable is on the
 * disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <liboath/oath.h>

#include "agent/factors.h"
#include "base/conf.h"
#include "base/err.h"

static char directory[] = "/tmp/engawa-test-factors.XXXXXX", path[64];
static struct factors *f;
static const uint64_t T0 = 1800000000;

static int
setup(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/engawa-test-factors.XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/factors", directory);
	assert_int_equal(factors_open(path, &f, NULL), 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	factors_free(f);
	unlink(path);
	rmdir(directory);
	return 0;
}

static void
restart(void)
{
	factors_free(f);
	assert_int_equal(factors_open(path, &f, NULL), 0);
}

static void
app_code(const struct totp *totp, uint64_t now_s, char out[static 7])
{
	assert_int_equal(
		oath_hotp_generate((const char *)totp->secret, sizeof totp->secret,
			now_s / TOTP_STEP_S, TOTP_DIGITS, 0, OATH_HOTP_DYNAMIC_TRUNCATION, out),
		OATH_OK);
}

static struct totp
enrol(uint64_t now_s)
{
	struct totp totp;
	char code[7];
	assert_int_equal(factors_totp_begin(f, now_s, &totp), 0);
	app_code(&totp, now_s, code);
	assert_int_equal(factors_totp_confirm(f, code, now_s), 0);
	return totp;
}

static int
check(const char *text, uint64_t now_s)
{
	enum factor factor;
	return factors_check(f, text, now_s, &factor);
}

static void
test_enrol(void **state)
{
	(void)state;
	struct totp totp;
	char code[7];
	assert_int_equal(factors_totp_confirm(f, "123456", T0), -ERR_NOT_FOUND);
	assert_int_equal(factors_totp_begin(f, T0, &totp), 0);
	app_code(&totp, T0, code);
	assert_int_equal(check(code, T0), -ERR_CODE_WRONG); /* not in force yet */
	code[0] = code[0] == '0' ? '1' : '0';
	assert_int_equal(factors_totp_confirm(f, code, T0), -ERR_CODE_WRONG);
	assert_false(factors_has_totp(f));
	app_code(&totp, T0 + TOTP_CONFIRM_S, code);
	assert_int_equal(factors_totp_confirm(f, code, T0 + TOTP_CONFIRM_S), -ERR_NOT_FOUND);
	enrol(T0);
	restart();
	assert_true(factors_has_totp(f));
	assert_int_equal(factors_totp_remove(f), 0);
	restart();
	assert_false(factors_has_totp(f));
}

/* The step that was accepted is on the disk before anybody is told. */
static void
test_attack_totp_replay(void **state)
{
	(void)state;
	struct totp totp = enrol(T0);
	char code[7];
	app_code(&totp, T0, code);
	assert_int_equal(check(code, T0), -ERR_CODE_WRONG); /* the one that confirmed */
	app_code(&totp, T0 + 60, code);
	assert_int_equal(check(code, T0 + 60), 0);
	assert_int_equal(check(code, T0 + 60), -ERR_CODE_WRONG);
	restart();
	assert_int_equal(check(code, T0 + 60), -ERR_CODE_WRONG);
	app_code(&totp, T0 + 120, code);
	unlink(path);
	assert_int_equal(rmdir(directory), 0);
	assert_true(check(code, T0 + 120) < 0); /* cannot be recorded: does not count */
}

static void
test_full_width(void **state)
{
	(void)state;
	struct totp totp = enrol(T0);
	char code[7], wide[32] = "";
	app_code(&totp, T0 + 60, code);
	for (int i = 0; i < 6; i++) {
		char c[4] = {(char)0xef, (char)0xbc, (char)(0x90 + code[i] - '0'), 0};
		strcat(wide, c);
	}
	assert_int_equal(check(wide, T0 + 60), 0);
}

static void
test_recovery(void **state)
{
	(void)state;
	char codes[RECOVERY_COUNT][RECOVERY_TEXT_SIZE], old[RECOVERY_TEXT_SIZE], typed[64] = "";
	assert_int_equal(check("00000-00000-00000-00000", T0), -ERR_CODE_WRONG);
	assert_int_equal(factors_recovery_make(f, codes), 0);
	assert_int_equal(factors_recovery_left(f), RECOVERY_COUNT);
	for (int i = 0; i < RECOVERY_COUNT; i++) {
		assert_int_equal(strlen(codes[i]), RECOVERY_CHARS + 3);
		assert_true(factors_is_recovery(codes[i]));
	}
	assert_int_equal(check(codes[3], T0), 0);
	assert_int_equal(check(codes[3], T0), -ERR_CODE_WRONG);
	restart();
	assert_int_equal(check(codes[3], T0), -ERR_CODE_WRONG);
	assert_int_equal(factors_recovery_left(f), RECOVERY_COUNT - 1);
	/* lower case, without hyphens, O for 0 */
	char *out = typed;
	for (const char *p = codes[9]; *p; p++)
		if (*p != '-')
			*out++ = *p == '0' ? 'o' : *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
	assert_int_equal(check(typed, T0), 0);
	strcpy(old, codes[0]);
	assert_int_equal(factors_recovery_make(f, codes), 0);
	assert_int_equal(check(old, T0), -ERR_CODE_WRONG);
	for (int i = 0; i < RECOVERY_COUNT; i++)
		assert_int_equal(check(codes[i], T0), 0);
	assert_int_equal(factors_recovery_left(f), 0);
}

static void
test_emergency(void **state)
{
	(void)state;
	char code[RECOVERY_TEXT_SIZE];
	enum factor factor;
	assert_int_equal(factors_emergency_make(f, code), 0);
	assert_int_equal(strspn(code, "0123456789-"), strlen(code));
	assert_int_equal(strlen(code), EMERGENCY_DIGITS + 5);
	restart();
	assert_int_equal(factors_check(f, code, T0, &factor), 0);
	assert_int_equal(factor, FACTOR_EMERGENCY);
	assert_int_equal(check(code, T0), -ERR_CODE_WRONG);
	assert_int_equal(factors_emergency_make(f, code), 0);
	assert_int_equal(factors_recovery_remove(f), 0);
	restart();
	assert_int_equal(check(code, T0), -ERR_CODE_WRONG);
}

/* Whoever reads the disk finds no code, and whoever may not cannot read the secret. */
static void
test_attack_stolen_file(void **state)
{
	(void)state;
	char codes[RECOVERY_COUNT][RECOVERY_TEXT_SIZE], *text;
	struct stat st;
	size_t len;
	enrol(T0);
	assert_int_equal(factors_recovery_make(f, codes), 0);
	assert_int_equal(conf_read_file(path, 4096, &text, &len), 0);
	for (int i = 0; i < RECOVERY_COUNT; i++) {
		codes[i][5] = '\0';
		assert_null(strstr(text, codes[i]));
	}
	free(text);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void
test_damaged(void **state)
{
	(void)state;
	static const char *const bad[] = {"TOTP\n", "TOTP GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\n",
		"TOTP GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ x\n", "KEY 00\n", "RECOVERY 00\n",
		"RECOVERY 0000000000000000000000000000000000000000000000000000000000000000\n",
		"EMERGENCY 0000000000000000000000000000000000000000000000000000000000000000\n",
		"TOTP GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ -1\n", "OTHER 1\n"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct factors *other = NULL;
		assert_int_equal(conf_write_file(path, bad[i], strlen(bad[i]), 0600), 0);
		if (factors_open(path, &other, NULL) != -ERR_SETTING)
			fail_msg("accepted: %s", bad[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_enrol),
		T(test_attack_totp_replay),
		T(test_full_width),
		T(test_recovery),
		T(test_emergency),
		T(test_attack_stolen_file),
		T(test_damaged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
