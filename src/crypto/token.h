/*
 * Keys on smart cards and tokens (PKCS#11 2.40; URIs of RFC 7512), through p11-kit. token_sign
 * loads a vendor's module into the process and blocks for as long as that likes: it is called in a
 * process of its own (token_helper; token_ask of the client and token_call have the deadline),
 * never where something else goes on.
 *
 * The URI names the token (token=, serial=, manufacturer=, model=) and the key (object=, id=); it
 * must fit exactly one key: a private one to sign with, or a secret one that cannot leave the token
 * for a MAC. A PIN is tried once: cards count.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "crypto/sign.h"

enum {
	TOKEN_PATH_SIZE = 256,
	TOKEN_URI_SIZE = 512,
	TOKEN_PIN_SIZE = 64,
	TOKEN_DIGEST_BYTES = 32,
	TOKEN_SIGNATURE_MAX_BYTES = 512,
	TOKEN_MAC_BYTES = 32, /* HMAC-SHA256 */
	TOKEN_CERT_MAX_BYTES = 8192,
	TOKEN_CHANNEL = 3 /* descriptor of token_helper */
};

/* What is done with the digest. */
enum token_use {
	TOKEN_SIGN,
	TOKEN_MAC,      /* by a secret key */
	TOKEN_MAC_MAKE, /* the same; a key that is missing is made first, in the token */
	TOKEN_USES
};

struct token_question {
	uint8_t use;                        /* enum token_use */
	char module[TOKEN_PATH_SIZE];       /* path of the PKCS#11 module */
	char uri[TOKEN_URI_SIZE];           /* "pkcs11:token=…;object=…" */
	char pin[TOKEN_PIN_SIZE];           /* secret; "" = the token needs none */
	uint8_t digest[TOKEN_DIGEST_BYTES]; /* SHA-256 of what is signed */
};

struct token_answer {
	/* ECDSA P-256: r ‖ s, 64 bytes. RSA: PKCS #1 v1.5 with SHA-256. Or the MAC, and nothing
	 * else below. */
	uint8_t signature[TOKEN_SIGNATURE_MAX_BYTES];
	size_t signature_len;
	int is_rsa;
	uint8_t point[SIGN_POINT_BYTES];    /* public key; all 0 for RSA */
	uint8_t cert[TOKEN_CERT_MAX_BYTES]; /* the certificate that lies beside the key, DER */
	size_t cert_len;                    /* 0 = there is none */
};

/* 0; -ERR_TOKEN_NONE (no module, token or key fits, or more than one), -ERR_TOKEN_PIN,
 * -ERR_TOKEN_LOCKED (only the card's issuer can help), -ERR_TOKEN_FAILED. Wipe the question. */
int token_sign(const struct token_question *question, struct token_answer *ret_answer);
/* 1 when it is an absolute path and a URI of a key: without touching a module. */
int token_fits(const char *module, const char *uri);

/* The same by a helper of its own: the program that runs, started with the one argument
 * TOKEN_HELPER. Blocks for at most deadline_ms: off the loop; any thread. As token_sign;
 * -ERR_TOKEN_FAILED when it is late. */
#define TOKEN_HELPER "token-helper"
int token_call(const struct token_question *question, uint64_t deadline_ms,
	struct token_answer *ret_answer);
/* main of the helper: one question from TOKEN_CHANNEL, one answer, exit status. */
int token_helper(void);

/* The messages of the helper: type 1, fixed layout, this machine only. */
enum {
	TOKEN_MESSAGE = 1,
	TOKEN_QUESTION_MAX_BYTES =
		7 + TOKEN_PATH_SIZE + TOKEN_URI_SIZE + TOKEN_PIN_SIZE + TOKEN_DIGEST_BYTES,
	TOKEN_ANSWER_MAX_BYTES =
		16 + TOKEN_SIGNATURE_MAX_BYTES + SIGN_POINT_BYTES + TOKEN_CERT_MAX_BYTES
};
size_t token_question_put(const struct token_question *q, uint8_t *out);
int token_question_get(const uint8_t *p, size_t len, struct token_question *ret_q);
/* code: 0 or an error; the rest is there when it is 0. Both get: 0 or -ERR_PROTOCOL. */
size_t token_answer_put(int code, const struct token_answer *answer, uint8_t *out);
int token_answer_get(const uint8_t *p, size_t len, int *ret_code, struct token_answer *ret_answer);
