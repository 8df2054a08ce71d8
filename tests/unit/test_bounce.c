/* controller/bounce, cli/dsn: whose mail came back, and what became of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/wire.h"
#include "cli/dsn.h"
#include "controller/bounce.h"
#include "controller/mail.h"

enum {
	NOW_S = 1795354954
};

static const struct bounce mine = {
	{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, 0xfedcba98};

static const uint8_t *
key(void)
{
	static const uint8_t secret[32] = {9};
	static uint8_t made[BOUNCE_KEY_BYTES];
	assert_int_equal(bounce_key(secret, made), 0);
	return made;
}

static void
token_of(uint64_t now_s, char token[static BOUNCE_TOKEN_CHARS + 1])
{
	char sender[BOUNCE_SENDER_SIZE];
	assert_int_equal(bounce_sender(key(), &mine, now_s, "bounce@relay.example", sender), 0);
	assert_memory_equal(sender, "bounce+", 7);
	memcpy(token, sender + 7, BOUNCE_TOKEN_CHARS);
	token[BOUNCE_TOKEN_CHARS] = '\0';
	assert_string_equal(sender + 7 + BOUNCE_TOKEN_CHARS, "@relay.example");
	assert_true(mail_address_ok(sender));
}

static void
test_token(void **state)
{
	char token[BOUNCE_TOKEN_CHARS + 1], capitals[sizeof token];
	struct bounce found;
	(void)state;
	token_of(NOW_S, token);
	assert_int_equal(bounce_open(key(), token, NOW_S, &found), 0);
	assert_memory_equal(found.agent, mine.agent, sizeof mine.agent);
	assert_int_equal(found.mark, mine.mark);
	for (size_t i = 0; i < sizeof token; i++)
		capitals[i] = token[i] >= 'a' && token[i] <= 'z' ? (char)(token[i] - 'a' + 'A')
								 : token[i];
	assert_int_equal(bounce_open(key(), capitals, NOW_S, &found), 0);
	/* a clock that goes a little wrong, the last day, and the day after it */
	assert_int_equal(bounce_open(key(), token, NOW_S - 3000, &found), 0);
	assert_int_equal(bounce_open(key(), token, NOW_S + BOUNCE_LIFE_S, &found), 0);
	assert_int_equal(
		bounce_open(key(), token, NOW_S + BOUNCE_LIFE_S + 7200, &found), -ERR_NOT_FOUND);
	assert_int_equal(bounce_open(key(), token, NOW_S - 7200, &found), -ERR_NOT_FOUND);
}

/* What is tried: each other character at each place of a good token, another key, lengths. What
 * comes of it: none of them is one. */
static void
test_attack_forged_token(void **state)
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567=-. ";
	static const uint8_t other[BOUNCE_KEY_BYTES] = {1};
	char token[BOUNCE_TOKEN_CHARS + 2];
	struct bounce found;
	(void)state;
	token_of(NOW_S, token);
	for (size_t at = 0; at < BOUNCE_TOKEN_CHARS; at++) {
		const char right = token[at];
		for (const char *p = digits; *p; p++) {
			token[at] = *p;
			assert_int_equal(bounce_open(key(), token, NOW_S, &found),
				*p == right ? 0 : -ERR_NOT_FOUND);
		}
		token[at] = right;
	}
	assert_int_equal(bounce_open(other, token, NOW_S, &found), -ERR_NOT_FOUND);
	strcpy(token + BOUNCE_TOKEN_CHARS, "a");
	assert_int_equal(bounce_open(key(), token, NOW_S, &found), -ERR_NOT_FOUND);
	token[BOUNCE_TOKEN_CHARS - 1] = '\0';
	assert_int_equal(bounce_open(key(), token, NOW_S, &found), -ERR_NOT_FOUND);
	assert_int_equal(bounce_open(key(), "", NOW_S, &found), -ERR_NOT_FOUND);
}

static void
test_address(void **state)
{
	(void)state;
	assert_true(bounce_address_ok("bounces@relay.example"));
	assert_false(bounce_address_ok("bouncing@relay.example"));
	assert_false(bounce_address_ok("a@b\r\nc"));
	assert_false(bounce_address_ok("relay.example"));
	assert_false(bounce_address_ok(""));
}

static void
expect_report(unsigned delayed, const char *token, const char *status, int code)
{
	uint8_t bytes[512];
	struct wr w = wr_init(bytes, sizeof bytes);
	struct bounce_report report;
	wr_u8(&w, (uint8_t)delayed);
	wr_text(&w, token);
	wr_text(&w, status);
	int r = bounce_report_get(bytes, w.len, &report);
	if (code < 0) {
		assert_int_equal(r, code);
		return;
	}
	assert_int_equal(r, 0);
	assert_int_equal(report.code, code);
	for (size_t len = 0; len < w.len; len++)
		assert_int_equal(bounce_report_get(bytes, len, &report), -ERR_PROTOCOL);
	bytes[w.len] = 0;
	assert_int_equal(bounce_report_get(bytes, w.len + 1, &report), -ERR_PROTOCOL);
}

