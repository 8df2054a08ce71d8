#include "client/monitors.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

enum {
	SIDE_MIN_PX = 320, /* as the office PC has it: docs/protocol.md 8.4 */
	SIDE_MAX_PX = 16384,
	SCALE_MIN = 50,
	SCALE_MAX = 500,
	SCALE_DEFAULT = 100,
};

/* Digits at *at, a minus sign before them where min is negative; *at is behind them. */
static int
number(const char **at, int64_t min, int64_t max, int64_t *ret)
{
	char digits[8];
	size_t sign = min < 0 && **at == '-';
	size_t len = sign + strspn(*at + sign, "0123456789");
	if (str_print(digits, sizeof digits, "%.*s", (int)len, *at) < 0 ||
		str_int(digits, min, max, ret) < 0)
		return -EINVAL;
	*at += len;
	return 0;
}

/* 1 when the sign stands there, and is behind us. */
static int
skip(const char **at, char sign)
{
	int there = **at == sign;
	*at += there;
	return there;
}

static int
parse_one(const char **at, int64_t x, engawa_Monitor *ret)
{
	int64_t width, height, y = 0, scale = SCALE_DEFAULT;
	if (number(at, SIDE_MIN_PX, SIDE_MAX_PX, &width) < 0 || !skip(at, 'x') ||
		number(at, SIDE_MIN_PX, SIDE_MAX_PX, &height) < 0)
		return -EINVAL;
	if (skip(at, '+') && (number(at, -SIDE_MAX_PX, SIDE_MAX_PX, &x) < 0 || !skip(at, '+') ||
				     number(at, -SIDE_MAX_PX, SIDE_MAX_PX, &y) < 0))
		return -EINVAL;
	if (skip(at, '@') && number(at, SCALE_MIN, SCALE_MAX, &scale) < 0)
		return -EINVAL;
	*ret = (engawa_Monitor){
		(int32_t)x, (int32_t)y, (uint32_t)width, (uint32_t)height, (uint32_t)scale};
	return 0;
}

int
monitors_parse(
	const char *text, engawa_Monitor ret_monitors[static MONITORS_MAX], size_t *ret_count)
{
	size_t count = 0;
	int64_t right = 0; /* of the one before */
	do {
		if (count == MONITORS_MAX || parse_one(&text, right, &ret_monitors[count]) < 0)
			return -EINVAL;
		right = ret_monitors[count].x_px + (int64_t)ret_monitors[count].width_px;
		count++;
	} while (skip(&text, ','));
	*ret_count = count;
	return *text ? -EINVAL : 0;
}
