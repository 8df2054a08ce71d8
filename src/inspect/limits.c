#include "inspect/limits.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "inner.pb.h"

#define LIMIT_INT(key, field, fallback, min, max, help) \
	{key, CONF_INT, offsetof(struct limits, field), fallback, min, max, help},
#define LIMIT_STR(key, field, fallback, help) \
	{key, CONF_STR, offsetof(struct limits, field), fallback, 0, 0, help},
#define LIMIT_LIST(key, field, help) \
	{key, CONF_LIST, offsetof(struct limits, field), NULL, 0, 0, help},
static const struct conf_option limits_table[] = {
#include "inspect/limits.def"
	CONF_OPTIONS_END};

void
limits_init(struct limits *limits)
{
	struct conf_error error;
	memset(limits, 0, sizeof *limits);
	if (conf_defaults(limits_table, limits, &error) < 0)
		abort(); /* the table is ours */
}

void
limits_fini(struct limits *limits)
{
	conf_free(limits_table, limits);
}

int
limits_wifi(const char *name)
{
	static const struct {
		const char *name;
		int least;
	} names[] = {{"any", 0}, {"wpa", engawa_NetworkSecurity_NETWORK_WPA},
		{"wpa2", engawa_NetworkSecurity_NETWORK_WPA2},
		{"wpa3", engawa_NetworkSecurity_NETWORK_WPA3}};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(names[i].name, name) == 0)
			return names[i].least;
	return -ERR_SETTING;
}

int
limits_os_until(const char *line, const char *os, const char *version, uint64_t *ret_s)
{
	char copy[128], *save = NULL;
	uint64_t end_s;
	size_t len = strlen(line);
	if (len >= sizeof copy)
		return -ERR_SETTING;
	memcpy(copy, line, len + 1);
	const char *name = strtok_r(copy, " \t", &save), *number = strtok_r(NULL, " \t", &save),
		   *date = strtok_r(NULL, " \t", &save);
	if (!date || strtok_r(NULL, " \t", &save) || wall_date_end(date, &end_s) < 0)
		return -ERR_SETTING;
	if (strcmp(name, os) != 0 || strcmp(number, *version ? version : "-") != 0)
		return 0;
	*ret_s = end_s;
	return 1;
}
