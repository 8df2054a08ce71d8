/*
 * Security keys of the native client, through libfido2: the other end of the agent's webauthn.h.
 * Both functions block until somebody touches the key; session_use_key (session.h) calls them off
 * the loop.
 *
 * What is signed names the channel (its handshake's hash) and an origin that no web page can have,
 * so an office PC that asks for another site's ID gets nothing that the site would take.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "inner.pb.h"

struct fido_dev;

enum {
	SECURITY_KEY_MS = 60000, /* to find the key and touch it */
	SECURITY_KEY_PIN_SIZE = 64
};

/* The i-th key that is plugged in, from 0; closed and freed by who asked. NULL: no more. */
typedef struct fido_dev *security_key_open_fn(void *user, size_t i);
/* Those of this computer. */
security_key_open_fn security_key_open;

struct security_key_question {
	engawa_Webauthn asked;
	char terminal[20];               /* terminal ID */
	uint8_t hash[32];                /* of the handshake */
	char pin[SECURITY_KEY_PIN_SIZE]; /* "" = none; secret */
	security_key_open_fn *open;
	void *user;
};

/* The first key that has a credential for this office PC signs. 0; -ERR_WEBAUTHN_DEVICE (none, not
 * touched in time), -ERR_WEBAUTHN_PIN (wrong, or needed and not given), -ERR_WEBAUTHN_BLOCKED. */
int security_key_sign(
	const struct security_key_question *q, engawa_WebauthnAssertion *ret_assertion);
/* The first key makes one. The same. */
int security_key_make(const struct security_key_question *q, engawa_WebauthnKey *ret_key);
