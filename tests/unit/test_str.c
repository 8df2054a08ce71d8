/* base/str, clock, mem and err: small things that everything stands on. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

static void
test_copy_and_print(void **state)
{
	(void)state;
	char out[4];
	assert_int_equal(str_copy(out, sizeof out, "abc"), 0);
	assert_string_equal(out, "abc");
	assert_int_equal(str_copy(out, sizeof out, "abcd"), -ENAMETOOLONG);
	assert_string_equal(out, "");
	assert_int_equal(str_print(out, sizeof out, "%d", 123), 0);
	assert_int_equal(str_print(out, sizeof out, "%d", 1234), -ENAMETOOLONG);
	assert_string_equal(out, "");
}

static void
test_hex(void **state)
{
	(void)state;
	uint8_t bytes[2] = {7, 7};
	char text[5];
	assert_int_equal(str_unhex("aB0f", bytes, 2), 0);
	str_hex(text, bytes, 2);
	assert_string_equal(text, "ab0f");
	assert_int_equal(str_unhex("ab0", bytes, 2), -EINVAL);
	assert_int_equal(str_unhex("ab0f0", bytes, 2), -EINVAL);
	assert_int_equal(str_unhex("ab0g", bytes, 2), -EINVAL);
	assert_int_equal(str_unhex("", bytes, 0), 0);
	assert_int_equal(bytes[0], 0xab);
}

/* RFC 4648 section 10. */
static void
test_base64(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
	static const char *const bad[] = {
		"Zg", "Zg=", "Z===", "====", "Zh==", "Zm9=", "Zg==Zg==", "Zm9v\n", "Zm9-", "=Zm9"};
	char out[16];
	uint8_t bytes[8];
	size_t len;
	for (size_t n = 0; n < 7; n++) {
		str_base64(out, "foobar", n);
		assert_string_equal(out, texts[n]);
		assert_int_equal(str_base64_size(n), strlen(out) + 1);
		assert_int_equal(str_unbase64(out, strlen(out), bytes, sizeof bytes, &len), 0);
		assert_int_equal(len, n);
		assert_memory_equal(bytes, "foobar", n);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(
			str_unbase64(bad[i], strlen(bad[i]), bytes, sizeof bytes, &len), -EINVAL);
	assert_int_equal(str_unbase64("Zm9v", 4, bytes, 2, &len), -ENOBUFS);
	assert_int_equal(str_unbase64("Zg==", 4, bytes, 1, &len), 0);
}

static void
test_int(void **state)
{
	(void)state;
	static const char *const bad[] = {"", " 1", "+1", "1 ", "0x1", "1e3", "-", "--1", "１"};
	int64_t v = 77;
	assert_int_equal(str_int("-5", -5, 5, &v), 0);
	assert_int_equal(v, -5);
	assert_int_equal(str_int("6", -5, 5, &v), -ERANGE);
	assert_int_equal(str_int("9223372036854775807", 0, INT64_MAX, &v), 0);
	assert_int_equal(str_int("9223372036854775808", 0, INT64_MAX, &v), -ERANGE);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(str_int(bad[i], INT64_MIN, INT64_MAX, &v), -EINVAL);
	assert_true(v == INT64_MAX);
}

static void
test_utf8(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int good, printable;
	} cases[] = {
		{"", 1, 1},
		{"abc", 1, 1},
		{"縁側𠮷\U0010FFFF", 1, 1},
		{"a\tb", 1, 0},
		{"\x7f", 1, 0},
		{"\xc2\x85", 1, 0}, /* next line, as a C1 control */
		{"\xc2\xa0", 1, 1},
		{"\x80", 0, 0},
		{"\xc0\xaf", 0, 0},
		{"\xc1\xbf", 0, 0},
		{"\xe0\x9f\xbf", 0, 0},
		{"\xed\xa0\x80", 0, 0},
		{"\xf0\x8f\xbf\xbf", 0, 0},
		{"\xf4\x90\x80\x80", 0, 0},
		{"\xf5\x80\x80\x80", 0, 0},
		{"\xe3\x81", 0, 0},
		{"\xff", 0, 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(str_utf8(cases[i].text, strlen(cases[i].text)), cases[i].good);
		assert_int_equal(str_printable(cases[i].text), cases[i].printable);
	}
	assert_int_equal(str_utf8("a\0b", 3), 0);
	assert_int_equal(str_utf8("縁", 2), 0);
}

static void
test_dates(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "2026-1-01", "2026-13-01", "2026-00-10", "2026-02-29",
		"2026-04-31", "2026-01-32", "2026-01-01 ", " 026-01-01", "2026- 1- 1", "20260-1-01",
		"1969-12-30", "2026/01/01", "+026-01-01"};
	uint64_t s;
	assert_int_equal(wall_date_end("1970-01-01", &s), 0);
	assert_int_equal(s, 86399);
	assert_int_equal(wall_date_end("2028-02-29", &s), 0);
	assert_int_equal(s, 1835481599);
	assert_int_equal(wall_date_end("2099-12-31", &s), 0);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(wall_date_end(bad[i], &s), -EINVAL);
	struct mono a = mono_now(), b = mono_add_ms(a, 1500);
	assert_int_equal(mono_diff_ms(a, b), 1500);
	assert_int_equal(mono_diff_ms(b, a), 0);
	assert_true(mono_before(a, b) && !mono_before(b, a) && !mono_before(a, a));
	char text[WALL_TEXT_SIZE];
	wall_text(text);
	assert_int_equal(strlen(text), WALL_TEXT_SIZE - 1);
	assert_int_equal(text[WALL_TEXT_SIZE - 2], 'Z');
}

