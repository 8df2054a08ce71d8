/*
 * Resume tickets (docs/protocol.md 9): from the agent, signed with the key of its certificate,
 * which they carry. So a gate that has never heard of the session can tell, without asking anybody,
 * that one of its own agents made this ticket; whether it still counts, that agent alone knows.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "crypto/cert.h"
#include "crypto/sign.h"
#include "signed.pb.h"

enum {
	RESUME_ATTEMPT_BYTES = 16,
};

/* The certificate in body is that of key. 0, -ERR_PROTOCOL, -ERR_TOO_LONG, -ERR_CRYPTO. */
int resume_issue(struct evp_pkey_st *key, const engawa_ResumeBody *body, uint8_t *out, size_t cap,
	size_t *ret_len);

/*
 * Shape, time, and the signature by the key of the certificate in it, or by point where it
 * is not NULL. Whether that certificate is a
 * good one is the caller's question. 0, -ERR_PROTOCOL, -ERR_SIGNATURE, -ERR_TICKET_EXPIRED. A
 * ticket from the future is fine: the clock of an office PC is its own business.
 */
int resume_open(const void *ticket, size_t len, uint64_t now_s, const uint8_t *point,
	engawa_ResumeBody *ret_body);

/* The id of one attempt as a session at a gate. */
void resume_session_id(const void *ticket, size_t len,
	const uint8_t attempt[static RESUME_ATTEMPT_BYTES], uint8_t ret_id[static 16]);
