/* The gate's certificates as the parent reads them from their files, on their way to the workers.
 * No keys. */
#pragma once
#include "crypto/cert.h"
#include "gate/process.h"
#include "gate/settings.h"

enum {
	CERTIFICATES_ISSUERS_MAX = 4
}; /* current and next, of two authorities at the most */

struct certificates {
	uint8_t native[CERT_DER_MAX_BYTES], issuers[CERTIFICATES_ISSUERS_MAX][CERT_DER_MAX_BYTES];
	size_t native_len, issuer_lens[CERTIFICATES_ISSUERS_MAX], issuer_count;
	char *page; /* PEM chain, NULL = none */
	size_t page_len;
};

/* Reads all files anew; ret stays as it was when one of them is not good (which is logged). 0 or
 * negative. */
int certificates_load(const struct settings *settings, struct certificates *ret);
void certificates_fini(struct certificates *certificates);
/* All of them to one worker, and APPLY. */
int certificates_tell(const struct certificates *certificates, struct process *worker);