static void
test_memory(void **state)
{
	(void)state;
	char secret[] = "secret";
	mem_wipe(secret, sizeof secret);
	assert_memory_equal(secret, "\0\0\0\0\0\0", sizeof secret);
	mem_wipe(NULL, 5);
	mem_wipe_free(NULL, 5);
	assert_int_equal(mem_equal("abc", "abc", 3), 1);
	assert_int_equal(mem_equal("abc", "abd", 3), 0);
	assert_int_equal(mem_equal("abc", "abd", 2), 1);
	assert_null(mem_str(NULL));
}

/* The table that people's messages, documents and the web client come from. */
static void
test_errors(void **state)
{
	(void)state;
	size_t count;
	const struct err_entry *table = err_table(&count);
	for (size_t i = 0; i < count; i++) {
		/* no errno but ETOOMANYREFS, which is the original system's number for a denied
		 * address */
		assert_true(
			!strerrorname_np(table[i].number) || table[i].number == ERR_ADDRESS_DENIED);
		for (size_t j = 0; j < i; j++) {
			assert_int_not_equal(table[i].number, table[j].number);
			assert_string_not_equal(table[i].name, table[j].name);
		}
		for (int lang = 0; lang < 2; lang++) {
			assert_true(table[i].what[lang][0] != '\0');
			assert_true(str_printable(table[i].what[lang]) &&
				    str_printable(table[i].next[lang]));
			assert_int_equal(!table[i].next[0][0], !table[i].next[1][0]);
		}
		assert_string_equal(err_name(-table[i].number), table[i].name);
	}
	assert_string_equal(err_name(-EIO), "EIO");
	assert_string_equal(err_name(-199), "UNKNOWN");
	assert_string_equal(err_name(0), "0");
	assert_non_null(err_text(-EIO, ERR_LANG_JA));
	assert_int_equal(err_lang("ja_JP.UTF-8"), ERR_LANG_JA);
	assert_int_equal(err_lang("en_US"), ERR_LANG_EN);
	assert_int_equal(err_lang(NULL), ERR_LANG_EN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copy_and_print),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_int),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
