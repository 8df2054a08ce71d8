#include "agent/revoked.h"

#include <limits.h>

#include "agent/lastgood.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

enum {
	HOUR_S = 3600
};

static int
either(const struct certificate_answer *a, enum revocation revocation)
{
	return a->ocsp == revocation || a->crl == revocation;
}

static int
none_asked(const struct certificate_answer *a)
{
	return a->ocsp == REVOCATION_NOT_ASKED && a->crl == REVOCATION_NOT_ASKED;
}

/* One clear answer will do: a list is there for the time when nobody can be asked. One "no" closes.
 */
int
revoked_judge(const struct policy *policy, const struct certificate_answer *answer, uint64_t last_s,
	uint64_t now_s)
{
	if (either(answer, REVOCATION_REVOKED) || either(answer, REVOCATION_UNKNOWN))
		return -ERR_CERTIFICATE_REVOKED;
	if (either(answer, REVOCATION_GOOD) || none_asked(answer))
		return 0;
	uint64_t grace_s = (uint64_t)policy->ocsp_grace_hours * HOUR_S;
	switch (policy_ocsp(policy)) {
	case POLICY_OCSP_OPEN:
		return 0;
	case POLICY_OCSP_GRACE:
		return last_s && last_s <= now_s && now_s - last_s < grace_s
			       ? 0
			       : -ERR_CERTIFICATE_UNCHECKED;
	case POLICY_OCSP_CLOSED:
		break;
	}
	return -ERR_CERTIFICATE_UNCHECKED;
}

int
revoked_weigh(struct agent *agent, const struct policy *policy, const uint8_t hash[static 32],
	const struct certificate_answer *answer)
{
	static const char *const names[REVOCATION_COUNT] = {
		"not asked", "good", "revoked", "unknown", "no answer"};
	char path[PATH_MAX];
	uint64_t now_s = wall_s();
	if (answer->code)
		return -(int)answer->code;
	int r = state_path(&agent->options, "certificates", path, sizeof path);
	uint64_t last_s = r == 0 ? lastgood_find(path, hash) : 0;
	int result = revoked_judge(policy, answer, last_s, now_s);
	LOG(INFO, "certificate.checked", F_STR("name", answer->name), F_HEX("certificate", hash, 8),
		F_STR("ocsp", names[answer->ocsp]), F_STR("crl", names[answer->crl]),
		F_ERR("code", result));
	int good = result == 0 && either(answer, REVOCATION_GOOD);
	if (result == 0 && !good && !none_asked(answer))
		LOG(WARN, "certificate.let_in_unchecked", F_STR("name", answer->name),
			F_STR("policy", policy->ocsp_failure), F_INT("last_good_s", last_s));
	if (r == 0 && (good || result == -ERR_CERTIFICATE_REVOKED))
		r = lastgood_set(path, hash, good ? now_s : 0);
	if (r < 0)
		LOG(ERROR, "certificate.record", F_ERR("code", r));
	return result;
}
