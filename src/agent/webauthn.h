/*
 * What a security key signed (WebAuthn level 2, 7.2), over libfido2. Pure: no state, no I/O, and no
 * parser of JSON or CBOR: client data is compared with what it has to be (5.8.1.1), authenticator
 * data has to be without extensions.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "agent/message.h"
#include "base/conf.h"

enum {
	WEBAUTHN_CHALLENGE_BYTES = 32,
	WEBAUTHN_ES256 = -7, /* numbers of COSE */
	WEBAUTHN_EDDSA = -8,
	WEBAUTHN_RS256 = -257,
};

/* To whom keys are registered. */
struct webauthn_rp {
	const char *id;                  /* host name */
	const struct conf_list *origins; /* of web pages; empty: https://id */
	int user_verification;           /* demanded */
};

struct webauthn_key {
	int32_t algorithm;
	const uint8_t *public_key;
	size_t public_key_len;
	uint32_t counter; /* of its last signature */
};

/* Both sides know it from the handshake: what is signed for one channel is worth nothing in any
 * other. 0 or -ERR_CRYPTO. */
int webauthn_challenge(
	const uint8_t hash[static 32], uint8_t ret_challenge[static WEBAUTHN_CHALLENGE_BYTES]);

/* 1 when it is one that libfido2 can verify: algorithm, length, point on its curve. */
int webauthn_key_fit(int32_t algorithm, const uint8_t *public_key, size_t len);

/* 0 and the key's new counter; -ERR_WEBAUTHN_WRONG and the reason, for the log only. */
int webauthn_verify(const struct webauthn_rp *rp,
	const uint8_t challenge[static WEBAUTHN_CHALLENGE_BYTES], const struct webauthn_key *key,
	const struct assertion *assertion, uint32_t *ret_counter, const char **ret_why);
