/* agent/policy and agent/settings: what a file may say, and that everything else closes. */
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

#include "agent/policy_seen.h"
#include "agent/settings.h"
#include "base/err.h"
#include "crypto/orgfile.h"
#include "crypto/sign.h"

static struct evp_pkey_st *key;
static uint8_t point[SIGN_POINT_BYTES];
static const uint64_t now_s = 1800000000;

static int
setup(void **state)
{
	(void)state;
	key = sign_key_generate();
	return key ? sign_key_point(key, point) : -1;
}

static int
teardown(void **state)
{
	(void)state;
	sign_key_free(key);
	return 0;
}

/* Signs and reads; policy must be freed. */
static int
read_policy(struct policy *policy, const char *text)
{
	struct conf_error error;
	char *signed_text;
	assert_int_equal(orgfile_sign(text, strlen(text), POLICY_PURPOSE, key, &signed_text), 0);
	policy_init(policy);
	int r = policy_read(policy, signed_text, strlen(signed_text), point, now_s, &error);
	free(signed_text);
	return r;
}

static void
assert_closed(const struct policy *p)
{
	assert_true(policy_wants_otp(p));
	assert_true(policy_wants_inspection(p));
	assert_true(policy_wants_maccheck(p));
	assert_true(policy_wants_devicecheck(p));
	assert_true(policy_wants_limited_firewall(p));
	assert_true(policy_wants_watermark(p));
	assert_true(p->deny_clients_html5);
	assert_int_equal(policy_padding(p), RECORD_AGENT_256);
	assert_int_equal(p->revision, 0);
	assert_true(p->lockout_count >= 1 && p->lockout_timeout_s >= 1 && p->idle_timeout_s >= 1);
}

static void
test_defaults(void **state)
{
	(void)state;
	struct policy p;
	policy_init(&p);
	assert_closed(&p);
	policy_fini(&p);
}

static void
test_read(void **state)
{
	(void)state;
	struct policy p;
	assert_int_equal(
		read_policy(&p,
			"REVISION 7\nNOT_AFTER 2099-12-31\nDENY_CLIENTS_HTML5 0\n"
			"HTML5_WITHOUT_INSPECTION yes\nDISABLE_MACCHECK 1\nENFORCE_MACCHECK 1\n"
			"DISABLE_OTP 1\nPICTURE_PADDING 512\nIDLE_TIMEOUT 300\nWATERMARK_MESSAGE 持ち出し 禁止\nSYSLOG_HOSTNAME x\n"
			"SYSLOG_PORT 514\n"),
		0);
	assert_int_equal(p.revision, 7);
	assert_false(p.deny_clients_html5);
	assert_true(p.html5_without_inspection);
	assert_true(policy_wants_maccheck(&p)); /* ENFORCE wins */
	assert_false(policy_wants_otp(&p));
	assert_int_equal(policy_padding(&p), RECORD_AGENT_512);
	assert_int_equal(p.idle_timeout_s, 300);
	assert_string_equal(p.watermark_message, "持ち出し 禁止");
	policy_fini(&p);
}

/* What is tried: signed policies with unknown, doubled, empty or impossible values, expired ones
 * and ones without revision or day. What comes of it: none of it holds, and everything is closed.
 * */
