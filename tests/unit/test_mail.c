/* controller/mail: addresses that could do harm, and texts that could. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/str.h"
#include "controller/mail.h"

enum {
	NOW_S = 1795354954 /* 2026-11-22 13:42:34 UTC */
};

static const uint8_t id[MAIL_ID_BYTES] = {1, 2, 3};

static engawa_MailCode
good(void)
{
	engawa_MailCode code = {
		.code = "12345678", .device = "DESKTOP-1", .time_s = NOW_S, .words_count = 2};
	strcpy(code.address, "taro.midori@city.example.lg.jp");
	strcpy(code.client_address, "203.0.113.5");
	strcpy(code.words[0], "さくら");
	strcpy(code.words[1], "とんぼ");
	strcpy(code.locale, "ja_JP.UTF-8");
	strcpy(code.terminal_tail, "8SQR");
	return code;
}

static void
test_addresses(void **state)
{
	static const char *const fine[] = {
		"a@b", "a.b+c@example.jp", "taro_'x'@city.example.lg.jp", "1@127-0-0-1.example"};
	static const char *const bad[] = {"", "a", "@", "a@", "@b", "a b@c.d", "a@b\r\nBcc: x@y.z",
		"a@b\nRCPT TO:<x@y>", "a@b>", "<a@b>", "\"a\"@b", "a@b@c", "a@b,c@d", "a@b;c",
		"a..b@c", ".a@b", "a.@b", "a@.b", "a@b..c", "a@-b", "a@b-", "a@b-.c", "a@b.",
		"a@[127.0.0.1]", "a\x7f@b", "-oX@b", "太郎@b.jp", "a@緑.jp", "a(c)@b", "a\\@b",
		"a@b%0d%0a", "a@b c", "a\t@b"};
	char longest[300];
	(void)state;
	for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++)
		assert_true(mail_address_ok(fine[i]));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (mail_address_ok(bad[i]))
			fail_msg("accepted: %s", bad[i]);
	memset(longest, 'a', sizeof longest);
	strcpy(longest + 65, "@b");
	assert_false(mail_address_ok(longest));
	strcpy(longest + 64, "@b");
	assert_true(mail_address_ok(longest));
	memset(longest, 'a', sizeof longest);
	longest[1] = '@';
	longest[270] = '\0';
	assert_false(mail_address_ok(longest));
}

/* The text of a mail's body. */
static void
body_of(const char *mail, char *out, size_t size)
{
	char packed[MAIL_MAX_BYTES];
	size_t n = 0, len;
	const char *p = strstr(mail, "\r\n\r\n");
	assert_non_null(p);
	for (p += 4; *p; p++)
		if (*p != '\r' && *p != '\n')
			packed[n++] = *p;
	assert_int_equal(str_unbase64(packed, n, out, size - 1, &len), 0);
	out[len] = '\0';
}

static void
test_compose(void **state)
{
	engawa_MailCode code = good();
	char mail[MAIL_MAX_BYTES], body[MAIL_MAX_BYTES];
	(void)state;
	int len = mail_compose(&code, "no-reply@example.jp", id, NOW_S, mail, sizeof mail);
	assert_int_equal(len, strlen(mail));
	assert_non_null(strstr(mail, "Date: Sun, 22 Nov 2026 22:42:34 +0900\r\n"));
	assert_non_null(strstr(mail, "To: <taro.midori@city.example.lg.jp>\r\n"));
	assert_non_null(strstr(mail, "From: <no-reply@example.jp>\r\n"));
	assert_non_null(
		strstr(mail, "Message-ID: <01020300000000000000000000000000@example.jp>\r\n"));
	assert_non_null(strstr(mail, "Auto-Submitted: auto-generated\r\n"));
	assert_null(strstr(mail, "12345678")); /* not in a subject that a locked telephone shows */
	body_of(mail, body, sizeof body);
	assert_non_null(strstr(body, "確認コード: 12345678\r\n"));
	assert_non_null(strstr(body, "さくら ・ とんぼ"));
	assert_non_null(strstr(body, "DESKTOP-1"));
	assert_non_null(strstr(body, "203.0.113.5"));
	assert_non_null(strstr(body, "2026-11-22 22:42:34"));
	assert_non_null(strstr(body, "8SQR"));
	assert_non_null(strstr(body, "心当たりがない場合"));
	for (const char *line = mail; line;
		line = strstr(line, "\r\n") ? strstr(line, "\r\n") + 2 : NULL) {
		const char *end = strstr(line, "\r\n");
		assert_true((end ? (size_t)(end - line) : strlen(line)) <= 76);
	}
	for (const char *p = mail; *p; p++)
		assert_true((unsigned char)*p < 0x80 && (*p != '\n' || p[-1] == '\r'));
	strcpy(code.locale, "en");
	assert_true(mail_compose(&code, "no-reply@example.jp", id, NOW_S, mail, sizeof mail) > 0);
	body_of(mail, body, sizeof body);
	assert_non_null(strstr(body, "Code: 12345678\r\n"));
	assert_non_null(strstr(body, "If this was not you"));
}

