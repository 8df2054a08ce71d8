/* What files of a Linux system tell, as the person who runs us may read them: ClamAV, packages,
 * restarts, networks, automatic logins, disk encryption. */
#include "client/posture_linux.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/str.h"
#include "client/posture.h"

enum {
	TEXT_MAX_BYTES = 64 * 1024,
	DISK_DEPTH = 4,          /* LVM on LUKS on RAID */
	SYSTEM_UID_MAX = 999,    /* login.defs(5): SYS_UID_MAX */
	DYNAMIC_UID_MIN = 61184, /* systemd.exec(5): DynamicUser */
	DYNAMIC_UID_MAX = 65519,
	VERSION = 1
};

/* A program that stays, and where it is installed. */
struct daemon {
	const char *name, *programs[3];
};

static const engawa_Known YES = engawa_Known_KNOWN_YES, NO = engawa_Known_KNOWN_NO;

/* ---- small helpers ---- */

static int
read_text(const char *root, const char *path, char **ret_text, size_t *ret_len)
{
	char full[PATH_MAX];
	int r = str_print(full, sizeof full, "%s/%s", root, path);
	return r < 0 ? r : conf_read_file(full, TEXT_MAX_BYTES, ret_text, ret_len);
}

/* One line of a small file of the system, "" when there is none. */
static void
read_line(const char *root, const char *path, char *out, size_t size)
{
	char *text;
	size_t len;
	out[0] = '\0';
	if (read_text(root, path, &text, &len) < 0)
		return;
	text[strcspn(text, "\n")] = '\0';
	str_copy(out, size, text);
	free(text);
}

static uint64_t
changed_s(const char *root, const char *path)
{
	char full[PATH_MAX];
	struct stat st;
	if (str_print(full, sizeof full, "%s/%s", root, path) < 0 || stat(full, &st) < 0 ||
		st.st_mtime < 0)
		return 0;
	return (uint64_t)st.st_mtime;
}

static uint64_t
newest_s(const char *root, const char *const *paths, size_t count)
{
	uint64_t newest = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t s = changed_s(root, paths[i]);
		newest = s > newest ? s : newest;
	}
	return newest;
}

static DIR *
open_dir(const char *root, const char *path)
{
	char full[PATH_MAX];
	return str_print(full, sizeof full, "%s/%s", root, path) < 0 ? NULL : opendir(full);
}

/* ---- operating system ---- */

static int
is_word(const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!(value[i] >= 'a' && value[i] <= 'z') &&
			!(value[i] >= '0' && value[i] <= '9') && value[i] != '.' &&
			value[i] != '_' && value[i] != '-')
			return 0;
	return 1;
}

static void
take_word(const char *value, size_t len, char *out, size_t size)
{
	if (len >= 2 && (*value == '"' || *value == '\'') && value[len - 1] == *value) {
		value++;
		len -= 2;
	}
	if (len >= size || !is_word(value, len))
		return;
	memcpy(out, value, len);
	out[len] = '\0';
}

void
posture_os_release(const char *text, size_t len, engawa_Posture *posture)
{
	const char *end = text + len;
	for (const char *line = text; line < end;) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		size_t n = newline ? (size_t)(newline - line) : (size_t)(end - line);
		if (n > 3 && memcmp(line, "ID=", 3) == 0)
			take_word(line + 3, n - 3, posture->os, sizeof posture->os);
		if (n > 11 && memcmp(line, "VERSION_ID=", 11) == 0)
			take_word(
				line + 11, n - 11, posture->os_version, sizeof posture->os_version);
		line += n + 1;
	}
}

static void
collect_os(const char *root, engawa_Posture *posture)
{
	static const char *const paths[] = {"etc/os-release", "usr/lib/os-release"};
	char *text;
	size_t len;
	for (size_t i = 0; i < 2 && !posture->os[0]; i++)
		if (read_text(root, paths[i], &text, &len) == 0) {
			posture_os_release(text, len, posture);
			free(text);
		}
	if (!posture->os[0])
		strcpy(posture->os, "linux"); /* what os-release(5) says to assume */
}

/* ---- ClamAV ---- */

