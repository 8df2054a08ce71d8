#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/iplist.h"
#include "agent/maclist.h"
#include "base/err.h"

static int
check(const char *text, const char *address)
{
	struct iplist list = {0};
	struct conf_error error;
	assert_int_equal(iplist_parse(text, strlen(text), &list, &error), 0);
	int r = iplist_check(&list, address);
	iplist_fini(&list);
	return r;
}

static void
test_order_decides(void **state)
{
	(void)state;
	const char *list =
		"deny 192.0.2.7\nallow 192.0.2.0/24\ndeny 0.0.0.0/0\nallow 2001:db8::/32\ndeny ::/0\n";
	assert_int_equal(check(list, "192.0.2.7"), -ERR_ADDRESS_DENIED);
	assert_int_equal(check(list, "192.0.2.8"), 0);
	assert_int_equal(check(list, "198.51.100.1"), -ERR_ADDRESS_DENIED);
	assert_int_equal(check(list, "2001:db8:1::1"), 0);
	assert_int_equal(check(list, "2001:db9::1"), -ERR_ADDRESS_DENIED);
	assert_int_equal(check("", "198.51.100.1"), 0);
	assert_int_equal(check("deny 10.0.0.0/8\n", "198.51.100.1"), 0);
	/* the mapped form is the same host */
	assert_int_equal(check(list, "::ffff:192.0.2.7"), -ERR_ADDRESS_DENIED);
	/* an address that is none never slips through a list */
	assert_int_equal(check("allow 0.0.0.0/0\n", "gate said so"), -ERR_ADDRESS_DENIED);
	assert_int_equal(check("deny 192.0.2.128/25\n", "192.0.2.129"), -ERR_ADDRESS_DENIED);
	assert_int_equal(check("deny 192.0.2.128/25\n", "192.0.2.127"), 0);
	/* all of IPv6 is no IPv4 */
	assert_int_equal(check("allow ::/0\ndeny 0.0.0.0/0\n", "192.0.2.1"), -ERR_ADDRESS_DENIED);
	assert_int_equal(check("allow ::/0\ndeny 0.0.0.0/0\n", "2001:db8::1"), 0);
}

static void
test_slips_are_refused(void **state)
{
	(void)state;
	const char *const bad[] = {"allow 192.0.2.1/24", "allow 192.0.2.0/33", "allow 192.0.2",
		"permit 192.0.2.0/24", "allow", "deny 2001:db8::1/64", "deny ::/129",
		"allow 10.0.0.0/-1", "allow 10.0.0.0/", "allow 10.0.0.0/8\nallow 10.0.0.0/8",
		"allow 1:2:3:4:5:6:7:8:9:10:11:12:13:14:15:16:17:18:19:20", "deny 010.0.0.1"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct iplist list = {0};
		struct conf_error error = {""};
		if (iplist_parse(bad[i], strlen(bad[i]), &list, &error) != -ERR_SETTING)
			fail_msg("accepted: %s", bad[i]);
		assert_null(list.entries);
		assert_true(error.text[0]);
	}
}

static void
test_text_round_trip(void **state)
{
	(void)state;
	const char *text =
		"allow 192.0.2.0/24\ndeny 2001:db8::/32\nallow 198.51.100.4/32\ndeny ::/0\n";
	struct iplist list = {0};
	struct conf_error error;
	assert_int_equal(iplist_parse(text, strlen(text), &list, &error), 0);
	char *back = iplist_text(&list);
	assert_string_equal(back, text);
	free(back);
	assert_int_equal(iplist_remove(&list, 1), 0);
	assert_int_equal(iplist_remove(&list, 9), -ERR_NOT_FOUND);
	assert_int_equal(list.count, 3);
	iplist_fini(&list);
}

static void
test_mac_forms(void **state)
{
	(void)state;
	const char text[] =
		"\xef\xbb\xbf# list\r\n00-11-22-AA-bb-cc\r\n001122334455 // no separators\n"
		"  02:11:22:33:44:66 # random\n0011.2233.4477\n\n//none\n";
	const uint8_t a[6] = {0, 0x11, 0x22, 0xaa, 0xbb, 0xcc},
		      b[6] = {0, 0x11, 0x22, 0x33, 0x44, 0x55};
	const uint8_t c[6] = {2, 0x11, 0x22, 0x33, 0x44, 0x66},
		      d[6] = {0, 0x11, 0x22, 0x33, 0x44, 0x77};
	const uint8_t e[6] = {0, 0x11, 0x22, 0x33, 0x44, 0x78};
	struct maclist list = {0};
	struct conf_error error;
	char out[MAC_TEXT_SIZE];
	assert_int_equal(maclist_parse(text, sizeof text - 1, &list, &error), 0);
	assert_int_equal(list.count, 4);
	assert_true(maclist_has(&list, a) && maclist_has(&list, b) && maclist_has(&list, c) &&
		    maclist_has(&list, d));
	assert_false(maclist_has(&list, e));
	assert_true(mac_is_random(c));
	assert_false(mac_is_random(b));
	mac_text(a, out);
	assert_string_equal(out, "00-11-22-AA-BB-CC");
	maclist_fini(&list);
}

static void
test_mac_slips(void **state)
{
	(void)state;
	const char *const bad[] = {"00-11-22-33-44", "00-11-22-33-44-55-66", "0-11-22-33-44-55",
		"ff-ff-ff-ff-ff-ff", "00-00-00-00-00-00", "01-00-5e-00-00-01", "00-11-22-33-44-5g",
		"00-11-22-33-44-55-", "-001122334455", "hello"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct maclist list = {0};
		struct conf_error error = {""};
		if (maclist_parse(bad[i], strlen(bad[i]), &list, &error) != -ERR_SETTING)
			fail_msg("accepted: %s", bad[i]);
		assert_string_equal(error.text, "line 1: not a MAC address");
	}
}

static void
test_ten_thousand_lines(void **state)
{
	(void)state;
	char *text = malloc(10000 * 24);
	size_t len = 0;
	for (unsigned i = 0; i < 10000; i++)
		len += (size_t)sprintf(
			text + len, "02-00-00-00-%02X-%02X\r\n", i / 256 % 256, i % 256);
	struct maclist list = {0};
	struct conf_error error;
	assert_int_equal(maclist_parse(text, len, &list, &error), 0);
	assert_int_equal(list.count, 10000);
	const uint8_t last[6] = {2, 0, 0, 0, 9999 / 256, 9999 % 256}, none[6] = {2, 0, 0, 1, 0, 0};
	assert_true(maclist_has(&list, last));
	assert_false(maclist_has(&list, none));
	maclist_fini(&list);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_decides),
		cmocka_unit_test(test_slips_are_refused),
		cmocka_unit_test(test_text_round_trip),
		cmocka_unit_test(test_mac_forms),
		cmocka_unit_test(test_mac_slips),
		cmocka_unit_test(test_ten_thousand_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
