/* inspect/: what reports are taken, and what is found wrong with a home PC. */
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

#include "base/err.h"
#include "inspect/judge.h"

enum {
	DAY_S = 86400,
	YES = engawa_Known_KNOWN_YES,
	NO = engawa_Known_KNOWN_NO
};

static const uint64_t now_s = 1795500000; /* 2026-11-24 */
static struct limits limits;

static int
setup(void **state)
{
	(void)state;
	limits_init(&limits);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	limits_fini(&limits);
	return 0;
}

static engawa_Posture
good_message(void)
{
	return (engawa_Posture){.version = 1,
		.channel = {.size = 16},
		.system = engawa_PostureSystem_SYSTEM_LINUX,
		.os = "debian",
		.os_version = "12",
		.antivirus_count = 1,
		.antivirus = {{.name = "ClamAV",
			.running = engawa_Known_KNOWN_YES,
			.patterns_s = now_s - DAY_S}},
		.updates_looked_s = now_s - DAY_S,
		.updates_done_s = now_s - 20 * DAY_S,
		.reboot_pending = engawa_Known_KNOWN_NO,
		.networks_count = 2,
		.networks = {engawa_NetworkSecurity_NETWORK_WIRED,
			engawa_NetworkSecurity_NETWORK_WPA2},
		.login_password = engawa_Known_KNOWN_YES,
		.screen_lock = engawa_Known_KNOWN_YES,
		.lock_after_s = 600};
}

static struct report
good(void)
{
	engawa_Posture msg = good_message();
	struct report r;
	assert_int_equal(report_take(&msg, &r), 0);
	return r;
}

static struct findings
found(const struct report *r)
{
	struct findings findings;
	judge_report(r, &limits, now_s, &findings);
	return findings;
}

static void
expect(const struct report *r, uint32_t code)
{
	struct findings findings = found(r);
	assert_int_equal(findings.count, code ? 1 : 0);
	assert_int_equal(findings_code(&findings), code);
}

static void
test_good(void **state)
{
	(void)state;
	struct report r = good();
	expect(&r, 0);
	/* what the system does not tell of these two is not held against anybody */
	r.login_password = r.screen_lock = 0;
	r.lock_after_s = 0;
	expect(&r, 0);
}

static void
test_antivirus(void **state)
{
	(void)state;
	struct report r = good();
	r.antivirus[0].running = NO;
	expect(&r, ERR_ANTIVIRUS_STOPPED);
	r.antivirus[0].running = 0;
	expect(&r, ERR_ANTIVIRUS_STOPPED);
	r = good();
	r.antivirus[0].patterns_s = now_s - 8 * DAY_S;
	expect(&r, ERR_PATTERNS_OLD);
	r.antivirus[0].patterns_s = 0;
	expect(&r, ERR_PATTERNS_OLD);
	limits.pattern_days = 0;
	expect(&r, 0);
	limits.pattern_days = 7;
	r.antivirus_count = 0;
	expect(&r, ERR_NO_ANTIVIRUS);
	limits.antivirus = 0;
	expect(&r, 0);
}

/* As Windows reports them: the one that came with it is off, another one runs. */
static void
test_several_antivirus(void **state)
{
	(void)state;
	struct report r = good();
	r.antivirus_count = 2;
	r.antivirus[1] = r.antivirus[0];
	r.antivirus[0].running = NO;
	expect(&r, 0);
	r.antivirus[1].patterns_s = 1; /* the one that runs is old, the fresh one does not run */
	expect(&r, ERR_PATTERNS_OLD);
	r.antivirus[1].running = NO;
	expect(&r, ERR_ANTIVIRUS_STOPPED);
}

static void
test_updates(void **state)
{
	(void)state;
	struct report r = good();
	r.updates_done_s = now_s - 91 * DAY_S;
	expect(&r, ERR_UPDATES_OLD);
	r = good();
	r.updates_looked_s = now_s - 15 * DAY_S;
	expect(&r, ERR_UPDATES_OLD);
	r.updates_looked_s = 0;
	expect(&r, ERR_UPDATES_OLD);
	limits.look_days = 0;
	expect(&r, 0);
	r = good();
	r.reboot_pending = YES;
	r.reboot_since_s = now_s - 6 * DAY_S;
	expect(&r, 0);
	r.reboot_since_s = now_s - 8 * DAY_S;
	expect(&r, ERR_REBOOT_PENDING);
	r.reboot_since_s = 0; /* since nobody knows when */
	expect(&r, ERR_REBOOT_PENDING);
}

static void
test_systems(void **state)
{
	(void)state;
	static const struct {
		const char *os, *version;
		int fits;
	} cases[] = {{"debian", "13", 1}, {"debian", "10", 0}, {"debian", "", 0},
		{"debian", "1", 0}, {"ubuntu", "20.04", 0}, {"ubuntu", "24.04", 1},
		{"rocky", "9.4", 1}, {"rocky", "94", 0}, {"opensuse-tumbleweed", "20261101", 1},
		{"arch", "", 0}, {"windows", "26200", 1}, {"windows", "19045", 0},
		{"temple", "5", 0}};
	struct report r = good();
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		strcpy(r.os, cases[i].os);
		strcpy(r.os_version, cases[i].version);
		expect(&r, cases[i].fits ? 0 : ERR_OS_ENDED);
	}
	/* the organisation knows better */
	char *lines[] = {"temple 5 2030-01-01", "debian 10 2027-06-30", "debian 13 2026-11-23"};
	struct conf_list before = limits.os_until;
	limits.os_until = (struct conf_list){lines, 3};
	expect(&r, 0);
	strcpy(r.os, "debian");
	strcpy(r.os_version, "10");
	expect(&r, 0);
	strcpy(r.os_version, "13");
	expect(&r, ERR_OS_ENDED);
	limits.os_until = before;
}