/* "ClamAV-VDB:16 Sep 2021 08-32 -0400:26295:…" and nothing else. */
int
posture_cvd_time(const char *header, size_t len, uint64_t *ret_s)
{
	static const char magic[] = "ClamAV-VDB:",
			  months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	char text[32] = "", month[4], sign[2];
	int day, year, hour, minute, zone, used = 0;
	const char *time = header + sizeof magic - 1;
	if (len < sizeof magic + sizeof text || memcmp(header, magic, sizeof magic - 1) != 0)
		return -EINVAL;
	const char *colon = memchr(time, ':', sizeof text - 1);
	if (!colon)
		return -EINVAL;
	memcpy(text, time, (size_t)(colon - time));
	if (sscanf(text, "%2d %3[A-Za-z] %4d %2d-%2d %1[+-]%4d%n", &day, month, &year, &hour,
		    &minute, sign, &zone, &used) != 7)
		return -EINVAL;
	const char *found = strstr(months, month);
	struct tm tm = {.tm_mday = day, .tm_year = year - 1900, .tm_hour = hour, .tm_min = minute};
	if (text[used] || !found || (found - months) % 3 || day < 1 || day > 31 || year < 2000 ||
		hour < 0 || hour > 23 || minute < 0 || minute > 59 || zone < 0 || zone > 1400)
		return -EINVAL;
	tm.tm_mon = (int)(found - months) / 3;
	int offset_s = (zone / 100 * 60 + zone % 100) * 60;
	*ret_s = (uint64_t)(timegm(&tm) + (sign[0] == '+' ? -offset_s : offset_s));
	return 0;
}

static uint64_t
patterns_s(const char *root)
{
	static const char *const names[] = {"daily.cvd", "daily.cld"};
	uint64_t newest = 0, s;
	for (size_t i = 0; i < 2; i++) {
		char full[PATH_MAX], header[CVD_HEADER_BYTES];
		if (str_print(full, sizeof full, "%s/var/lib/clamav/%s", root, names[i]) < 0)
			continue;
		FILE *file = fopen(full, "re");
		size_t n = file ? fread(header, 1, sizeof header, file) : 0;
		if (file)
			fclose(file);
		if (n == sizeof header && posture_cvd_time(header, n, &s) == 0 && s > newest)
			newest = s;
	}
	return newest;
}

/* A line of /proc/PID/status, behind its key and blanks; "" when there is none. */
static const char *
status_line(const char *status, const char *key)
{
	const char *line = strstr(status, key);
	return line ? line + strlen(key) + strspn(line + strlen(key), " \t") : "";
}

/* The program behind a process, where we may know it: 1 or 0, or negative when we may not. */
static int
is_program(const char *root, const char *pid, const struct daemon *daemon)
{
	char path[PATH_MAX], program[PATH_MAX];
	int r = str_print(path, sizeof path, "%s/proc/%.20s/exe", root, pid);
	ssize_t n = r < 0 ? r : readlink(path, program, sizeof program - 1);
	if (n < 0)
		return errno == EACCES ? -EACCES : 0;
	program[n] = '\0';
	char *deleted = strstr(program, " (deleted)"); /* replaced by an update since it began */
	if (deleted)
		*deleted = '\0';
	for (size_t i = 0; i < sizeof daemon->programs / sizeof daemon->programs[0]; i++)
		if (daemon->programs[i] && strcmp(program, daemon->programs[i]) == 0)
			return 1;
	return 0;
}

/* Anybody can give a process any name. Of one of ours the system tells which program it runs; one
 * of somebody else counts when that is an account of the system, and not another person. */
static int
is_daemon(const char *root, const char *pid, const struct daemon *daemon)
{
	char path[64], name[32], *status;
	size_t len;
	int64_t uid;
	snprintf(path, sizeof path, "proc/%.20s/status", pid);
	if (read_text(root, path, &status, &len) < 0)
		return 0;
	str_print(name, sizeof name, "%s\n", daemon->name);
	int found = strncmp(status_line(status, "Name:"), name, strlen(name)) == 0 &&
		    !strchr("ZX", status_line(status, "\nState:")[0]);
	int ours = found ? is_program(root, pid, daemon) : 0;
	if (ours < 0) {
		char *owner = (char *)(uintptr_t)status_line(status, "\nUid:");
		owner[strcspn(owner, "\t\n")] = '\0';
		ours = str_int(owner, 0, DYNAMIC_UID_MAX, &uid) == 0 &&
		       (uid <= SYSTEM_UID_MAX || uid >= DYNAMIC_UID_MIN);
	}
	free(status);
	return ours;
}

static int
runs(const char *root, const struct daemon *daemons, size_t count)
{
	struct dirent *entry;
	int found = 0;
	DIR *dir = open_dir(root, "proc");
	while (dir && !found && (entry = readdir(dir)))
		for (size_t i = 0; i < count && !found; i++)
			found = entry->d_name[0] >= '0' && entry->d_name[0] <= '9' &&
				is_daemon(root, entry->d_name, &daemons[i]);
	if (dir)
		closedir(dir);
	return found;
}

