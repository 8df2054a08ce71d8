/* The table of persons: what is read is written and read back to the same; names are folded. */
#include "agent/users.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct users users, again;
	char name[USER_NAME_SIZE];
	if (users_parse((const char *)data, size, &users) < 0)
		return 0;
	char *text = users_text(&users);
	assert(users_parse(text, strlen(text), &again) == 0 && again.count == users.count);
	for (size_t i = 0; i < users.count; i++) {
		const struct user *u = &users.list[i], *same = &again.list[i];
		assert(user_fold(u->name, name) == 0 && strcmp(name, u->name) == 0);
		assert(strcmp(u->name, same->name) == 0 && u->disabled == same->disabled);
		assert(strcmp(u->verifier, same->verifier) == 0);
		assert(strcmp(u->expires, same->expires) == 0);
		assert(!u->expires[0] || user_date_fit(u->expires));
	}
	free(text);
	return 0;
}
