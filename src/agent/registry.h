/*
 * The devices that may come where policy asks for registered ones (organisation.md 4): registered
 * by a pairing code or by approval of their application, with the key they prove themselves by and
 * what they were when they were let in; applications that wait; and devices that were removed,
 * which are refused whatever policy says until somebody at the office PC registers them anew. One
 * small file, written as a whole before anything in it takes effect.
 *
 * A device is named by H(Noise static key), as in tickets. For people its number is the first 8
 * bytes of that: "AB12-CD34-EF56-7890".
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "agent/message.h"
#include "base/conf.h"
#include "crypto/sign.h"

enum {
	REGISTRY_MAX = 32, /* less than DEVICES_MAX */
	REMOVED_MAX = 256,
	APPLICATIONS_MAX = 16, /* of all strangers */
	APPLICATIONS_ADDRESS_MAX = 4,
	APPLICATIONS_HOUR_MAX = 60, /* written to the disk */
	APPLICATION_LIFE_S = 14 * 86400,
	REGISTRY_HASH_BYTES = 32,
	REGISTRY_NUMBER_BYTES = 8,
	REGISTRY_NUMBER_SIZE = sizeof "AB12-CD34-EF56-7890",
	REGISTRY_ADDRESS_SIZE = 64,
	REGISTRY_TEXT_MAX_BYTES = 1 << 20
};

enum entry_state {
	ENTRY_REGISTERED,
	ENTRY_APPLIED,
	ENTRY_REMOVED
};

struct entry {
	enum entry_state state;
	uint8_t hash[REGISTRY_HASH_BYTES], point[SIGN_POINT_BYTES];
	uint64_t since_s;                    /* wall clock: of this state */
	char name[FACTS_APPLY_SIZE];         /* as the person calls it */
	char computer[128], os[64];          /* as it called itself then */
	char address[REGISTRY_ADDRESS_SIZE]; /* it came from */
	size_t mac_count;
	uint8_t macs[FACTS_MACS_MAX][6];
};

struct registry {
	char *path;
	size_t count;
	struct entry list[REGISTRY_MAX + REMOVED_MAX + APPLICATIONS_MAX + 1];
	uint64_t hour_s; /* counts applications since then */
	unsigned hour_count;
};

/* Text of the file. 0 or -ERR_SETTING; path and hour_ stay as they are. */
int registry_parse(const char *text, size_t len, struct registry *ret_registry);
/* A missing file is an empty registry. As conf_load; error may be NULL. */
int registry_open(const char *path, struct registry **ret_registry, struct conf_error *error);
void registry_free(struct registry *registry);

/* NULL = never heard of. Good until the next change. */
const struct entry *registry_find(
	const struct registry *registry, const uint8_t hash[static REGISTRY_HASH_BYTES]);
/* What a client says about itself, as an entry. */
void registry_take(struct entry *ret_entry, const struct facts *facts,
	const uint8_t hash[static REGISTRY_HASH_BYTES], const char *address, uint64_t now_s);
/* Registers it, whatever it was. 0, -ERR_LIMIT (all places are taken), -errno. */
int registry_add(struct registry *registry, const struct entry *entry);
/* Keeps an application; of a registered or removed device it is nothing new. When there is no room,
 * the oldest from the address with the most makes some. 0, -ERR_LIMIT (too many in an hour),
 * -errno. */
int registry_apply(struct registry *registry, const struct entry *entry);
/* Of a number (at least 8 hexadecimal digits, any hyphens) or a whole name; in one state. 0,
 * -ERR_NOT_FOUND (none, or more than one). */
int registry_search(const struct registry *registry, enum entry_state state, const char *text,
	const struct entry **ret_entry);
/* 0 or -errno. The oldest removed one makes room. */
int registry_remove(
	struct registry *registry, const uint8_t hash[static REGISTRY_HASH_BYTES], uint64_t now_s);
int registry_rename(struct registry *registry, const uint8_t hash[static REGISTRY_HASH_BYTES],
	const char *name);
/* Takes an application away without a trace of it. 0 or -errno. */
int registry_reject(struct registry *registry, const uint8_t hash[static REGISTRY_HASH_BYTES]);

void registry_number(const uint8_t hash[static REGISTRY_HASH_BYTES],
	char ret_number[static REGISTRY_NUMBER_SIZE]);
size_t registry_count(const struct registry *registry, enum entry_state state);
