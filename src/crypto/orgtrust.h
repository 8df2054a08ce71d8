/* Whether an organisation file is the one to trust: asked once, remembered from then on
 * (docs/protocol.md 10). */
#pragma once
#include "base/err.h"
#include "crypto/orgfile.h"

/*
 * known_path is where this program remembers the organisation: its id, its signing key, the highest
 * revision. Nothing remembered: fingerprint must be that of the file, or, when it is NULL, the
 * person at the terminal must say yes. Remembered: the file must be of this organisation, signed by
 * this key or one that it handed over to, and no older; the same revision has the same content; a
 * fingerprint must be of its key or of one that led to it. Afterwards it is remembered. The only
 * function of this layer that talks to a person. 0, -ERR_ORG_UNCONFIRMED, -ERR_ORG_FINGERPRINT,
 * -ERR_ORG_CHANGED, -ERR_ORG_OLD, -ERR_ORG_FORKED, -ERR_SETTING (what is remembered is damaged),
 * -errno.
 */
int org_trust(const char *known_path, const struct orgfile *org, const char *fingerprint,
	enum err_lang lang);

/* 1 when text is the fingerprint of the file; case, blanks and hyphens do not matter. */
int org_has_fingerprint(const struct orgfile *org, const char *text);
