/* What an answer about a certificate means under the policy; remembers good ones. */
#pragma once
#include "agent/agent.h"
#include "agent/check_certificate.h"

/* hash: SHA-256 of the certificate. 0; the answer's own code; -ERR_CERTIFICATE_REVOKED;
 * -ERR_CERTIFICATE_UNCHECKED. */
int revoked_weigh(struct agent *agent, const struct policy *policy, const uint8_t hash[static 32],
	const struct certificate_answer *answer);

/* Pure: the same for what OCSP and CRL said. last_s: when they last said good, 0 = never. */
int revoked_judge(const struct policy *policy, const struct certificate_answer *answer,
	uint64_t last_s, uint64_t now_s);