static void
collect_clamav(const char *root, engawa_Posture *posture)
{
	static const char *const programs[] = {"usr/bin/clamscan", "usr/sbin/clamd",
		"usr/bin/clamdscan", "usr/local/bin/clamscan", "usr/local/sbin/clamd"};
	static const struct daemon daemons[] = {
		{"clamd", {"/usr/sbin/clamd", "/usr/bin/clamd", "/usr/local/sbin/clamd"}},
		{"freshclam", {"/usr/bin/freshclam", "/usr/local/bin/freshclam"}}};
	if (!newest_s(root, programs, sizeof programs / sizeof programs[0]))
		return;
	engawa_Antivirus *a = &posture->antivirus[posture->antivirus_count++];
	strcpy(a->name, "ClamAV");
	a->running = runs(root, daemons, 2) ? YES : NO;
	a->patterns_s = patterns_s(root);
}

/* ---- updates ---- */

static void
collect_updates(const char *root, engawa_Posture *posture)
{
	/* lists of packages that came, and stamps of the programs that fetch them: apt, dnf, pacman
	 */
	static const char *const looked[] = {"var/lib/apt/periodic/update-success-stamp",
		"var/lib/apt/lists", "var/cache/dnf", "var/cache/libdnf5", "var/lib/pacman/sync"};
	/* the list of what is installed, and stamps of automatic updates */
	static const char *const done[] = {"var/lib/dpkg/status",
		"var/lib/apt/periodic/upgrade-stamp",
		"var/lib/apt/periodic/unattended-upgrades-stamp", "var/lib/rpm/rpmdb.sqlite",
		"usr/lib/sysimage/rpm/rpmdb.sqlite", "var/lib/pacman/local"};
	posture->updates_looked_s = newest_s(root, looked, sizeof looked / sizeof looked[0]);
	posture->updates_done_s = newest_s(root, done, sizeof done / sizeof done[0]);
}

static uint64_t
booted_s(const char *root)
{
	char *text, *line;
	size_t len;
	int64_t s = 0;
	if (read_text(root, "proc/stat", &text, &len) < 0)
		return 0;
	line = strstr(text, "\nbtime ");
	if (line) {
		line += sizeof "\nbtime " - 1;
		line[strcspn(line, "\n")] = '\0';
		if (str_int(line, 1, INT64_MAX, &s) < 0)
			s = 0;
	}
	free(text);
	return (uint64_t)s;
}

/* A newer kernel that came after the start of this one: since when, 0 = none. */
static uint64_t
newer_kernel_s(const char *root, uint64_t boot_s)
{
	char running[128], path[300];
	struct dirent *entry;
	uint64_t since = 0;
	read_line(root, "proc/sys/kernel/osrelease", running, sizeof running);
	DIR *dir = open_dir(root, "lib/modules");
	while (dir && running[0] && boot_s && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || strverscmp(entry->d_name, running) <= 0)
			continue;
		snprintf(path, sizeof path, "lib/modules/%s", entry->d_name);
		uint64_t s = changed_s(root, path);
		if (s > boot_s && (!since || s < since))
			since = s;
	}
	if (dir)
		closedir(dir);
	return since;
}

static void
collect_reboot(const char *root, engawa_Posture *posture)
{
	uint64_t boot_s = booted_s(root), since = changed_s(root, "run/reboot-required");
	if (!since)
		since = newer_kernel_s(root, boot_s);
	posture->reboot_since_s = since;
	posture->reboot_pending = since ? YES : boot_s ? NO : engawa_Known_KNOWN_NONE;
}

/* ---- networks ---- */

/* Cards that are up; what has no device behind it (tunnels, bridges) goes over one that has. */
static void
collect_networks(const char *root, struct posture_networks *ret_networks)
{
	struct dirent *entry;
	DIR *dir = open_dir(root, "sys/class/net");
	ret_networks->count = 0;
	while (dir && (entry = readdir(dir)) && ret_networks->count < POSTURE_NETWORKS_MAX) {
		char path[320], state[16];
		if (entry->d_name[0] == '.' || strlen(entry->d_name) >= 16)
			continue;
		snprintf(path, sizeof path, "sys/class/net/%s/operstate", entry->d_name);
		read_line(root, path, state, sizeof state);
		snprintf(path, sizeof path, "sys/class/net/%s/device", entry->d_name);
		if (strcmp(state, "up") != 0 || !changed_s(root, path))
			continue;
		snprintf(path, sizeof path, "sys/class/net/%s/phy80211", entry->d_name);
		ret_networks->items[ret_networks->count].wireless = changed_s(root, path) != 0;
		strcpy(ret_networks->items[ret_networks->count++].name, entry->d_name);
	}
	if (dir)
		closedir(dir);
}

