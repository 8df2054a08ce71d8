/*
 * How an organisation changes its signing key: the key before signs for the one after it, and the
 * organisation file carries these signatures, oldest first, down to the key that signs the file
 * (docs/protocol.md 10). So a program that trusts any of them can follow.
 */
#pragma once
#include "crypto/orgfile.h"

enum {
	ORGHANDOVER_LINE_SIZE = 256
};

/* The value of a HANDOVER line: from old to the key of this point. 0 or -ERR_CRYPTO. */
int orghandover_make(struct evp_pkey_st *old, const char *organisation,
	const uint8_t next[static SIGN_POINT_BYTES], char ret_value[static ORGHANDOVER_LINE_SIZE]);
/* Reads one; nothing is checked yet. 0 or -ERR_SETTING. */
int orghandover_take(const char *value, struct orgfile_handover *ret_handover);
/* Every signature of the file's. 0 or -ERR_SIGNATURE. */
int orghandover_check(const struct orgfile *org);
/* 1 when the file, which orgfile_parse took, leads from this key to its own. */
int orghandover_leads(const struct orgfile *org, const uint8_t from[static SIGN_POINT_BYTES]);
