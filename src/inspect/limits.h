/* Limits of the quarantine check: part of the policy (agent/policy.h), with defaults of their own
 * for `engawa check`. */
#pragma once
#include "base/conf.h"

struct limits {
	int64_t antivirus, pattern_days, update_days, look_days, os, reboot_days, login_password,
		lock_minutes, disk;
	char *wifi;
	struct conf_list os_until;
};

/* Defaults; limits_fini for what limits_init has made only. */
void limits_init(struct limits *limits);
void limits_fini(struct limits *limits);

/* "wpa2" to the least engawa_NetworkSecurity; 0 for "any". Or -ERR_SETTING. */
int limits_wifi(const char *name);
/* One line of INSPECTION_OS_UNTIL: 1 when it is about this system (then *ret_s is its last second),
 * 0 when about another, -ERR_SETTING. */
int limits_os_until(const char *line, const char *os, const char *version, uint64_t *ret_s);