engawa_NetworkSecurity
posture_wifi(uint32_t flags, uint32_t wpa, uint32_t rsn)
{
	enum {
		PRIVACY = 1,
		CCMP = 0x8,
		PSK = 0x100,
		EAP = 0x200,
		SAE = 0x400,
		SUITE_B_192 = 0x2000
	};
	if (rsn & (SAE | SUITE_B_192) && !(rsn & (PSK | EAP)))
		return engawa_NetworkSecurity_NETWORK_WPA3;
	if (rsn & (PSK | EAP))
		return rsn & CCMP ? engawa_NetworkSecurity_NETWORK_WPA2
				  : engawa_NetworkSecurity_NETWORK_WPA;
	if (rsn) /* OWE: encrypted, with whoever answers */
		return engawa_NetworkSecurity_NETWORK_OPEN;
	if (wpa)
		return engawa_NetworkSecurity_NETWORK_WPA;
	return flags & PRIVACY ? engawa_NetworkSecurity_NETWORK_WEP
			       : engawa_NetworkSecurity_NETWORK_OPEN;
}

/* ---- automatic login ---- */

/* A value that is switched on: "AutomaticLoginEnable=true", "autologin-user=tanaka". */
static int
is_set(const char *root, const char *path, const char *key)
{
	char *text;
	size_t len, key_len = strlen(key);
	int found = 0;
	if (read_text(root, path, &text, &len) < 0)
		return 0;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		line += strspn(line, " \t");
		if (strncmp(line, key, key_len) != 0)
			continue;
		char *value = line + key_len + strspn(line + key_len, " \t");
		if (*value++ != '=')
			continue;
		value += strspn(value, " \t");
		value[strcspn(value, " \t\r")] = '\0';
		found = *value && strcasecmp(value, "false") != 0 && strcmp(value, "0") != 0;
	}
	free(text);
	return found;
}

/* Only that nobody is asked can be seen in files; whether a password is set, not. */
static void
collect_login(const char *root, engawa_Posture *posture)
{
	static const struct {
		const char *path, *key;
	} places[] = {{"etc/gdm3/daemon.conf", "AutomaticLoginEnable"},
		{"etc/gdm3/custom.conf", "AutomaticLoginEnable"},
		{"etc/gdm/custom.conf", "AutomaticLoginEnable"},
		{"etc/lightdm/lightdm.conf", "autologin-user"}, {"etc/sddm.conf", "User"}};
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
		if (is_set(root, places[i].path, places[i].key))
			posture->login_password = NO;
}

/* ---- disk ---- */

engawa_Known
posture_disk(const char *root, unsigned major, unsigned minor, int depth)
{
	char path[320], text[64];
	struct dirent *entry;
	int slaves = 0, encrypted = 0;
	snprintf(path, sizeof path, "sys/dev/block/%u:%u/dm/uuid", major, minor);
	read_line(root, path, text, sizeof text);
	if (strncmp(text, "CRYPT-", 6) == 0)
		return YES;
	snprintf(path, sizeof path, "sys/dev/block/%u:%u", major, minor);
	if (!changed_s(root, path))
		return engawa_Known_KNOWN_NONE; /* no disk we can follow: overlays, btrfs */
	snprintf(path, sizeof path, "sys/dev/block/%u:%u/slaves", major, minor);
	DIR *dir = open_dir(root, path);
	while (dir && depth > 0 && (entry = readdir(dir))) {
		unsigned under_major, under_minor;
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "sys/dev/block/%u:%u/slaves/%.200s/dev", major, minor,
			entry->d_name);
		read_line(root, path, text, sizeof text);
		slaves++;
		if (sscanf(text, "%u:%u", &under_major, &under_minor) == 2)
			encrypted += posture_disk(root, under_major, under_minor, depth - 1) == YES;
	}
	if (dir)
		closedir(dir);
	return slaves && encrypted == slaves ? YES : NO;
}

/* ---- all of it ---- */

void
posture_files(const char *root, engawa_Posture *posture, struct posture_networks *ret_networks)
{
	collect_os(root, posture);
	collect_clamav(root, posture);
	collect_updates(root, posture);
	collect_reboot(root, posture);
	collect_networks(root, ret_networks);
	collect_login(root, posture);
}

void
posture_collect(engawa_Posture *ret_posture)
{
	engawa_Posture posture = {.version = VERSION, .system = engawa_PostureSystem_SYSTEM_LINUX};
	struct posture_networks networks;
	struct stat st;
	posture_files("", &posture, &networks);
	if (stat("/", &st) == 0)
		posture.disk_encrypted =
			posture_disk("", major(st.st_dev), minor(st.st_dev), DISK_DEPTH);
	posture_bus(&posture, &networks);
	*ret_posture = posture;
}
