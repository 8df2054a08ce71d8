/*
 * Is it a device that is registered, and does it hold the key it was registered with? The proof is
 * a signature over the hash of this very handshake: one of another session is worth nothing. A
 * stranger goes on where policy lets strangers in, and else only to pair (step_pair.c) or to leave
 * an application (step_apply.c).
 */
#include <string.h>

#include "agent/login.h"
#include "base/err.h"
#include "crypto/sign.h"

static int
has_proof(const struct login *login)
{
	return login->facts.device_key[0] != 0;
}

static int
proof_holds(const struct login *login)
{
	return sign_check_raw(login->facts.device_key, DEVICE_PURPOSE, login->hash,
		       sizeof login->hash, login->facts.device_proof) == 0;
}

static uint32_t
pairing_open_s(const struct login *login)
{
	return pairing_left_s(login->office.pairing, login->env->now(login->env->user));
}

static int
enter(struct login *login)
{
	const struct entry *e = registry_find(login->office.registry, login->device);
	int registered = e && e->state == ENTRY_REGISTERED;
	int removed = e && e->state == ENTRY_REMOVED;
	int required = policy_wants_devicecheck(login->office.policy) || removed;
	if ((registered || has_proof(login)) && !(has_proof(login) && proof_holds(login)))
		return -ERR_DEVICE_PROOF;
	if (registered && memcmp(e->point, login->facts.device_key, sizeof e->point) != 0)
		return -ERR_DEVICE_PROOF;
	login->admission.registered = registered;
	login->admission.required = required;
	if (registered || !required)
		return LOGIN_PASSED;
	/* what was removed cannot apply: the way back is at the office PC */
	return has_proof(login) && ((login->facts.apply[0] && !removed) || pairing_open_s(login))
		       ? LOGIN_PASSED
		       : -ERR_DEVICE_UNKNOWN;
}

const struct login_step step_device = {.name = "device", .again = 1, .enter = enter};
