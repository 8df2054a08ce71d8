/* The organisation file (団体ファイル): what a native program trusts (docs/protocol.md 10). And
 * signed policy files (7). */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"
#include "crypto/sign.h"

enum {
	ORGFILE_MAX_BYTES = 65536,
	ORGFILE_GATES_MAX = 8,
	ORGFILE_KEYS_MAX = 2,
	ORGFILE_HANDOVERS_MAX = 4,
	POLICY_MAX_BYTES = 32768
};

struct orgfile_gate {
	char name[64];
	char target[128]; /* host:port */
};

/* An earlier signing key, and its signature for the one that came after it (orghandover.h). */
struct orgfile_handover {
	uint8_t point[SIGN_POINT_BYTES], der[SIGN_DER_MAX_BYTES];
	size_t der_len;
};

struct orgfile {
	char id[64], name[128], support[512];
	uint64_t revision, not_after_s;
	uint8_t *root, *issuers[ORGFILE_KEYS_MAX]; /* DER, owned */
	size_t root_len, issuer_lens[ORGFILE_KEYS_MAX], issuer_count;
	struct orgfile_gate gates[ORGFILE_GATES_MAX];
	size_t gate_count;
	uint8_t signing_key[SIGN_POINT_BYTES], policy_key[SIGN_POINT_BYTES];
	uint8_t ticket_keys[ORGFILE_KEYS_MAX][SIGN_POINT_BYTES];
	size_t ticket_key_count;
	uint8_t mail_key[32];
	uint8_t watermark_key[32]; /* zeros = none: marks have no code */
	struct orgfile_handover handovers[ORGFILE_HANDOVERS_MAX]; /* oldest first */
	size_t handover_count;
	uint8_t hash[32]; /* SHA-256 of what is signed: the content */
};

/* Parses and checks everything: signature, issuers against the root, hand-overs, dates. 0,
 * -ERR_SIGNATURE, -ERR_CERT_UNTRUSTED, -ERR_CERT_EXPIRED, -ERR_SETTING with words in error. */
int orgfile_parse(const char *text, size_t len, uint64_t now_s, struct orgfile *ret_org,
	struct conf_error *error);
int orgfile_load(const char *path, struct orgfile *ret_org, struct conf_error *error);
void orgfile_fini(struct orgfile *org);
/* The first 20 bytes of H(SIGNING_KEY) in hex groups of four, for people. */
enum {
	ORGFILE_FINGERPRINT_SIZE = 50
};
void orgfile_fingerprint(const struct orgfile *org, char ret_text[static ORGFILE_FINGERPRINT_SIZE]);
#define ORGFILE_PURPOSE "engawa organisation v1"
#define POLICY_PURPOSE "engawa policy v1"
/* Adds the SIGNATURE line, or replaces the one that is there. *ret_text is the heap. */
int orgfile_sign(const char *text, size_t len, const char *purpose, struct evp_pkey_st *key,
	char **ret_text);

/* A signed policy: keys and values as they stand (REVISION and NOT_AFTER too), for the policy table
 * of the agent. */
typedef int policy_line_fn(void *user, const char *key, const char *value);
/* Checks the signature before the first line is given out. 0, -ERR_SIGNATURE, -ERR_POLICY (expired,
 * no revision), -ERR_SETTING. */
int policy_parse(const char *text, size_t len, const uint8_t policy_key[static SIGN_POINT_BYTES],
	uint64_t now_s, policy_line_fn *on_line, void *user, struct conf_error *error);
/* SHA-256 of what is signed of it, whatever the signature. 0 or -ERR_SIGNATURE, -ERR_SETTING. */
int policy_content(const char *text, size_t len, uint8_t ret_hash[static 32]);
