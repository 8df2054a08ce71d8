/*
 * An office PC becomes an agent: code, proof, request and quota are checked, the terminal ID is
 * derived off the loop (64 MiB, 0.1 s), then one transaction takes a use of the code and stores the
 * agent.
 */
#pragma once
#include "controller/core.h"

enum {
	ENROL_CODE_CHARS = 16,
	ENROL_CODE_SIZE = ENROL_CODE_CHARS + 3 + 1
};

/* A new code "XXXX-XXXX-XXXX-XXXX" (80 bits) and the hash under which it is stored. 0 or
 * -ERR_CRYPTO. */
int enrol_code_make(
	char ret_text[static ENROL_CODE_SIZE], uint8_t ret_hash[static STORE_HASH_BYTES]);
/* What was typed, in any case and with any hyphens. 0 or -ERR_ENROL_CODE_WRONG. */
int enrol_code_hash(const char *text, uint8_t ret_hash[static STORE_HASH_BYTES]);

/* The answer goes out by link_enrolled. */
void enrol_start(struct core *core, uint64_t origin, const engawa_LinkEnrol *enrol);
