/* What agent.sock is asked and takes its time: Argon2, and rules that read long lists. On a thread;
 * the peer may have gone when it ends. */
#include <string.h>

#include "agent/local_lock.h"
#include "agent/local_mail.h"
#include "agent/local_peer.h"
#include "agent/local_users.h"
#include "agent/persons.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum purpose {
	SET_PASSWORD, /* of row, or the single one */
	SET_LOCK,
	OPEN_LOCK,
	ASK_MAIL,
	PROVE,
	ONLY_FIT
};

struct hashing {
	struct peer *peer; /* NULL: gone */
	struct agent *agent;
	struct pepper *pepper;
	enum purpose purpose;
	uid_t uid;
	struct password_choice choice;
	struct user row; /* no name: the single password */
	struct user was; /* what the table had under that name; no name: nothing */
	char text[PASSWORD_MAX_BYTES + 1];
	char hash[SETTINGS_HASH_SIZE]; /* made; OPEN_LOCK, ASK_MAIL, PROVE: to be compared with */
	char rehashed[SETTINGS_HASH_SIZE]; /* of what was right and kept in an older way; "" = no */
	struct tries before;               /* OPEN_LOCK, ASK_MAIL, PROVE */
	char mail[SETTINGS_MAIL_SIZE];     /* ASK_MAIL */
	int result;
};

static int
is_check(const struct hashing *h)
{
	return h->purpose == OPEN_LOCK || h->purpose == ASK_MAIL || h->purpose == PROVE;
}

static void
run(void *user)
{
	struct hashing *h = user;
	if (is_check(h)) {
		h->result = password_check(h->pepper, h->hash, h->text);
		if (h->result == 0 && password_is_old(h->pepper, h->hash) &&
			password_hash(h->pepper, h->text, h->rehashed) < 0)
			h->rehashed[0] = '\0';
		return;
	}
	h->result = password_fit(h->text, &h->choice);
	if (h->result == 0 && h->purpose != ONLY_FIT)
		h->result = password_hash(h->pepper, h->text, h->hash);
}

static int
same_row(const struct user *a, const struct user *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->verifier, b->verifier) == 0 &&
	       strcmp(a->expires, b->expires) == 0 && a->disabled == b->disabled;
}

static int
put_password(const struct hashing *h)
{
	struct settings settings = h->agent->settings;
	struct user row = h->row;
	int r;
	if (row.name[0]) {
		/* somebody disabled, changed or removed the person meanwhile: that stays */
		const struct user *now = users_row(h->agent->users, row.name);
		if (now ? !same_row(now, &h->was) : h->was.name[0] != '\0')
			return -ERR_SETTINGS_CHANGED;
		r = str_copy(row.verifier, sizeof row.verifier, h->hash);
		return r < 0 ? r : local_users_put(h->agent, &row);
	}
	char *field = h->purpose == SET_LOCK ? settings.lock : settings.password;
	r = str_copy(field, SETTINGS_HASH_SIZE, h->hash);
	if (r == 0)
		r = local_save(h->agent, &settings);
	if (r == 0 && h->purpose == SET_LOCK)
		local_close_again(h->agent->local);
	mem_wipe(&settings, sizeof settings);
	return r;
}

/* Also when the peer did not wait for the answer: who asks and leaves has tried as well. */
static int
take_open(const struct hashing *h)
{
	if (h->result == 0) {
		local_lock_right(h->agent, h->uid);
		if (h->peer)
			local_open_for_a_while(h->peer);
		return 0;
	}
	LOG(WARN, "settings.lock", F_INT("uid", h->uid), F_ERR("code", h->result));
	return h->result == -ERR_PASSWORD_WRONG ? -ERR_SETTINGS_PASSWORD_WRONG : h->result;
}

static int
take_mail(const struct hashing *h)
{
	if (h->result == 0 && strcmp(h->hash, h->agent->settings.password) != 0)
		return -ERR_SETTINGS_CHANGED; /* it is not the password any more */
	if (h->result == 0) {
		local_lock_right(h->agent, h->uid);
		return local_mail_asked(h->agent, h->mail);
	}
	LOG(WARN, "settings.mail", F_STR("change", "refused"), F_INT("uid", h->uid),
		F_ERR("code", h->result));
	return h->result;
}

static int
take_proof(const struct hashing *h)
{
	if (h->result == 0) {
		local_lock_refund(h->agent, h->uid, &h->before);
		if (h->peer) {
			h->peer->proved = 1;
			memcpy(h->peer->proved_name, h->row.name, sizeof h->peer->proved_name);
		}
		return 0;
	}
	LOG(WARN, "settings.proof", F_INT("uid", h->uid), F_ERR("code", h->result));
	return h->result;
}

