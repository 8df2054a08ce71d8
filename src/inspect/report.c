#include "inspect/report.h"

#include <string.h>

#include "base/err.h"
#include "base/str.h"

/* As os-release has it: ID and VERSION_ID. */
static int
is_word(const char *s)
{
	return strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789._-") == strlen(s);
}

static int
is_known(uint8_t value)
{
	return value <= engawa_Known_KNOWN_YES;
}

static int
antivirus_fits(const struct report *report)
{
	if (report->antivirus_count > REPORT_ANTIVIRUS_MAX)
		return 0;
	for (size_t i = 0; i < report->antivirus_count; i++) {
		const struct report_antivirus *a = &report->antivirus[i];
		if (!a->name[0] || !str_printable(a->name) || !is_known(a->running))
			return 0;
	}
	return 1;
}

static int
networks_fit(const struct report *report)
{
	if (report->network_count > REPORT_NETWORKS_MAX)
		return 0;
	for (size_t i = 0; i < report->network_count; i++)
		if (report->networks[i] > engawa_NetworkSecurity_NETWORK_WPA3)
			return 0;
	return 1;
}

int
report_check(const struct report *report)
{
	int fits = report->system >= engawa_PostureSystem_SYSTEM_LINUX &&
		   report->system <= engawa_PostureSystem_SYSTEM_MACOS && report->os[0] &&
		   is_word(report->os) && is_word(report->os_version) && antivirus_fits(report) &&
		   networks_fit(report) && is_known(report->reboot_pending) &&
		   is_known(report->login_password) && is_known(report->screen_lock) &&
		   is_known(report->disk_encrypted);
	/* a date of what is not, or not known to be */
	if (report->reboot_since_s && report->reboot_pending != engawa_Known_KNOWN_YES)
		fits = 0;
	if (report->lock_after_s && report->screen_lock != engawa_Known_KNOWN_YES)
		fits = 0;
	return fits ? 0 : -ERR_POSTURE_BAD;
}

/* An enum of the wire may hold any 32 bits. */
static uint8_t
narrow(uint32_t value)
{
	return value > UINT8_MAX ? UINT8_MAX : (uint8_t)value;
}

int
report_take(const engawa_Posture *msg, struct report *ret_report)
{
	struct report r = {.system = narrow(msg->system),
		.updates_looked_s = msg->updates_looked_s,
		.updates_done_s = msg->updates_done_s,
		.reboot_pending = narrow(msg->reboot_pending),
		.reboot_since_s = msg->reboot_since_s,
		.login_password = narrow(msg->login_password),
		.screen_lock = narrow(msg->screen_lock),
		.lock_after_s = msg->lock_after_s,
		.disk_encrypted = narrow(msg->disk_encrypted)};
	if (msg->version != REPORT_VERSION || msg->channel.size != REPORT_CHANNEL_BYTES ||
		str_copy(r.os, sizeof r.os, msg->os) < 0 ||
		str_copy(r.os_version, sizeof r.os_version, msg->os_version) < 0)
		return -ERR_POSTURE_BAD;
	memcpy(r.channel, msg->channel.bytes, sizeof r.channel);
	for (; r.antivirus_count < msg->antivirus_count; r.antivirus_count++) {
		const engawa_Antivirus *from = &msg->antivirus[r.antivirus_count];
		struct report_antivirus *to = &r.antivirus[r.antivirus_count];
		if (str_copy(to->name, sizeof to->name, from->name) < 0)
			return -ERR_POSTURE_BAD;
		to->running = narrow(from->running);
		to->patterns_s = from->patterns_s;
	}
	for (; r.network_count < msg->networks_count; r.network_count++)
		r.networks[r.network_count] = narrow(msg->networks[r.network_count]);
	if (report_check(&r) < 0)
		return -ERR_POSTURE_BAD;
	*ret_report = r;
	return 0;
}
