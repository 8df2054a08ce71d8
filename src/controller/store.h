/*
 * What the controller must not forget: organisations, enrolment codes, agents, and the audit trail.
 * SQLite behind it (WAL, STRICT, synchronous=FULL); nothing here speaks SQL, so another database
 * can stand behind the same functions.
 *
 * Every function returns 0 or one of: -ERR_NOT_FOUND, -ERR_EXISTS, -ERR_DISK_FULL,
 * -ERR_BUSY_DATABASE (locked, damaged or gone: whatever the reason, this call changed nothing), and
 * what its own comment says. A change and its audit event are one transaction. After a failure the
 * store tries again by itself, with a new connection when the file itself was at fault. Strings
 * that come out are NUL-terminated UTF-8; rows given to callbacks live until the callback returns.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
	STORE_ID_BYTES = 16,
	STORE_HASH_BYTES = 32,
	STORE_ORG_SIZE = 64,
	STORE_NAME_SIZE = 128,
	STORE_NETWORKS_SIZE = 512,
	STORE_SERIAL_SIZE = 64,
	STORE_TERMINAL_SIZE = 17,
};

enum store_state {
	STORE_PENDING,
	STORE_ACTIVE,
	STORE_SUSPENDED,
	STORE_RETIRED
};
/* "pending" … */
const char *store_state_name(enum store_state state);

enum {
	STORE_WEIGHT_MAX = 1000
};

struct store_org {
	char id[STORE_ORG_SIZE];
	char name[STORE_NAME_SIZE];
	uint32_t prefecture; /* JIS X 0401, 0 = none */
	uint32_t quota;      /* agents that are not retired */
	uint32_t weight;     /* of its part when gates share something: 1 to STORE_WEIGHT_MAX */
	uint32_t agents;     /* out: how many there are */
	int suspended;
	uint64_t created_s;
};

struct store_code {
	int64_t id;
	char org[STORE_ORG_SIZE];
	uint32_t count, used;
	uint64_t created_s, expires_s;
	char networks[STORE_NETWORKS_SIZE]; /* "10.0.0.0/8 2001:db8::/32", empty = anywhere */
	int approve;                        /* agents enrolled with it need no approval */
	int revoked;
};

struct store_agent {
	uint8_t id[STORE_ID_BYTES];
	char org[STORE_ORG_SIZE];
	char terminal[STORE_TERMINAL_SIZE];
	char computer[STORE_NAME_SIZE];
	uint8_t anchor[65], salt[16], key[32];
	char serial[STORE_SERIAL_SIZE]; /* of the certificate, hex */
	uint64_t cert_expires_s, created_s;
	int64_t code; /* id of the code it enrolled with */
	enum store_state state;
	/* of its organisation, out */
	uint32_t prefecture, weight;
	int org_suspended;
};

/* actor: who did it ("uid 0", "gate east-1", "agent"). subject: what it was done to, never a secret
 * or a full terminal ID. */
struct store_event {
	uint64_t time_s;
	char actor[64], event[32], subject[80], detail[160];
};

struct store;

/* Opens or creates, checks or migrates the schema. Also -ERR_VERSION when a newer program wrote it.
 */
int store_open(const char *path, struct store **ret_store);
void store_close(struct store *store);
/* The last failure in words, for the log. */
const char *store_error(const struct store *store);
/* 0 when it can be read and written just now. */
int store_check(struct store *store);
/* When the newest event was stored, 0 = there is none: a clock that is behind it is wrong. */
int store_latest(struct store *store, uint64_t *ret_s);

int store_org_create(struct store *store, const struct store_org *org, const char *actor);
int store_org_get(struct store *store, const char *id, struct store_org *ret_org);
/* Quota, weight and whether it is suspended. */
int store_org_change(struct store *store, const struct store_org *org, const char *actor);
typedef void store_org_fn(void *user, const struct store_org *org);
int store_orgs(struct store *store, store_org_fn *fn, void *user);

/* The code itself is never stored; hash is SHA-256 of its normal form. */
int store_code_create(struct store *store, const struct store_code *code,
	const uint8_t hash[static STORE_HASH_BYTES], const char *actor, int64_t *ret_id);
int store_code_find(struct store *store, const uint8_t hash[static STORE_HASH_BYTES],
	struct store_code *ret_code);
int store_code_revoke(struct store *store, int64_t id, const char *actor);
typedef void store_code_fn(void *user, const struct store_code *code);
/* org NULL = all */
int store_codes(struct store *store, const char *org, store_code_fn *fn, void *user);

/* Takes one use of the agent's code and adds the agent. -ERR_ENROL_CODE_WRONG when the code cannot
 * be used any more, -ERR_QUOTA, -ERR_SUSPENDED (the organisation), -ERR_EXISTS (terminal ID). */
int store_agent_enrol(
	struct store *store, const struct store_agent *agent, uint64_t now_s, const char *actor);
/* The same agent gets another certificate. code: of its organisation, one use of it is taken; 0
 * when none is needed, because it renews or the answer to its enrolment was lost. Also
 * -ERR_ENROL_CODE_WRONG. */
int store_agent_certificate(struct store *store, const struct store_agent *agent, int64_t code,
	uint64_t now_s, const char *actor);
int store_agent_get(struct store *store, const uint8_t id[static STORE_ID_BYTES],
	struct store_agent *ret_agent);
int store_agent_by_terminal(
	struct store *store, const char *terminal, struct store_agent *ret_agent);
int store_agent_by_key(
	struct store *store, const uint8_t key[static 32], struct store_agent *ret_agent);
/* Moves from any of the states in the mask (1 << state) to the new one; -ERR_DENIED from another
 * state. */
int store_agent_move(struct store *store, const uint8_t id[static STORE_ID_BYTES],
	unsigned from_mask, enum store_state to, const char *actor);
typedef void store_agent_fn(void *user, const struct store_agent *agent);
/* org NULL = all; states: mask of 1 << state */
int store_agents(
	struct store *store, const char *org, unsigned states, store_agent_fn *fn, void *user);

/* All or none. */
int store_events_add(struct store *store, const struct store_event *events, size_t count);
typedef void store_event_fn(void *user, const struct store_event *event);
/* Newest first, none that is older than since_s. */
int store_events(
	struct store *store, uint64_t since_s, unsigned limit, store_event_fn *fn, void *user);