static int
finish(const struct hashing *h)
{
	int r = h->result;
	if (h->purpose == PROVE)
		return take_proof(h);
	if (h->purpose == ASK_MAIL)
		return take_mail(h);
	if (h->purpose == OPEN_LOCK)
		return take_open(h);
	if (h->purpose == ONLY_FIT)
		return r;
	if (r == 0)
		r = put_password(h);
	LOG(INFO, h->purpose == SET_LOCK ? "settings.lock.set" : "settings.password",
		F_INT("uid", h->uid), F_ERR("code", r));
	return r;
}

static void
on_done(void *user)
{
	struct hashing *h = user;
	/* nobody has guessed wrong when it could not be judged */
	if (is_check(h) && h->result < 0 && h->result != -ERR_PASSWORD_WRONG)
		local_lock_refund(h->agent, h->uid, &h->before);
	int r = finish(h);
	if (h->rehashed[0])
		persons_rehash(h->agent, h->hash, h->rehashed);
	if (h->peer) {
		h->peer->hashing = NULL;
		local_answer(h->peer, r, "");
	}
	mem_wipe_free(h, sizeof *h);
}

/* NULL when it was answered already. */
static struct hashing *
prepare(struct peer *peer, enum purpose purpose, const char *text)
{
	struct hashing *h = mem_new(sizeof *h);
	*h = (struct hashing){.peer = peer,
		.agent = peer->agent,
		.pepper = peer->agent->pepper,
		.purpose = purpose,
		.uid = peer->uid};
	if (str_copy(h->text, sizeof h->text, text) == 0)
		return h;
	mem_wipe_free(h, sizeof *h);
	local_answer(
		peer, purpose == OPEN_LOCK ? -ERR_SETTINGS_PASSWORD_WRONG : -ERR_PASSWORD_WEAK, "");
	return NULL;
}

static void
start(struct hashing *h)
{
	h->peer->hashing = h;
	watch_set(h->peer->watch, 0);
	loop_work(h->agent->loop, run, on_done, h);
}

void
local_hash_password(struct peer *peer, const struct user *row, const char *text)
{
	struct hashing *h = prepare(peer, SET_PASSWORD, text);
	if (!h)
		return;
	const struct user *was = row ? users_row(peer->agent->users, row->name) : NULL;
	if (row)
		h->row = *row;
	if (was)
		h->was = *was;
	persons_choice(h->agent, h->row.name, &h->choice);
	start(h);
}

void
local_hash_lock(struct peer *peer, const char *text)
{
	struct hashing *h = prepare(peer, SET_LOCK, text);
	if (!h)
		return;
	persons_choice(h->agent, "", &h->choice);
	h->choice.alone = 0;
	start(h);
}

/* Guesses count like those at the settings password. 0: it was answered. */
static int
charge(struct peer *peer, const char *event, struct tries *ret_before)
{
	int r = local_lock_charge(peer->agent, peer->uid, ret_before);
	if (r == 0)
		return 1;
	LOG(WARN, event, F_INT("uid", peer->uid), F_ERR("code", r));
	local_answer(peer, r, "");
	return 0;
}

void
local_hash_open(struct peer *peer, const char *text)
{
	struct tries before;
	if (!peer->agent->settings.lock[0]) {
		local_answer(peer, 0, "");
		return;
	}
	if (!charge(peer, "settings.lock", &before))
		return;
	struct hashing *h = prepare(peer, OPEN_LOCK, text);
	if (!h)
		return;
	h->before = before;
	memcpy(h->hash, peer->agent->settings.lock, sizeof h->hash);
	start(h);
}

void
local_hash_prove(struct peer *peer, const char *name, const char *hash, const char *text)
{
	struct tries before;
	if (!charge(peer, "settings.proof", &before))
		return;
	struct hashing *h = prepare(peer, PROVE, text);
	if (!h)
		return;
	h->before = before;
	str_copy(h->hash, sizeof h->hash, hash);
	str_copy(h->row.name, sizeof h->row.name, name);
	start(h);
}

void
local_hash_mail(struct peer *peer, const char *address, const char *text)
{
	struct tries before;
	if (!charge(peer, "settings.mail", &before))
		return;
	struct hashing *h = prepare(peer, ASK_MAIL, text);
	if (!h)
		return;
	h->before = before;
	memcpy(h->hash, peer->agent->settings.password, sizeof h->hash);
	str_copy(h->mail, sizeof h->mail, address);
	start(h);
}

/* "NAME PASSWORD"; no name: the single password. */
void
local_hash_fit(struct peer *peer, const char *text)
{
	char name[USER_NAME_SIZE];
	size_t len = strcspn(text, " ");
	if (len >= sizeof name || text[len] != ' ') {
		local_answer(peer, -ERR_PERSON_NAME, "");
		return;
	}
	struct hashing *h = prepare(peer, ONLY_FIT, text + len + 1);
	if (!h)
		return;
	memcpy(name, text, len);
	name[len] = '\0';
	persons_choice(h->agent, name, &h->choice);
	start(h);
}

void
local_hash_drop(struct peer *peer)
{
	if (peer->hashing)
		peer->hashing->peer = NULL;
}