static void
test_attack_bad_files_close(void **state)
{
	(void)state;
#define HEAD "REVISION 7\nNOT_AFTER 2099-12-31\nDENY_CLIENTS_HTML5 0\nDISABLE_OTP 1\n"
	static const char *const bad[] = {
		HEAD "DISABLE_EVERYTHING 1\n",        /* unknown: might be a prohibition */
		HEAD "NO_LOCAL_MAC_ADDRESS_LIST 1\n", /* without the list that counts then */
		HEAD "CLIENT_ALLOWED_MAC_LIST_URL http://lists.example/\n",
		HEAD "SERVER_ALLOWED_MAC_LIST_URL file:///etc/passwd\n",
		HEAD "DISABLE_OTP 1\n",        /* twice */
		HEAD "DISABLE_INSPECTION 2\n", /* neither yes nor no */
		HEAD "AUTH_LOCKOUT_COUNT 0\n", /* no lock-out at all */
		HEAD "AUTH_LOCKOUT_COUNT -1\n",
		HEAD "IDLE_TIMEOUT 1e3\n",
		HEAD "PICTURE_PADDING 0\n", /* lengths tell what is on the screen */
		HEAD "PICTURE_PADDING 300\n",
		HEAD "DISABLE_WATERMARK\n",                          /* no value */
		"REVISION 7\nNOT_AFTER 2020-12-31\nDISABLE_OTP 1\n", /* expired */
		"NOT_AFTER 2099-12-31\nDISABLE_OTP 1\n",             /* no revision */
		"REVISION 7\nDISABLE_OTP 1\n",
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct policy p;
		assert_true(read_policy(&p, bad[i]) < 0);
		assert_closed(&p);
		policy_fini(&p);
	}
}

/* What is tried: a policy without a signature, by another key, and by the right key for another
 * purpose. What comes of it: none of it holds, and everything is closed. */
static void
test_attack_unsigned(void **state)
{
	(void)state;
	static const char text[] = HEAD;
	struct evp_pkey_st *other = sign_key_generate();
	struct conf_error error;
	struct policy p;
	char *signed_text;
	policy_init(&p);
	assert_int_equal(policy_read(&p, text, strlen(text), point, now_s, &error), -ERR_SIGNATURE);
	assert_closed(&p);
	assert_int_equal(orgfile_sign(text, strlen(text), POLICY_PURPOSE, other, &signed_text), 0);
	assert_int_equal(policy_read(&p, signed_text, strlen(signed_text), point, now_s, &error),
		-ERR_SIGNATURE);
	assert_closed(&p);
	free(signed_text);
	/* the right key, another purpose */
	assert_int_equal(orgfile_sign(text, strlen(text), ORGFILE_PURPOSE, key, &signed_text), 0);
	assert_int_equal(policy_read(&p, signed_text, strlen(signed_text), point, now_s, &error),
		-ERR_SIGNATURE);
	assert_closed(&p);
	free(signed_text);
	policy_fini(&p);
	sign_key_free(other);
}

