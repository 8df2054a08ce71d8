/*
 * Working hours (WORKING_HOURS of the policy): "mon-fri 08:30-17:15", "sat,sun 22:00-06:00" (into
 * the next day), by the clock and the time zone of this office PC. What a client thinks of the time
 * does not matter.
 */
#pragma once
#include <stdint.h>

#include "base/conf.h"

/* One line of the setting: 0 or -ERR_SETTING. */
int hours_fits(const char *line);

/* Seconds from now_s to the end of the hours that now_s is in: 0 = outside of them, HOURS_ALWAYS =
 * there are none to keep. Hours that touch each other are one stretch. holidays: "YYYY-MM-DD";
 * hours that begin on such a day are not. */
#define HOURS_ALWAYS UINT64_MAX
uint64_t hours_left_s(
	const struct conf_list *hours, const struct conf_list *holidays, uint64_t now_s);
