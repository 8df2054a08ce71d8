/*
 * What a home PC says about its state for the quarantine check (検疫): the Posture message of
 * inner.proto as a plain struct. Facts and no verdicts. Whoever has taken the home PC over can say
 * what it likes: a report keeps honest people's computers in order, it proves nothing, and nothing
 * in it is logged as it came.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "inner.pb.h"

enum {
	REPORT_VERSION = 1,
	REPORT_CHANNEL_BYTES = 16,
	REPORT_ANTIVIRUS_MAX = 4,
	REPORT_NETWORKS_MAX = 8,
	REPORT_NAME_SIZE = 64,
	REPORT_OS_SIZE = 32,
};

struct report_antivirus {
	char name[REPORT_NAME_SIZE];
	uint8_t running;     /* engawa_Known */
	uint64_t patterns_s; /* since 1970, 0 = unknown; like all times here */
};

struct report {
	uint8_t system;                        /* engawa_PostureSystem */
	uint8_t channel[REPORT_CHANNEL_BYTES]; /* of which session */
	char os[REPORT_OS_SIZE], os_version[REPORT_OS_SIZE];
	size_t antivirus_count, network_count;
	struct report_antivirus antivirus[REPORT_ANTIVIRUS_MAX];
	uint8_t networks[REPORT_NETWORKS_MAX]; /* engawa_NetworkSecurity */
	uint64_t updates_looked_s, updates_done_s, reboot_since_s;
	uint32_t lock_after_s;
	uint8_t reboot_pending, login_password, screen_lock, disk_encrypted; /* engawa_Known */
};

/* A decoded message, checked. 0, or -ERR_POSTURE_BAD: another version, values that do not exist,
 * text that is no name, facts that exclude each other. */
int report_take(const engawa_Posture *msg, struct report *ret_report);
/* The same checks for a report that came another way. */
int report_check(const struct report *report);
