#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/totp.h"
#include "base/err.h"

/* RFC 6238 appendix B, SHA-1, the last six of its eight digits. */
static const struct {
	uint64_t time_s;
	const char *code;
} vectors[] = {
	{59, "287082"},
	{1111111109, "081804"},
	{1111111111, "050471"},
	{1234567890, "005924"},
	{2000000000, "279037"},
	{20000000000, "353130"},
};

static struct totp
rfc(void)
{
	struct totp totp = {.last_step = 0};
	memcpy(totp.secret, "12345678901234567890", 20);
	return totp;
}

static void
test_vectors(void **state)
{
	(void)state;
	for (size_t i = 1; i < sizeof vectors / sizeof vectors[0]; i++) {
		struct totp totp = rfc();
		assert_int_equal(totp_check(&totp, vectors[i].code, vectors[i].time_s), 0);
		assert_int_equal(totp.last_step, vectors[i].time_s / 30);
	}
}

/* What is tried: a code of the app a second time, and one of an earlier step after a later one.
 * What comes of it: wrong. */
static void
test_attack_replay(void **state)
{
	(void)state;
	struct totp totp = rfc();
	assert_int_equal(totp_check(&totp, "081804", 1111111109), 0);
	assert_int_equal(totp_check(&totp, "081804", 1111111109), -ERR_CODE_WRONG);
	assert_int_equal(totp_check(&totp, "081804", 1111111119), -ERR_CODE_WRONG);
	/* the next step's code is good once, and then the earlier one is gone for ever */
	assert_int_equal(totp_check(&totp, "050471", 1111111111), 0);
	assert_int_equal(totp_check(&totp, "081804", 1111111111), -ERR_CODE_WRONG);
}

static void
test_drift(void **state)
{
	(void)state;
	struct totp totp = rfc();
	assert_int_equal(totp_check(&totp, "081804", 1111111109 + 60), -ERR_CODE_WRONG);
	assert_int_equal(totp_check(&totp, "081804", 1111111109 - 60), -ERR_CODE_WRONG);
	assert_int_equal(totp_check(&totp, "081804", 1111111109 + 30), 0);
	totp = rfc();
	assert_int_equal(totp_check(&totp, "081804", 1111111109 - 30), 0);
}

static void
test_shapes(void **state)
{
	(void)state;
	static const char wide[] = "\xef\xbc\x90"
				   "81804";
	const char *const bad[] = {"", "08180", "0818040", "08180a", "081804 ", "-81804", wide};
	struct totp totp = rfc();
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(totp_check(&totp, bad[i], 1111111109), -ERR_CODE_WRONG);
	assert_int_equal(totp_check(&totp, "755224", 0), -ERR_CODE_WRONG);
}

static void
test_text_and_uri(void **state)
{
	(void)state;
	struct totp totp = rfc(), back;
	char text[TOTP_SECRET_TEXT_SIZE], uri[TOTP_URI_SIZE];
	totp_secret_text(&totp, text);
	assert_string_equal(text, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
	assert_int_equal(totp_secret_parse(text, &back), 0);
	assert_memory_equal(back.secret, totp.secret, sizeof totp.secret);
	assert_int_equal(
		totp_secret_parse("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJ1", &back), -ERR_SETTING);
	assert_int_equal(totp_secret_parse("GEZD", &back), -ERR_SETTING);
	assert_int_equal(totp_uri(&totp, "PC & 1", "\xe5\xb8\x82", uri), 0);
	assert_string_equal(uri,
		"otpauth://totp/PC%20%26%201?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&algorithm=SHA1&digits=6&period=30"
		"&issuer=%E5%B8%82");
	assert_int_equal(totp_generate(&back), 0);
	assert_true(memcmp(back.secret, totp.secret, sizeof totp.secret) != 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_attack_replay),
		cmocka_unit_test(test_drift),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_text_and_uri),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