/* The device's name is chosen by whoever sits at the other end. */
static void
test_hostile_device(void **state)
{
	static const char *const names[] = {"http://evil.example/login", "evil.example",
		"a\r\nBcc: b@c", "mail bob@evil.example",
		"\xe2\x80\xae"
		"gpj.exe",
		"x\xc2\xa0y", "evil。example", "evil．example",
		"\xef\xbb\xbf"
		"x",
		"\xf0\x9f\x98\x80"};
	char mail[MAIL_MAX_BYTES], body[MAIL_MAX_BYTES];
	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		engawa_MailCode code = good();
		strcpy(code.device, names[i]);
		assert_true(mail_compose(&code, "no-reply@example.jp", id, NOW_S, mail,
				    sizeof mail) > 0);
		body_of(mail, body, sizeof body);
		char *start = strstr(body, "接続元の端末: ");
		assert_non_null(start);
		start += strlen("接続元の端末: ");
		char *end = strstr(start, "\r\n");
		for (const char *p = start; p < end; p++)
			assert_null(strchr(".:/@\\<>", *p));
		assert_non_null(strstr(end, "接続元のアドレス"));
	}
	engawa_MailCode code = good();
	strcpy(code.device, "窓口PC-3 (2階)");
	assert_true(mail_compose(&code, "no-reply@example.jp", id, NOW_S, mail, sizeof mail) > 0);
	body_of(mail, body, sizeof body);
	assert_non_null(strstr(body, "窓口PC-3 (2階)"));
	memset(code.device, 'x', sizeof code.device - 1);
	assert_true(mail_compose(&code, "no-reply@example.jp", id, NOW_S, mail, sizeof mail) > 0);
}

static void
expect(const engawa_MailCode *code, int r)
{
	char mail[MAIL_MAX_BYTES];
	assert_int_equal(
		mail_compose(code, "no-reply@example.jp", id, NOW_S, mail, sizeof mail), r);
}

static void
test_refusals(void **state)
{
	engawa_MailCode code = good();
	char mail[400];
	(void)state;
	strcpy(code.address, "a@b\r\nBcc: c@d");
	expect(&code, -ERR_MAIL_ADDRESS);
	code = good();
	strcpy(code.code, "1234567\n");
	expect(&code, -ERR_PROTOCOL);
	code = good();
	code.code[0] = '\0';
	expect(&code, -ERR_PROTOCOL);
	code = good();
	code.words_count = 1;
	expect(&code, -ERR_PROTOCOL);
	code = good();
	strcpy(code.words[1], "see http://evil");
	expect(&code, -ERR_PROTOCOL);
	code = good();
	strcpy(code.terminal_tail, "A\r\nB");
	expect(&code, -ERR_PROTOCOL);
	code = good();
	strcpy(code.device, "\xe3\x81");
	expect(&code, -ERR_PROTOCOL);
	code = good();
	code.time_s = UINT64_MAX;
	expect(&code, -ERR_PROTOCOL);
	code = good();
	strcpy(code.client_address, "evil.example");
	assert_true(mail_compose(&code, "no-reply@example.jp", id, NOW_S, mail, sizeof mail) ==
		    -ERR_TOO_LONG);
}

/* r 0: it is none of these. */
static void
refused(const engawa_MailCode *code, int r, char *mail)
{
	int got = mail_compose(code, "no-reply@example.jp", id, NOW_S, mail, MAIL_MAX_BYTES);
	assert_true(r ? got == r : got > 0);
}

/* What each kind is for, in both languages; a notice has no code, and a mail for a code has one. */
static void
test_kinds(void **state)
{
	(void)state;
	static const struct {
		engawa_MailKind kind;
		int has_code;
		const char *words[2];
	} kinds[] = {
		{engawa_MailKind_MAIL_NEW_ADDRESS, 1, {"として登録する", "registers this address"}},
		{engawa_MailKind_MAIL_ADDRESS_CHANGED, 0,
			{"別のメールアドレスに変更", "another mail address"}},
		{engawa_MailKind_MAIL_KEY_ADDED, 0,
			{"セキュリティキーが新しく", "new security key"}},
		{engawa_MailKind_MAIL_PAPER_USED, 0,
			{"新しい回復コードを作り", "Make new recovery codes"}}};
	char mail[MAIL_MAX_BYTES], body[MAIL_MAX_BYTES];
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		for (int lang = 0; lang < 2; lang++) {
			engawa_MailCode code = good();
			code.kind = kinds[i].kind;
			strcpy(code.locale, lang ? "en" : "ja");
			refused(&code, kinds[i].has_code ? 0 : -ERR_PROTOCOL, mail);
			if (!kinds[i].has_code)
				code.code[0] = '\0';
			assert_true(mail_compose(&code, "no-reply@example.jp", id, NOW_S, mail,
					    sizeof mail) > 0);
			body_of(mail, body, sizeof body);
			assert_non_null(strstr(body, kinds[i].words[lang]));
			assert_int_equal(strstr(body, "12345678") != NULL, kinds[i].has_code);
			assert_non_null(strstr(body, "203.0.113.5"));
		}
	}
	engawa_MailCode code = good();
	static const int unknown[] = {6, 239, 241, -1};
	code.code[0] = '\0';
	for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
		code.kind = (engawa_MailKind)unknown[i];
		refused(&code, -ERR_PROTOCOL, mail);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_compose),
		cmocka_unit_test(test_hostile_device),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_kinds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