static void
test_mail_addresses(void **state)
{
	(void)state;
	static const char *const good[] = {
		"a@b", "tanaka.taro+x@city.example.lg.jp", "o'neill@x-y.example"};
	static const char *const bad[] = {"", "@", "a@", "@b", "a@b@c", "a b@c", "a@b c",
		"a@b\r\nBcc: x@y", "a,b@c", "\"a\"@b", "<a@b>", "a@b>", "-x@b", "a@-b", "a@b.",
		"a@.b", "a@b..c", "a@[1.2.3.4]", "あ@b", "a;b@c", "a(x)@b", "a@b;c", "a:b@c",
		"a@b\tc", "a%b@c"};
	char masked[64];
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_true(settings_mail_fit(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(settings_mail_fit(bad[i]));
	settings_mail_mask(good[1], masked, sizeof masked);
	assert_string_equal(masked, "t***@city.example.lg.jp");
}

static void
test_passwords(void **state)
{
	(void)state;
	assert_int_equal(settings_password_fit("Abcdef12"), 0);
	assert_int_equal(settings_password_fit("abcdefgh12345678"), 0);
	assert_int_equal(settings_password_fit("abcdefghijklmnopqrstuvwx"), 0);
	assert_int_equal(settings_password_fit("縁側Abcde"), -ERR_PASSWORD_WEAK);
	assert_int_equal(settings_password_fit("縁側Abcdef"), 0);
	assert_int_equal(settings_password_fit("Abcde12"), -ERR_PASSWORD_WEAK);
	assert_int_equal(settings_password_fit("abcdefgh"), -ERR_PASSWORD_WEAK);
	assert_int_equal(settings_password_fit("Abcdef12\n"), -ERR_PASSWORD_WEAK);
}

static void
test_settings_file(void **state)
{
	(void)state;
	char path[] = "/tmp/engawa-test-settings.XXXXXX";
	struct settings s = {"a@b", "$argon2id$x"}, back = {"x", "y"};
	close(mkstemp(path));
	assert_int_equal(settings_save(path, &s), 0);
	assert_int_equal(settings_load(path, &back, NULL), 0);
	assert_string_equal(back.mail, s.mail);
	assert_string_equal(back.password, s.password);
	FILE *f = fopen(path, "a");
	fprintf(f, "PASSWORD plain\n");
	fclose(f);
	assert_int_equal(settings_load(path, &back, NULL), -ERR_SETTING);
	assert_string_equal(back.mail, "a@b");
	unlink(path);
	assert_int_equal(settings_load(path, &back, NULL), 0);
	assert_string_equal(back.password, "");
}

/* The manual names every key, with its default. */
static void
test_manual(void **state)
{
	(void)state;
	char *manual, *text = NULL;
	size_t manual_len, len;
	assert_int_equal(conf_read_file(TEST_ROOT "/docs/man/engawa-policy.5.scd", 1 << 20, &manual,
				 &manual_len),
		0);
	FILE *out = open_memstream(&text, &len);
	conf_man(policy_options, out);
	fclose(out);
	assert_non_null(strstr(manual, text));
	free(manual);
	free(text);
}

/* Tried: an old policy, and another one under a number that was seen, also after a restart. Comes
 * of it: neither is taken. What a version before this one wrote is only a number. */
static void
test_attack_policy_seen(void **state)
{
	(void)state;
	char path[] = "/tmp/engawa-test-seen.XXXXXX";
	struct policy_seen seen;
	struct policy first, other, next;
	close(mkstemp(path));
	assert_int_equal(read_policy(&first, "REVISION 7\nNOT_AFTER 2099-12-31\n"), 0);
	assert_int_equal(
		read_policy(&other, "REVISION 7\nNOT_AFTER 2099-12-31\nDISABLE_OTP 1\n"), 0);
	assert_int_equal(read_policy(&next, "REVISION 8\nNOT_AFTER 2099-12-31\n"), 0);
	for (int before = 0; before < 2; before++) {
		unlink(path);
		if (before)
			assert_int_equal(conf_write_file(path, "7", 1, 0600), 0);
		assert_int_equal(policy_seen_load(path, &seen), 0);
		assert_int_equal(policy_seen_take(&seen, &first), 1);
		assert_int_equal(policy_seen_save(path, &seen), 0);
		memset(&seen, 0, sizeof seen);
		assert_int_equal(policy_seen_load(path, &seen), 0);
		assert_int_equal(policy_seen_take(&seen, &other), -ERR_POLICY_FORKED);
		assert_int_equal(policy_seen_take(&seen, &first), 0);
		assert_int_equal(policy_seen_take(&seen, &next), 1);
		assert_int_equal(policy_seen_take(&seen, &first), -ERR_POLICY);
	}
	static const char *const bad[] = {"", "x", "7 ", "7 00", "-7", "7  00"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(conf_write_file(path, bad[i], strlen(bad[i]), 0600), 0);
		assert_int_equal(policy_seen_load(path, &seen), -ERR_SETTING);
	}
	unlink(path);
	policy_fini(&first);
	policy_fini(&other);
	policy_fini(&next);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_attack_bad_files_close),
		cmocka_unit_test(test_attack_unsigned),
		cmocka_unit_test(test_mail_addresses),
		cmocka_unit_test(test_passwords),
		cmocka_unit_test(test_settings_file),
		cmocka_unit_test(test_manual),
		cmocka_unit_test(test_attack_policy_seen),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
