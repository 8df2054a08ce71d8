#include "inspect/judge.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"

enum {
	DAY_S = 86400,
	YES = engawa_Known_KNOWN_YES,
	NO = engawa_Known_KNOWN_NO
};

static const struct {
	const char *os, *version, *end;
} os_table[] = {
#define OS(os, version, end) {os, version, end},
#include "inspect/os_end.def"
#undef OS
};

void
findings_add(struct findings *findings, uint32_t code)
{
	for (size_t i = 0; i < findings->count; i++)
		if (findings->codes[i] == code)
			return;
	if (findings->count < FINDINGS_MAX)
		findings->codes[findings->count++] = code;
}

uint32_t
findings_code(const struct findings *findings)
{
	return findings->count > 1 ? ERR_INSPECTION : findings->count ? findings->codes[0] : 0;
}

void
findings_text(const struct findings *findings, char out[static FINDINGS_TEXT_SIZE])
{
	size_t len = 0;
	out[0] = '\0';
	for (size_t i = 0; i < findings->count; i++)
		len += (size_t)snprintf(out + len, FINDINGS_TEXT_SIZE - len, "%s%u", i ? "," : "",
			findings->codes[i] % 100000);
}

/* Is t within that many days? 0 days = any time; an unknown time is not. */
static int
within(uint64_t t_s, int64_t days, uint64_t now_s)
{
	return days == 0 || (t_s && now_s < t_s + (uint64_t)days * DAY_S + DAY_S / 24);
}

/* Clocks of homes are a little off; a day is not a little. */
static int
in_future(uint64_t t_s, uint64_t now_s)
{
	return t_s > now_s + DAY_S;
}

static int
any_in_future(const struct report *r, uint64_t now_s)
{
	int found = in_future(r->updates_looked_s, now_s) || in_future(r->updates_done_s, now_s) ||
		    in_future(r->reboot_since_s, now_s);
	for (size_t i = 0; i < r->antivirus_count; i++)
		found |= in_future(r->antivirus[i].patterns_s, now_s);
	return found;
}

/* One program that runs and has fresh patterns is enough. */
static void
judge_antivirus(const struct report *r, const struct limits *limits, uint64_t now_s,
	struct findings *findings)
{
	int running = 0, fresh = 0, fresh_running = 0;
	if (!limits->antivirus)
		return;
	for (size_t i = 0; i < r->antivirus_count; i++) {
		int runs = r->antivirus[i].running == YES;
		int is_fresh = within(r->antivirus[i].patterns_s, limits->pattern_days, now_s);
		running |= runs;
		fresh |= is_fresh;
		fresh_running |= runs && is_fresh;
	}
	if (r->antivirus_count == 0) {
		findings_add(findings, ERR_NO_ANTIVIRUS);
		return;
	}
	if (!running)
		findings_add(findings, ERR_ANTIVIRUS_STOPPED);
	if (running ? !fresh_running : !fresh)
		findings_add(findings, ERR_PATTERNS_OLD);
}

static int
version_is(const char *version, const char *row)
{
	size_t len = strlen(row);
	return strncmp(version, row, len) == 0 &&
	       (version[len] == '\0' || (len && version[len] == '.') || len == 0);
}

uint64_t
judge_os_end_s(const struct report *r, const struct limits *limits)
{
	uint64_t end_s = 0;
	for (size_t i = 0; i < limits->os_until.count; i++)
		if (limits_os_until(limits->os_until.items[i], r->os, r->os_version, &end_s) == 1)
			return end_s;
	for (size_t i = 0; i < sizeof os_table / sizeof os_table[0]; i++)
		if (strcmp(os_table[i].os, r->os) == 0 &&
			version_is(r->os_version, os_table[i].version) &&
			wall_date_end(os_table[i].end, &end_s) == 0)
			return end_s;
	return 0;
}

/* Wireless networks that are not told about are as bad as open ones. */
static void
judge_networks(const struct report *r, const struct limits *limits, struct findings *findings)
{
	int least = limits_wifi(limits->wifi);
	for (size_t i = 0; i < r->network_count; i++)
		if (r->networks[i] != engawa_NetworkSecurity_NETWORK_WIRED &&
			(least < 0 || r->networks[i] < least))
			findings_add(findings, ERR_WIFI_WEAK);
}

void
judge_report(const struct report *r, const struct limits *limits, uint64_t now_s,
	struct findings *ret_findings)
{
	struct findings found = {0};
	if (any_in_future(r, now_s)) {
		findings_add(&found, ERR_POSTURE_BAD);
		*ret_findings = found;
		return;
	}
	judge_antivirus(r, limits, now_s, &found);
	if (!within(r->updates_done_s, limits->update_days, now_s) ||
		!within(r->updates_looked_s, limits->look_days, now_s))
		findings_add(&found, ERR_UPDATES_OLD);
	if (limits->os && judge_os_end_s(r, limits) < now_s)
		findings_add(&found, ERR_OS_ENDED);
	if (r->reboot_pending == YES && !within(r->reboot_since_s, limits->reboot_days, now_s))
		findings_add(&found, ERR_REBOOT_PENDING);
	judge_networks(r, limits, &found);
	/* of these two few systems tell: only a plain no counts */
	if (limits->login_password && r->login_password == NO)
		findings_add(&found, ERR_NO_LOGIN_PASSWORD);
	if (limits->lock_minutes &&
		(r->screen_lock == NO ||
			(r->screen_lock == YES && r->lock_after_s > limits->lock_minutes * 60)))
		findings_add(&found, ERR_NO_SCREEN_LOCK);
	if (limits->disk && r->disk_encrypted != YES)
		findings_add(&found, ERR_DISK_OPEN);
	*ret_findings = found;
}
