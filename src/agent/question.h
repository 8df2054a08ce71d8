/* What the helpers are asked: the person's words and the settings. 0, -ERR_SETTING (a setting is
 * missing or does not fit), -errno (a secret cannot be read). Wipe the question. */
#pragma once
#include "agent/check.h"
#include "agent/check_certificate.h"
#include "agent/login.h"
#include "agent/options.h"

/* q is zeroed. method: pam, radius or ldap. */
int question_put(struct check_question *q, const struct options *o, const char *method,
	const char *name, const char *password);
int question_put_certificate(struct certificate_question *q, const struct options *o,
	const struct policy *policy, const struct login_certificate *certificate);
