/*
 * What an enrolled office PC has in its state directory, held by the monitor alone:
 *
 *     identity.key   P-256, the anchor its terminal ID commits to; signs agent statements
 *     agent.key      X25519, static key of the inner channel
 *     tls.key        P-256, client key of the outer connections; other processes only ask for
 * signatures salt           of the terminal ID certificate    of tls.key, from the organisation's
 * issuing CA organisation   the organisation file
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "agent/options.h"
#include "crypto/cert.h"
#include "crypto/noise.h"
#include "crypto/orgfile.h"
#include "crypto/terminal.h"

enum {
	STATEMENT_LIFE_S = 86400
};

struct keys {
	struct orgfile org;
	char *org_text;
	size_t org_len;
	struct evp_pkey_st *anchor, *tls;
	struct noise_keypair agent;
	uint8_t salt[TERMINAL_SALT_BYTES];
	uint8_t certificate[CERT_DER_MAX_BYTES];
	size_t certificate_len;
	uint8_t agent_id[CERT_AGENT_ID_BYTES];
	char terminal_id[TERMINAL_ID_SIZE];
};

/* Keys and salt; made when absent and make is set. 0, -ENOENT, -EPERM (others may read a key),
 * -errno, -ERR_CRYPTO. */
int keys_open(const struct options *options, int make, struct keys *keys);
/* Organisation file and certificate too: everything `run` needs. -ERR_NOT_ENROLLED when there is
 * none; error has words. */
int keys_load(const struct options *options, struct keys *keys, struct conf_error *error);
/* Wipes; for zeroed and half-filled keys as well. */
void keys_fini(struct keys *keys);

/* Signed agent statement (docs/protocol.md 2), valid for a day from now. */
int keys_statement(
	const struct keys *keys, uint64_t now_s, uint8_t *out, size_t cap, size_t *ret_len);
