#include "base/mem.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *
mem_array(size_t count, size_t size)
{
	return calloc(count, size);
}

void *
mem_resize(void *p, size_t count, size_t size)
{
	return reallocarray(p, count, size);
}

void *
mem_new(size_t size)
{
	void *p = calloc(1, size);
	if (!p)
		abort();
	return p;
}

char *
mem_str(const char *s)
{
	if (!s)
		return NULL;
	char *copy = strdup(s);
	if (!copy)
		abort();
	return copy;
}

void
mem_wipe(void *p, size_t size)
{
	if (p)
		explicit_bzero(p, size);
}

void
mem_wipe_free(void *p, size_t size)
{
	mem_wipe(p, size);
	free(p);
}

int
mem_equal(const void *a, const void *b, size_t size)
{
	const volatile uint8_t *x = a, *y = b;
	unsigned diff = 0;
	for (size_t i = 0; i < size; i++)
		diff |= (unsigned)(x[i] ^ y[i]);
	return diff == 0;
}
