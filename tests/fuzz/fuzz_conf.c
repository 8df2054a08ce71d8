/* The line reader under settings, organisation files and policies. */
#include "base/conf.h"
#include "base/str.h"
#include "fuzz.h"

static int
on_line(void *user, const char *key, const char *value)
{
	(void)user;
	assert(*key && *key != '#' && *value != ' ' && str_printable(key) && str_printable(value));
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned line;
	conf_lines((const char *)data, size, on_line, NULL, &line);
	return 0;
}
