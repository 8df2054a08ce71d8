#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct mono
mono_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (struct mono){(uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec};
}

struct mono
mono_add_ms(struct mono t, uint64_t ms)
{
	return (struct mono){t.ns + ms * 1000000u};
}

uint64_t
mono_diff_ms(struct mono a, struct mono b)
{
	return b.ns > a.ns ? (b.ns - a.ns) / 1000000u : 0;
}

int
mono_before(struct mono a, struct mono b)
{
	return a.ns < b.ns;
}

uint64_t
wall_s(void)
{
	return (uint64_t)time(NULL);
}

void
wall_text(char out[static WALL_TEXT_SIZE])
{
	struct timespec ts;
	struct tm tm;
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	size_t n = strftime(out, WALL_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, WALL_TEXT_SIZE - n, ".%03uZ", (unsigned)(ts.tv_nsec / 1000000) % 1000u);
}

int
wall_date_end(const char *date, uint64_t *ret_s)
{
	static const char form[] = "dddd-dd-dd";
	struct tm tm = {.tm_hour = 23, .tm_min = 59, .tm_sec = 59};
	for (size_t i = 0; i < sizeof form; i++)
		if (form[i] == 'd' ? date[i] < '0' || date[i] > '9' : date[i] != form[i])
			return -EINVAL;
	strptime(date, "%Y-%m-%d", &tm);
	int month = tm.tm_mon, day = tm.tm_mday;
	time_t t = timegm(&tm);
	/* timegm makes the 3rd of March of the 31st of February */
	if (t < 0 || tm.tm_mon != month || tm.tm_mday != day)
		return -EINVAL;
	*ret_s = (uint64_t)t;
	return 0;
}
