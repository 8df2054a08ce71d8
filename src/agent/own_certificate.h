/*
 * The agent's certificate: what is sent to get one, what is accepted, where it is kept. Asked for
 * with a code at enrolment, without one when it is renewed; both times the anchor signs for it, so
 * that neither a gate nor a thief of the TLS key can get one.
 */
#pragma once
#include "agent/keys.h"
#include "outer.pb.h"

/* The message, with its proof (docs/protocol.md 2). 0, -ERR_ENROL_CODE_WRONG (too long),
 * -ERR_CRYPTO. */
int own_certificate_request(const struct keys *keys, const char *code, engawa_Enrol *ret_msg);

/* One that came is for our TLS key and this organisation, from one of its authorities, and in its
 * time: keys gets it, with its agent id. 0, -ERR_PROTOCOL, -ERR_CERT_UNTRUSTED, -ERR_CERT_EXPIRED.
 */
int own_certificate_take(struct keys *keys, const void *der, size_t len, uint64_t now_s);
/* Whole or not at all. 0 or -errno. */
int own_certificate_save(const struct options *options, const struct keys *keys);

/* 0; -ERR_CERT_EARLY: the clock is wrong; -ERR_CERT_LAPSED. *ret_renew_s is when a new one is due,
 * at two thirds of its life, *ret_until_s its end. */
int own_certificate_state(
	const struct keys *keys, uint64_t now_s, uint64_t *ret_renew_s, uint64_t *ret_until_s);
