/*
 * The person's certificate for "engawa connect": read before anybody is called, used when the agent
 * asks. The key is a file.
 */
#pragma once
#include "client/session.h"

struct certificate;

/* Certificate (PEM or DER) and key (PEM, readable by its owner only). *ret_bad is the path that is
 * at fault. 0, -errno, -ERR_CERTIFICATE_KEY. */
int certificate_load(const char *certificate_path, const char *key_path, struct certificate **ret,
	const char **ret_bad);
void certificate_free(struct certificate *certificate);

/* Answers the open PROMPT_CERTIFICATE; NULL answers that there is none. 0 or negative. */
int certificate_answer(const struct certificate *certificate, struct session *session);
