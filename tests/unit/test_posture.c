/* client/posture_linux: systems made of files below a directory of this test. */
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

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "client/posture.h"
#include "client/posture_linux.h"

enum {
	YES = engawa_Known_KNOWN_YES,
	NO = engawa_Known_KNOWN_NO,
	UNKNOWN = engawa_Known_KNOWN_NONE
};

static char root[] = "/tmp/engawa-test-posture.XXXXXX";
static engawa_Posture posture;
static struct posture_networks networks;

/* A file with its directories; when != 0: the time it was changed. */
static void
put(const char *path, const char *text, time_t when)
{
	char full[256], command[512];
	snprintf(full, sizeof full, "%s/%s", root, path);
	snprintf(command, sizeof command, "mkdir -p \"$(dirname '%s')\"", full);
	assert_int_equal(system(command), 0);
	FILE *file = fopen(full, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	struct timespec times[2] = {{when, 0}, {when, 0}};
	if (when)
		assert_int_equal(utimensat(AT_FDCWD, full, times, 0), 0);
}

static void
put_patterns(const char *path, const char *time)
{
	char header[CVD_HEADER_BYTES + 1];
	memset(header, ' ', CVD_HEADER_BYTES);
	header[CVD_HEADER_BYTES] = '\0';
	int n = snprintf(header, sizeof header, "ClamAV-VDB:%s:27700:355000:90:", time);
	header[n] = ' ';
	put(path, header, 0);
}

/* A process of the made-up system. */
static void
put_process(const char *pid, const char *name, char process_state, const char *exe)
{
	char path[256], text[256];
	snprintf(path, sizeof path, "proc/%s/status", pid);
	snprintf(text, sizeof text, "Name:\t%s\nUmask:\t0022\nState:\t%c (x)\nUid:\t0\t0\t0\t0\n",
		name, process_state);
	put(path, text, 0);
	snprintf(path, sizeof path, "%s/proc/%s/exe", root, pid);
	unlink(path);
	assert_int_equal(symlink(exe, path), 0);
}

static void
look(void)
{
	memset(&posture, 0, sizeof posture);
	posture_files(root, &posture, &networks);
}

static int
setup(void **state)
{
	(void)state;
	strcpy(root, "/tmp/engawa-test-posture.XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int
teardown(void **state)
{
	char command[128];
	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", root);
	return system(command);
}

static void
test_nothing(void **state)
{
	(void)state;
	look();
	assert_string_equal(posture.os, "linux");
	assert_int_equal(posture.antivirus_count, 0);
	assert_int_equal(posture.updates_done_s, 0);
	assert_int_equal(posture.reboot_pending, UNKNOWN);
	assert_int_equal(networks.count, 0);
	assert_int_equal(posture.login_password, UNKNOWN);
	assert_int_equal(posture_disk(root, 8, 1, 4), UNKNOWN);
}

static void
test_os_release(void **state)
{
	(void)state;
	put("usr/lib/os-release", "NAME=x\nID=almalinux\nVERSION_ID=\"9.4\"\n", 0);
	look();
	assert_string_equal(posture.os, "almalinux");
	assert_string_equal(posture.os_version, "9.4");
	put("etc/os-release", "VERSION_ID='12'\nID=debian", 0);
	look();
	assert_string_equal(posture.os, "debian");
	assert_string_equal(posture.os_version, "12");
	put("etc/os-release", "ID=\"a b\"\nVERSION_ID=$(reboot)\n", 0);
	put("usr/lib/os-release", "", 0);
	look();
	assert_string_equal(posture.os, "linux");
	assert_string_equal(posture.os_version, "");
}

static void
test_clamav(void **state)
{
	(void)state;
	put("usr/bin/clamscan", "", 0);
	look();
	assert_int_equal(posture.antivirus_count, 1);
	assert_string_equal(posture.antivirus[0].name, "ClamAV");
	assert_int_equal(posture.antivirus[0].running, NO);
	assert_int_equal(posture.antivirus[0].patterns_s, 0);
	put_process("self", "clamd", 'S', "/usr/sbin/clamd"); /* no process */
	look();
	assert_int_equal(posture.antivirus[0].running, NO);
	put_process("4711", "freshclam", 'S', "/usr/bin/freshclam");
	put_patterns("var/lib/clamav/daily.cvd", "16 Sep 2021 08-32 -0400");
	put_patterns("var/lib/clamav/main.cvd", "16 Sep 2026 08-32 -0400");
	look();
	assert_int_equal(posture.antivirus[0].running, YES);
	assert_int_equal(posture.antivirus[0].patterns_s, 1631795520);
	put_patterns("var/lib/clamav/daily.cld", "20 Nov 2026 08-24 +0000");
	look();
	assert_int_equal(posture.antivirus[0].patterns_s, 1795163040);
}

/* What is tried: to be taken for ClamAV by name alone. What comes of it: a program from another
 * place, one that has ended and was not waited for, and one of another name do not count; one that
 * an update replaced while it ran does. */
static void
test_attack_not_the_antivirus(void **state)
{
	static const struct {
		const char *name;
		char state;
		const char *exe;
		int running;
	} cases[] = {{"clamd", 'S', "/home/tanaka/clamd", NO}, {"clamd", 'S', "/usr/bin/sleep", NO},
		{"clamd", 'Z', "/usr/sbin/clamd", NO}, {"clamdx", 'S', "/usr/sbin/clamd", NO},
		{"clam", 'S', "/usr/sbin/clamd", NO}, {"freshclam", 'S', "/usr/sbin/clamd", NO},
		{"clamd", 'R', "/usr/sbin/clamd", YES},
		{"clamd", 'S', "/usr/sbin/clamd (deleted)", YES}};
	(void)state;
	put("usr/sbin/clamd", "", 0);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		put_process("4711", cases[i].name, cases[i].state, cases[i].exe);
		look();
		assert_int_equal(posture.antivirus[0].running, cases[i].running);
	}
}

/* A process called clamd, of this account, among those of the made-up system. */
static pid_t
start_clamd(uid_t uid)
{
	char path[256], link[64];
	int ready[2];
	char c;
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (setresuid(uid, uid, uid) < 0 || prctl(PR_SET_NAME, "clamd") < 0 ||
			prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	snprintf(path, sizeof path, "%s/proc/%d", root, (int)pid);
	snprintf(link, sizeof link, "/proc/%d", (int)pid);
	assert_int_equal(symlink(link, path), 0);
	return pid;
}

/* As seen by a person without rights. */
static int
seen_by_nobody(void)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		if (setresuid(65534, 65534, 65534) < 0)
			_exit(99);
		look();
		_exit(posture.antivirus_count == 1 ? (int)posture.antivirus[0].running : 98);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* What is tried: a process of one's own, or of another person, that calls itself clamd. What comes
 * of it: neither is ClamAV. One of the system's own accounts is, although nobody may see its
 * program. */
static void
test_attack_process_called_clamd(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	put("usr/sbin/clamd", "", 0);
	put("proc/stat", "", 0);
	assert_int_equal(chmod(root, 0755), 0);
	static const struct {
		uid_t uid;
		int running;
	} cases[] = {{65534, NO}, {1000, NO}, {61183, NO}, {61184, YES}, {101, YES}, {0, YES}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		pid_t pid = start_clamd(cases[i].uid);
		assert_int_equal(seen_by_nobody(), cases[i].running);
		look(); /* root sees what it really is */
		assert_int_equal(posture.antivirus[0].running, NO);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
}

static void
test_clamav_headers(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "ClamAV-VDB:", "ClamAV-VDB:16 Sep 2021 08-32 -0400",
		"ClamAV-VDB:16 Sex 2021 08-32 -0400:1:2:3:4:5",
		"ClamAV-VDB:16 epO 2021 08-32 -0400:1:2:3:4:5",
		"ClamAV-VDB:32 Sep 2021 08-32 -0400:1:2:3:4:5",
		"ClamAV-VDB:16 Sep 1999 08-32 -0400:1:2:3:4:5",
		"ClamAV-VDB:16 Sep 2021 24-32 -0400:1:2:3:4:5",
		"ClamAV-VDB:16 Sep 2021 08-32 -0400 :1:2:3:4:5",
		"ClamAV-VDB:16 Sep 2021 08-32 -9999:1:2:3:4:5",
		"CLAMAV-VDB:16 Sep 2021 08-32 -0400:1:2:3:4:5"};
	uint64_t s;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(posture_cvd_time(bad[i], strlen(bad[i]), &s), -EINVAL);
	const char *good = "ClamAV-VDB:16 Sep 2021 08-32 +0900:1:2:3:4:5";
	assert_int_equal(posture_cvd_time(good, strlen(good), &s), 0);
	assert_int_equal(s, 1631748720);
}

static void
test_updates(void **state)
{
	(void)state;
	put("var/lib/dpkg/status", "", 1795000000);
	put("var/lib/apt/periodic/update-success-stamp", "", 1795000100);
	look();
	assert_int_equal(posture.updates_done_s, 1795000000);
	assert_int_equal(posture.updates_looked_s, 1795000100);
	put("var/lib/apt/periodic/unattended-upgrades-stamp", "", 1795000200);
	look();
	assert_int_equal(posture.updates_done_s, 1795000200);
}

static void
test_reboot(void **state)
{
	(void)state;
	put("proc/stat", "cpu 1\nbtime 1700000000\nprocesses 3\n", 0);
	put("proc/sys/kernel/osrelease", "6.1.0-40-amd64\n", 0);
	look();
	assert_int_equal(posture.reboot_pending, NO);
	put("lib/modules/6.1.0-9-amd64", "", 1795000000); /* older, and touched again */
	put("lib/modules/6.1.0-40-amd64", "", 1795000000);
	look();
	assert_int_equal(posture.reboot_pending, NO);
	put("lib/modules/6.1.0-41-amd64", "", 1795000000);
	look();
	assert_int_equal(posture.reboot_pending, YES);
	assert_int_equal(posture.reboot_since_s, 1795000000);
	put("run/reboot-required", "*** System restart required ***\n", 1795100000);
	look();
	assert_int_equal(posture.reboot_since_s, 1795100000);
}

static void
test_networks(void **state)
{
	(void)state;
	put("sys/class/net/lo/operstate", "unknown\n", 0);
	put("sys/class/net/docker0/operstate", "up\n", 0);
	put("sys/class/net/eth0/operstate", "down\n", 0);
	put("sys/class/net/eth0/device", "", 0);
	look();
	assert_int_equal(networks.count, 0);
	put("sys/class/net/wlan0/operstate", "up\n", 0);
	put("sys/class/net/wlan0/device", "", 0);
	put("sys/class/net/wlan0/phy80211", "", 0);
	look();
	assert_int_equal(networks.count, 1);
	assert_string_equal(networks.items[0].name, "wlan0");
	assert_true(networks.items[0].wireless);
	for (int i = 1; i < 20; i++) {
		char path[64];
		snprintf(path, sizeof path, "sys/class/net/en%d/operstate", i);
		put(path, "up\n", 0);
		snprintf(path, sizeof path, "sys/class/net/en%d/device", i);
		put(path, "", 0);
	}
	look();
	assert_int_equal(networks.count, POSTURE_NETWORKS_MAX);
}

/* NM's flags as access points have them. */
static void
test_wifi(void **state)
{
	(void)state;
	assert_int_equal(posture_wifi(0, 0, 0), engawa_NetworkSecurity_NETWORK_OPEN);
	assert_int_equal(posture_wifi(1, 0, 0), engawa_NetworkSecurity_NETWORK_WEP);
	assert_int_equal(posture_wifi(1, 0x144, 0), engawa_NetworkSecurity_NETWORK_WPA);
	assert_int_equal(posture_wifi(1, 0x144, 0x188), engawa_NetworkSecurity_NETWORK_WPA2);
	assert_int_equal(posture_wifi(1, 0, 0x288), engawa_NetworkSecurity_NETWORK_WPA2);
	assert_int_equal(posture_wifi(1, 0, 0x144), engawa_NetworkSecurity_NETWORK_WPA); /* TKIP */
	assert_int_equal(posture_wifi(1, 0, 0x588), engawa_NetworkSecurity_NETWORK_WPA2);
	assert_int_equal(posture_wifi(1, 0, 0x488), engawa_NetworkSecurity_NETWORK_WPA3);
	assert_int_equal(posture_wifi(1, 0, 0x2088), engawa_NetworkSecurity_NETWORK_WPA3);
	assert_int_equal(posture_wifi(1, 0, 0x888), engawa_NetworkSecurity_NETWORK_OPEN); /* OWE */
}

static void
test_automatic_login(void **state)
{
	(void)state;
	put("etc/lightdm/lightdm.conf", "[Seat:*]\n#autologin-user=a\nautologin-user=\n", 0);
	put("etc/gdm3/daemon.conf", "[daemon]\n  AutomaticLoginEnable = false\r\n", 0);
	look();
	assert_int_equal(posture.login_password, UNKNOWN);
	put("etc/gdm3/daemon.conf", "[daemon]\nAutomaticLoginEnable = True\n", 0);
	look();
	assert_int_equal(posture.login_password, NO);
}

static void
test_disk(void **state)
{
	(void)state;
	put("sys/dev/block/8:1/partition", "1", 0);
	assert_int_equal(posture_disk(root, 8, 1, 4), NO);
	/* LVM on LUKS */
	put("sys/dev/block/254:1/dm/uuid", "LVM-abc\n", 0);
	put("sys/dev/block/254:1/slaves/dm-0/dev", "254:0\n", 0);
	put("sys/dev/block/254:0/dm/uuid", "CRYPT-LUKS2-abc\n", 0);
	assert_int_equal(posture_disk(root, 254, 1, 4), YES);
	/* a second disk of the same volume that is not encrypted */
	put("sys/dev/block/254:1/slaves/sdb/dev", "8:1\n", 0);
	assert_int_equal(posture_disk(root, 254, 1, 4), NO);
	/* one that has itself below: ends */
	put("sys/dev/block/9:0/slaves/md0/dev", "9:0\n", 0);
	assert_int_equal(posture_disk(root, 9, 0, 4), NO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_nothing),
		T(test_os_release),
		T(test_clamav),
		T(test_attack_not_the_antivirus),
		T(test_attack_process_called_clamd),
		T(test_clamav_headers),
		T(test_updates),
		T(test_reboot),
		T(test_networks),
		T(test_wifi),
		T(test_automatic_login),
		T(test_disk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
