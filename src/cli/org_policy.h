/* An organisation's policy: the first one, and its signature (engawa-policy(5)). */
#pragma once
#include <stdint.h>

#include "base/conf.h"

#define ORG_POLICY "policy"

/* What whoever signs should know. */
enum org_note {
	ORG_NOTE_ONE_FACTOR,    /* a password alone lets in */
	ORG_NOTE_MINIMUM_BUILD, /* above this version's: it is not what is demanded */
	ORG_NOTE_LONG_SESSION,  /* longer, or idle for longer, than NIST SP 800-63B AAL2 has it */
	ORG_NOTE_STRANGERS,     /* may use up what the relay mails */
	ORG_NOTE_COUNT
};

/* Signs FILE with DIR/policy.key, when an office PC of this version would take it. 0; -errno,
 * -ERR_SETTING, -ERR_POLICY, -ERR_CRYPTO with words in error and, in *ret_dir and *ret_at, the file
 * it failed at. *ret_notes: a bit for each org_note. */
int org_policy_sign(const char *dir, const char *file, unsigned *ret_notes, const char **ret_dir,
	const char **ret_at, struct conf_error *error);

/* DIR/policy for an organisation that begins: nothing is opened, and codes are mailed only in place
 * of an app or key that is enrolled. Valid for `days`. 1 when it was made; 0 when there is one,
 * which stays; negative as above. */
int org_policy_first(const char *dir, int64_t days, struct conf_error *error);
