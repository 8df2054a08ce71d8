/*
 * When a certificate was last said to be good, for OCSP_FAILURE grace. One small file in the state
 * directory; a hash of the certificate, and a time.
 */
#pragma once
#include <stdint.h>

enum {
	LASTGOOD_MAX = 512 /* the oldest makes room */
};

/* A missing or damaged file: never. */
uint64_t lastgood_find(const char *path, const uint8_t hash[static 32]);
/* now_s 0 forgets it. 0 or -errno. */
int lastgood_set(const char *path, const uint8_t hash[static 32], uint64_t now_s);
