#include "agent/hours.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/err.h"

enum {
	DAY_MIN = 24 * 60,
	STRETCHES_MAX =
		16 /* of days that touch: a week and more is "always" for practical purposes */
};

struct range {
	unsigned days;          /* bit n = n days after Sunday */
	int begin_min, end_min; /* since the begin of the day; end past DAY_MIN = in the next one */
};

static int
day_of(const char *name, size_t len)
{
	static const char names[7][4] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
	for (int i = 0; i < 7; i++)
		if (len == 3 && memcmp(names[i], name, 3) == 0)
			return i;
	return -ERR_SETTING;
}

/* "mon-fri,sun"; days wrap: "sat-mon". */
static int
parse_days(const char *text, size_t len, unsigned *ret_days)
{
	unsigned days = 0;
	size_t at = 0;
	while (at < len) {
		const char *comma = memchr(text + at, ',', len - at);
		size_t part = comma ? (size_t)(comma - text) - at : len - at;
		int first = part >= 3 ? day_of(text + at, 3) : -ERR_SETTING, last = first;
		if (part == 7 && text[at + 3] == '-')
			last = day_of(text + at + 4, 3);
		else if (part != 3)
			return -ERR_SETTING;
		if (first < 0 || last < 0)
			return -ERR_SETTING;
		for (int d = first;; d = (d + 1) % 7) {
			days |= 1u << d;
			if (d == last)
				break;
		}
		at += part + 1;
		if (comma && at == len)
			return -ERR_SETTING;
	}
	*ret_days = days;
	return days ? 0 : -ERR_SETTING;
}

/* Exactly "HH:MM", up to 24:00. Minutes or -ERR_SETTING. */
static int
parse_time(const char *s)
{
	if (strspn(s, "0123456789") != 2 || s[2] != ':' || strspn(s + 3, "0123456789") < 2)
		return -ERR_SETTING;
	int hour = (s[0] - '0') * 10 + s[1] - '0', minute = (s[3] - '0') * 10 + s[4] - '0';
	if (minute > 59 || hour > 24 || (hour == 24 && minute))
		return -ERR_SETTING;
	return hour * 60 + minute;
}

static int
parse(const char *line, struct range *ret_range)
{
	struct range range;
	size_t len = strcspn(line, " \t");
	const char *times = line + len + strspn(line + len, " \t");
	if (parse_days(line, len, &range.days) < 0 || strlen(times) != sizeof "08:30-17:15" - 1 ||
		times[5] != '-')
		return -ERR_SETTING;
	range.begin_min = parse_time(times);
	range.end_min = parse_time(times + 6);
	if (range.begin_min < 0 || range.end_min < 0 || range.begin_min == DAY_MIN ||
		range.begin_min == range.end_min)
		return -ERR_SETTING;
	if (range.end_min < range.begin_min)
		range.end_min += DAY_MIN;
	*ret_range = range;
	return 0;
}

int
hours_fits(const char *line)
{
	struct range range;
	return parse(line, &range);
}

static int
is_holiday(const struct conf_list *holidays, const struct tm *day)
{
	char text[16];
	strftime(text, sizeof text, "%Y-%m-%d", day);
	for (size_t i = 0; i < holidays->count; i++)
		if (strcmp(holidays->items[i], text) == 0)
			return 1;
	return 0;
}

/* The end of this range when it began `back` days before today, and now_s is in it; 0 = it is not.
 * mktime knows about days of 23 and 25 hours. */
static uint64_t
end_of(const struct range *range, const struct conf_list *holidays, const struct tm *today,
	int back, uint64_t now_s)
{
	struct tm day = {.tm_year = today->tm_year,
		.tm_mon = today->tm_mon,
		.tm_mday = today->tm_mday - back,
		.tm_hour = 12,
		.tm_isdst = -1};
	mktime(&day);
	if (!(range->days >> day.tm_wday & 1) || is_holiday(holidays, &day))
		return 0;
	struct tm begin = day, end = day;
	begin.tm_hour = end.tm_hour = 0;
	begin.tm_isdst = end.tm_isdst = -1;
	begin.tm_min = range->begin_min;
	end.tm_min = range->end_min;
	time_t begin_s = mktime(&begin), end_s = mktime(&end);
	return begin_s >= 0 && (uint64_t)begin_s <= now_s && now_s < (uint64_t)end_s
		       ? (uint64_t)end_s
		       : 0;
}

/* The latest end of any hours that now_s is in; 0 = none. */
static uint64_t
latest_end(const struct conf_list *hours, const struct conf_list *holidays, uint64_t now_s)
{
	time_t now = (time_t)now_s;
	struct tm today;
	struct range range;
	uint64_t latest = 0;
	if (!localtime_r(&now, &today))
		return 0;
	for (size_t i = 0; i < hours->count; i++)
		for (int back = 0; back < 2 && parse(hours->items[i], &range) == 0; back++) {
			uint64_t end = end_of(&range, holidays, &today, back, now_s);
			latest = end > latest ? end : latest;
		}
	return latest;
}

uint64_t
hours_left_s(const struct conf_list *hours, const struct conf_list *holidays, uint64_t now_s)
{
	if (hours->count == 0)
		return HOURS_ALWAYS;
	uint64_t end = latest_end(hours, holidays, now_s);
	for (int i = 0; i < STRETCHES_MAX && end; i++) {
		uint64_t next = latest_end(hours, holidays, end);
		if (!next)
			break;
		end = next;
	}
	return end ? end - now_s : 0;
}