static void
test_networks(void **state)
{
	(void)state;
	static const uint8_t by_name[3] = {engawa_NetworkSecurity_NETWORK_WPA,
		engawa_NetworkSecurity_NETWORK_WPA2, engawa_NetworkSecurity_NETWORK_WPA3};
	static const char *const names[] = {"wpa", "wpa2", "wpa3"};
	char *before = limits.wifi;
	for (size_t n = 0; n < 3; n++) {
		limits.wifi = strdup(names[n]);
		for (uint8_t s = 0; s <= engawa_NetworkSecurity_NETWORK_WPA3; s++) {
			struct report r = good();
			r.networks[1] = s;
			int fits = s == engawa_NetworkSecurity_NETWORK_WIRED || s >= by_name[n];
			expect(&r, fits ? 0 : ERR_WIFI_WEAK);
		}
		free(limits.wifi);
	}
	struct report r = good();
	limits.wifi = strdup("any");
	r.networks[1] = engawa_NetworkSecurity_NETWORK_OPEN;
	expect(&r, 0);
	free(limits.wifi);
	limits.wifi = before;
	r.network_count = 1;
	expect(&r, 0);
}

static void
test_login_lock_disk(void **state)
{
	(void)state;
	struct report r = good();
	r.login_password = NO;
	expect(&r, ERR_NO_LOGIN_PASSWORD);
	r = good();
	r.lock_after_s = 31 * 60;
	expect(&r, ERR_NO_SCREEN_LOCK);
	r.screen_lock = NO;
	r.lock_after_s = 0;
	expect(&r, ERR_NO_SCREEN_LOCK);
	limits.lock_minutes = 0;
	expect(&r, 0);
	limits.disk = 1;
	expect(&r, ERR_DISK_OPEN);
	r.disk_encrypted = YES;
	expect(&r, 0);
}

/* Everything at once: all of it is named, once each. */
static void
test_several(void **state)
{
	(void)state;
	struct report r = good();
	char text[FINDINGS_TEXT_SIZE];
	r.antivirus_count = 0;
	r.updates_done_s = r.updates_looked_s = 0;
	strcpy(r.os, "none");
	r.networks[0] = r.networks[1] = engawa_NetworkSecurity_NETWORK_OPEN;
	r.login_password = NO;
	struct findings findings = found(&r);
	assert_int_equal(findings.count, 5);
	assert_int_equal(findings_code(&findings), ERR_INSPECTION);
	findings_text(&findings, text);
	assert_string_equal(text, "326,327,1163,1165,1166");
	for (size_t i = 0; i < findings.count; i++)
		assert_non_null(err_find((int)findings.codes[i]));
}

/* Dates that have not come yet, to be fresh for ever: the whole report is worth nothing. */
static void
test_attack_dates_of_the_future(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct report r = good();
		uint64_t *dates[] = {&r.antivirus[0].patterns_s, &r.updates_looked_s,
			&r.updates_done_s, &r.reboot_since_s};
		r.reboot_pending = YES;
		r.reboot_since_s = now_s;
		*dates[i] = now_s + 3600; /* a clock that is a little off */
		expect(&r, 0);
		*dates[i] = now_s + 2 * DAY_S;
		expect(&r, ERR_POSTURE_BAD);
		*dates[i] = UINT64_MAX;
		expect(&r, ERR_POSTURE_BAD);
	}
}

/* Another version of the format, values that do not exist, facts that exclude each other, text that
 * is none: nothing is taken. */
static void
test_attack_reports_that_lie(void **state)
{
	(void)state;
	for (int i = 0; i < 15; i++) {
		engawa_Posture m = good_message();
		struct report r;
		switch (i) {
		case 0:
			m.version = 0;
			break;
		case 1:
			m.version = 2;
			break;
		case 2:
			m.channel.size = 15;
			break;
		case 3:
			m.system = 4;
			break;
		case 4:
			m.system = 257; /* 1 in eight bits */
			break;
		case 5:
			strcpy(m.os, "debian\n12");
			break;
		case 6:
			m.os[0] = '\0';
			break;
		case 7:
			strcpy(m.os_version, "%n");
			break;
		case 8:
			m.antivirus[0].name[0] = '\0';
			break;
		case 9:
			strcpy(m.antivirus[0].name, "\x1b[2J");
			break;
		case 10:
			m.antivirus[0].running = 3;
			break;
		case 11:
			m.networks[1] = 7;
			break;
		case 12:
			m.reboot_since_s = 5;
			break;
		case 13:
			m.screen_lock = engawa_Known_KNOWN_NO;
			break;
		case 14:
			m.disk_encrypted = 258;
			break;
		}
		assert_int_equal(report_take(&m, &r), -ERR_POSTURE_BAD);
	}
}

static void
test_os_until(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "debian", "debian 12", "debian 12 2026-13-01",
		"debian 12 2026-01-01 x", "debian 12 tomorrow"};
	uint64_t s;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(limits_os_until(bad[i], "debian", "12", &s), -ERR_SETTING);
	assert_int_equal(limits_os_until("debian - 2030-01-01", "debian", "", &s), 1);
	assert_int_equal(limits_os_until("debian - 2030-01-01", "debian", "12", &s), 0);
	assert_int_equal(limits_wifi("wep"), -ERR_SETTING);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_good),
		T(test_antivirus),
		T(test_several_antivirus),
		T(test_updates),
		T(test_systems),
		T(test_networks),
		T(test_login_lock_disk),
		T(test_several),
		T(test_attack_dates_of_the_future),
		T(test_attack_reports_that_lie),
		T(test_os_until),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