static void
test_report(void **state)
{
	(void)state;
	expect_report(0, "abc", "5.1.1", ERR_MAIL_CAME_BACK);
	expect_report(1, "", "", ERR_MAIL_DELAYED);
	expect_report(2, "abc", "5.1.1", -ERR_PROTOCOL);
	expect_report(0, "abc", "5.1.1\n", -ERR_PROTOCOL);
	expect_report(0, "abc", "5.1.1 x=1", -ERR_PROTOCOL);
	expect_report(0, "abc", "5.123.1234567", -ERR_PROTOCOL);
	expect_report(0, "a\x1b[2J", "5.1.1", -ERR_PROTOCOL);
}

#define HEAD(type)                                                                               \
	"From: MAILER-DAEMON@town.example\r\nContent-Type: " type "\r\nSubject: Undelivered\r\n" \
	"\r\nThis is a MIME message.\r\n\r\n--b1\r\nContent-Type: text/plain\r\n\r\nNo such "    \
	"user.\r\n\r\n--b1\r\n"
#define REPORT "multipart/report; report-type=delivery-status;\r\n\tboundary=\"b1\""
#define STATUS \
	"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; town.example\r\n\r\n"
#define END "\r\n--b1\r\nContent-Type: text/rfc822-headers\r\n\r\nAction: failed\r\n\r\n--b1--\r\n"

static void
test_dsn(void **state)
{
	static const struct {
		const char *mail;
		int r;
		enum dsn_action action;
		const char *status;
	} cases[] = {
		{HEAD(REPORT) STATUS
			"Final-Recipient: rfc822; a@b\r\nAction: failed\r\n"
			"Status: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1\r\n no\r\n" END,
			0, DSN_FAILED, "5.1.1"},
		{HEAD(REPORT) STATUS "Action: delayed\r\nStatus: 4.4.1 (no answer)\r\n" END, 0,
			DSN_DELAYED, "4.4.1"},
		{HEAD(REPORT) STATUS "ACTION :  Failed (gone)\r\nsTATUS: 5.1.1\r\n" END, 0,
			DSN_FAILED, "5.1.1"},
		/* the worst of two, with its own status */
		{HEAD(REPORT) STATUS "Action: delayed\r\nStatus: 4.0.0\r\n\r\nAction: failed\r\n"
				     "Status: 5.2.2\r\n" END,
			0, DSN_FAILED, "5.2.2"},
		{HEAD(REPORT) STATUS "Action: delivered\r\nStatus: 2.0.0\r\n" END, 0, DSN_NONE, ""},
		{HEAD(REPORT) STATUS "Action: failedly\r\n" END, 0, DSN_NONE, ""},
		{HEAD(REPORT) STATUS "Action: failed\r\nStatus: 5.1.1; rm -rf\r\n" END, 0,
			DSN_FAILED, ""},
		{HEAD(REPORT) STATUS "Action: failed\r\nStatus: 5.1\r\n" END, 0, DSN_FAILED, ""},
		{HEAD(REPORT) STATUS "Action: failed\r\nStatus: 5.1234.1\r\n" END, 0, DSN_FAILED,
			""},
		{HEAD(REPORT) STATUS "Action: failed\r\nStatus: 9.1.1\r\n" END, 0, DSN_FAILED, ""},
		/* bare line feeds, no end */
		{"Content-Type: multipart/report; boundary=b1; report-type=delivery-status\n\n--b1\n"
		 "Content-Type: message/delivery-status\n\n\nAction: failed\nStatus: 5.0.0",
			0, DSN_FAILED, "5.0.0"},
		/* absence notices, read receipts, people; a status that stands outside its part */
		{HEAD("text/plain") STATUS "Action: failed\r\n" END, -ERR_NOT_FOUND, 0, ""},
		{HEAD("multipart/mixed; boundary=b1") STATUS "Action: failed\r\n" END,
			-ERR_NOT_FOUND, 0, ""},
		{HEAD("multipart/report; report-type=disposition-notification; boundary=b1") STATUS
			"Action: failed\r\n" END,
			-ERR_NOT_FOUND, 0, ""},
		{HEAD("multipart/report; report-type=delivery-status") STATUS
			"Action: failed\r\n" END,
			-ERR_NOT_FOUND, 0, ""},
		{HEAD(REPORT) "Content-Type: text/plain\r\n\r\nAction: failed\r\n" END,
			-ERR_NOT_FOUND, 0, ""},
		{"", -ERR_NOT_FOUND, 0, ""},
		{"\r\n", -ERR_NOT_FOUND, 0, ""},
	};
	struct dsn dsn;
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		memset(&dsn, 0xff, sizeof dsn);
		int r = dsn_read(cases[i].mail, strlen(cases[i].mail), &dsn);
		if (r != cases[i].r)
			fail_msg("case %zu: %d", i, r);
		if (r == 0 &&
			(dsn.action != cases[i].action || strcmp(dsn.status, cases[i].status) != 0))
			fail_msg("case %zu: %d %s", i, dsn.action, dsn.status);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_token),
		cmocka_unit_test(test_attack_forged_token),
		cmocka_unit_test(test_address),
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_dsn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
