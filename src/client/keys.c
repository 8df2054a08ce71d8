#include "client/keys.h"

#include <stddef.h>
#include <strings.h>

#include "base/err.h"

struct name {
	const char *name;
	uint32_t usage, keysym;
};

struct character {
	uint32_t usage;
	char plain, shifted;
};

static const struct name names[] = {
#define KEY(name, usage, keysym) {name, usage, keysym},
#define CHARACTER(usage, plain, shifted)
#include "client/keys.def"
#undef KEY
#undef CHARACTER
};

static const struct character characters[] = {
#define KEY(name, usage, keysym)
#define CHARACTER(usage, plain, shifted) {usage, plain, shifted},
#include "client/keys.def"
#undef KEY
#undef CHARACTER
};

const struct key key_shift = {0xe1, 0xffe1, 0};

int
key_character(char c, struct key *ret_key)
{
	if (c == '\n')
		return key_named("Return", ret_key);
	if (c == '\t')
		return key_named("Tab", ret_key);
	for (size_t i = 0; i < sizeof characters / sizeof characters[0]; i++) {
		const struct character *k = &characters[i];
		if (k->plain != c && k->shifted != c)
			continue;
		/* the keysym of an ASCII character is its code */
		*ret_key = (struct key){k->usage, (unsigned char)c, k->plain != c};
		return 0;
	}
	return -ERR_NOT_FOUND;
}

int
key_named(const char *name, struct key *ret_key)
{
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcasecmp(names[i].name, name) != 0)
			continue;
		*ret_key = (struct key){names[i].usage, names[i].keysym, 0};
		return 0;
	}
	return name[0] && !name[1] ? key_character(name[0], ret_key) : -ERR_NOT_FOUND;
}
