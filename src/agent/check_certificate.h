/* The question to `engawa-agent role check-certificate` and its answer. */
#pragma once
#include "agent/certificate.h"
#include "agent/check.h"

struct certificate_question {
	struct holder_proof proof;
	uint8_t digest[HOLDER_DIGEST_BYTES];
	uint8_t pinned, ask_ocsp, need_nonce;
	char ca_file[CHECK_FIELD_SIZE], crl[CHECK_FIELD_SIZE], ocsp_url[CHECK_FIELD_SIZE], rule[8];
};

struct certificate_answer {
	uint32_t code;             /* 0, or why the certificate is not accepted at all */
	uint8_t ocsp, crl;         /* enum revocation */
	char name[USER_NAME_SIZE]; /* as the issuer wrote it; "" for a pinned one */
};

enum {
	CERTIFICATE_QUESTION_MAX_BYTES = 4 + HOLDER_CERTIFICATE_MAX_BYTES +
					 HOLDER_SIGNATURE_MAX_BYTES + HOLDER_DIGEST_BYTES + 3 +
					 3 * (2 + CHECK_FIELD_SIZE) + 2 + 8,
	CERTIFICATE_ANSWER_TEXT_MAX_BYTES = 4 + 2 + 2 + USER_NAME_SIZE
};

/* The payload's length; get: 0 or -ERR_PROTOCOL. */
size_t certificate_question_put(const struct certificate_question *question, uint8_t *out);
int certificate_question_get(
	const uint8_t *p, size_t len, struct certificate_question *ret_question);
size_t certificate_answer_put(const struct certificate_answer *answer, uint8_t *out);
int certificate_answer_get(const uint8_t *p, size_t len, struct certificate_answer *ret_answer);
