/*
 * The person's certificate for "engawa connect": read before anybody is called, used when the agent
 * asks. The key is a file, or on a card; the PIN is asked for here and stays here.
 */
#pragma once
#include "client/session.h"

struct connect_certificate {
	const char *path;     /* PEM or DER; NULL = there is none */
	const char *key;      /* PEM, readable by its owner only, or pkcs11:… */
	const char *module;   /* of a card: path of its PKCS#11 module */
	const char *pin_file; /* NULL = the terminal asks */
};

struct certificate;

/* The session's end of it: code of a failure that ends the session. Once or never. */
typedef void certificate_fn(void *user, int code);

/* *ret is NULL without a path. *ret_bad is what is at fault. 0, -errno, -ERR_CERTIFICATE_KEY,
 * -ERR_TOKEN_X, -ERR_NO_ANSWER. */
int certificate_load(
	const struct connect_certificate *from, struct certificate **ret, const char **ret_bad);
/* When the loop has run its last. NULL is fine. */
void certificate_free(struct certificate *certificate);

/* Answers the open PROMPT_CERTIFICATE, at once or when the card has signed; NULL answers that there
 * is none. */
void certificate_answer(struct certificate *certificate, struct loop *loop, struct session *session,
	certificate_fn *fn, void *user);
