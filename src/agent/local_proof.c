#include "agent/local_proof.h"

#include <string.h>

#include "agent/local_peer.h"
#include "agent/password.h"
#include "base/err.h"
#include "base/log.h"

int
local_may_manage(const struct peer *peer)
{
	/* where there is a settings password, it has been said: may_ask */
	return peer->rank == PEER_ROOT || peer->agent->settings.lock[0] ? 0 : -ERR_USERS_PROTECTED;
}

/* The hash that a proof is held against; "" when there is none. */
static const char *
hash_of(const struct agent *agent, const char *name)
{
	if (!name[0])
		return agent->settings.password;
	const struct user *user = users_row(agent->users, name);
	return user && password_is_hash(user->verifier) ? user->verifier : "";
}

/* 0 when it needs no proof. */
static int
must_prove(const struct peer *peer, const char *name)
{
	const struct agent *agent = peer->agent;
	if (local_may_manage(peer) == 0)
		return 0;
	if (!name[0] && agent->users->count > 0)
		return -ERR_USERS_PROTECTED;
	return hash_of(agent, name)[0] ? -ERR_PASSWORD_PROTECTED : 0;
}

int
local_may_change(struct peer *peer, const char *name)
{
	int r = must_prove(peer, name);
	int proved = peer->proved && strcmp(peer->proved_name, name) == 0;
	peer->proved = 0;
	return r == -ERR_PASSWORD_PROTECTED && proved ? 0 : r;
}

void
local_prove(struct peer *peer, const char *text)
{
	char name[USER_NAME_SIZE] = "", folded[USER_NAME_SIZE] = "";
	size_t len = strcspn(text, " ");
	int r = len < sizeof name ? 0 : -ERR_PERSON_NAME;
	peer->proved = 0;
	if (r == 0)
		memcpy(name, text, len);
	if (r == 0 && len)
		r = user_fold(name, folded);
	if (r == 0 && text[len] != ' ') {
		local_answer(peer, must_prove(peer, folded), "");
		return;
	}
	/* without a hash to hold it against nothing is proved, and nothing needs to be */
	const char *hash = r == 0 ? hash_of(peer->agent, folded) : "";
	if (hash[0])
		local_hash_prove(peer, folded, hash, text + len + 1);
	else
		local_answer(peer, r, "");
}
