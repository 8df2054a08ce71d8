#include "desktop/held.h"

#include <string.h>

/* The index, or held->count. */
static size_t
find(const struct held *held, uint32_t usage, uint32_t sym)
{
	size_t i = 0;
	while (i < held->count && (usage ? held->keys[i].usage != usage
					 : held->keys[i].usage || held->keys[i].sym != sym))
		i++;
	return i;
}

int
held_may_add(const struct held *held, uint32_t usage, uint32_t sym)
{
	return held->count < HELD_MAX && find(held, usage, sym) == held->count;
}

void
held_add(struct held *held, uint32_t usage, uint32_t sym, uint16_t code)
{
	held->keys[held->count++] = (struct held_key){usage, sym, code};
}

int
held_has_code(const struct held *held, uint16_t code)
{
	for (size_t i = 0; code && i < held->count; i++)
		if (held->keys[i].code == code)
			return 1;
	return 0;
}

int
held_take(struct held *held, uint32_t usage, uint32_t sym, uint16_t *ret_code)
{
	size_t i = find(held, usage, sym);
	if (i == held->count)
		return 0;
	*ret_code = held->keys[i].code;
	held->count--;
	memmove(&held->keys[i], &held->keys[i + 1], (held->count - i) * sizeof held->keys[i]);
	return 1;
}

int
held_take_last(struct held *held, uint16_t *ret_code)
{
	if (held->count == 0)
		return 0;
	*ret_code = held->keys[--held->count].code;
	return 1;
}
