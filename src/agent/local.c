#include "agent/local.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/local_login.h"
#include "agent/local_users.h"
#include "agent/message.h"
#include "agent/persons.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/wire.h"

enum {
	PEERS_MAX = 8,
	PEER_MS = 10000,
	TEXT_MAX_BYTES = PASSWORD_MAX_BYTES + 512, /* and what it is for */
	ANSWER_MAX_BYTES = 4096
};

struct peer {
	struct local *local;
	int fd;
	struct watch *watch;
	struct timer *deadline;
	struct hashing *hashing;
	int allowed;
};

struct local {
	struct agent *agent;
	int fd;
	uid_t owner;
	char *path;
	struct watch *watch;
	struct peer *peers[PEERS_MAX];
};

/* The rules and Argon2 take their time on a thread; the peer may have gone when they end. */
struct hashing {
	struct peer *peer;
	struct agent *agent;
	const struct pepper *pepper;
	struct password_choice choice;
	struct user row; /* no name: the single password */
	char text[PASSWORD_MAX_BYTES + 1], hash[SETTINGS_HASH_SIZE];
	int result;
};

static void
peer_free(struct peer *peer)
{
	if (!peer)
		return;
	struct local *local = peer->local;
	for (size_t i = 0; i < PEERS_MAX; i++)
		if (local->peers[i] == peer)
			local->peers[i] = NULL;
	if (peer->hashing)
		peer->hashing->peer = NULL;
	watch_free(peer->watch);
	timer_free(peer->deadline);
	close(peer->fd);
	free(peer);
}

static void
answer(struct peer *peer, int r, const char *text)
{
	uint8_t out[ANSWER_MAX_BYTES];
	struct wr w = wr_init(out, sizeof out);
	wr_u32(&w, (uint32_t)-r);
	wr_bytes(&w, text, strlen(text));
	if (!w.failed)
		ipc_send(peer->fd, MSG_RESULT, out, w.len, -1);
	peer_free(peer);
}

int
local_save(struct agent *agent, const struct settings *settings)
{
	char path[256];
	int r = state_path(&agent->options, "settings", path, sizeof path);
	if (r == 0)
		r = settings_save(path, settings);
	if (r == 0)
		agent->settings = *settings;
	return r == -ENOSPC ? -ERR_DISK_FULL : r;
}

static void
run_hash(void *user)
{
	struct hashing *h = user;
	h->result = password_fit(h->text, &h->choice);
	if (h->result == 0)
		h->result = password_hash(h->pepper, h->text, h->hash);
}

static int
put_hash(const struct hashing *h)
{
	struct settings settings = h->agent->settings;
	struct user row = h->row;
	int r = str_copy(settings.password, sizeof settings.password, h->hash);
	if (r == 0 && row.name[0])
		r = str_copy(row.verifier, sizeof row.verifier, h->hash);
	if (r < 0)
		return r;
	return row.name[0] ? local_users_put(h->agent, &row) : local_save(h->agent, &settings);
}

static void
on_hashed(void *user)
{
	struct hashing *h = user;
	int r = h->result == 0 ? put_hash(h) : h->result;
	LOG(INFO, "settings.password", F_ERR("code", r));
	if (h->peer) {
		h->peer->hashing = NULL;
		answer(h->peer, r, "");
	}
	mem_wipe_free(h, sizeof *h);
}

/* Of this person; of all when row is NULL. */
static void
hash_password(struct peer *peer, const struct user *row, const char *text)
{
	struct hashing *h = mem_new(sizeof *h);
	h->peer = peer;
	h->agent = peer->local->agent;
	h->pepper = h->agent->pepper;
	if (row)
		h->row = *row;
	int r = str_copy(h->text, sizeof h->text, text);
	if (r < 0) {
		mem_wipe_free(h, sizeof *h);
		answer(peer, -ERR_PASSWORD_WEAK, "");
		return;
	}
	persons_choice(h->agent, h->row.name, &h->choice);
	peer->hashing = h;
	watch_set(peer->watch, 0);
	loop_work(h->agent->loop, run_hash, on_hashed, h);
}

static void
set_password(struct peer *peer, const char *text)
{
	struct settings settings = peer->local->agent->settings;
	if (text[0]) {
		hash_password(peer, NULL, text);
		return;
	}
	settings.password[0] = '\0';
	int r = local_save(peer->local->agent, &settings);
	LOG(INFO, "settings.password", F_STR("state", "removed"), F_ERR("code", r));
	answer(peer, r, "");
}

static void
set_users(struct peer *peer, const char *text)
{
	char reply[ANSWER_MAX_BYTES] = "";
	struct local_user user;
	int r = local_users(peer->local->agent, text, reply, sizeof reply - 4, &user);
	if (r == 1)
		hash_password(peer, &user.row, user.password);
	else
		answer(peer, r, reply);
}

static void
set_mail(struct peer *peer, const char *text)
{
	struct settings settings = peer->local->agent->settings;
	int r = text[0] && !settings_mail_fit(text)
			? -ERR_MAIL_ADDRESS
			: str_copy(settings.mail, sizeof settings.mail, text);
	if (r == 0)
		r = local_save(peer->local->agent, &settings);
	LOG(INFO, "settings.mail", F_ERR("code", r));
	answer(peer, r, "");
}

static json_t *
gates_json(const struct agent *agent)
{
	json_t *gates = json_array();
	for (size_t i = 0; i < agent->keys.org.gate_count; i++)
		json_array_append_new(gates,
			json_pack("{s:s, s:b, s:i}", "name", agent->keys.org.gates[i].name, "up",
				agent->gates[i].up, "code", (int)agent->gates[i].code));
	return gates;
}

static void
status(struct peer *peer)
{
	struct agent *agent = peer->local->agent;
	struct policy policy;
	char id[TERMINAL_ID_TEXT_SIZE], masked[SETTINGS_MAIL_SIZE] = "";
	size_t sessions = 0;
	int policy_code = agent_policy(agent, &policy);
	for (size_t i = 0; i < SESSIONS_MAX; i++)
		sessions += agent->sessions[i] != NULL;
	terminal_id_format(agent->keys.terminal_id, id);
	settings_mail_mask(
		agent->settings.mail[0] ? agent->settings.mail : "-@-", masked, sizeof masked);
	json_t *root = json_pack(
		"{s:s, s:s, s:o, s:b, s:s, s:{s:i, s:I, s:s}, s:i, s:b, s:i, s:i, s:b, s:i, s:b, s:i, s:b}",
		"terminal_id", id, "organisation", agent->keys.org.id, "gates", gates_json(agent),
		"password", agent->settings.password[0] != '\0', "mail",
		agent->settings.mail[0] ? masked : "", "policy", "code", -policy_code, "revision",
		(json_int_t)policy.revision, "message",
		policy.server_message ? policy.server_message : "", "sessions", (int)sessions,
		"working", agent->working != NULL, "devices", (int)devices_count(agent->devices),
		"strangers_locked_s", (int)devices_strangers_locked_s(agent->devices, wall_s()),
		"strangers_shut_out", devices_strangers_shut(agent->devices), "addresses",
		(int)agent->addresses.count, "totp", factors_has_totp(agent->factors), "recovery",
		(int)factors_recovery_left(agent->factors), "emergency",
		factors_has_emergency(agent->factors));
	char waiver[WAIVER_NAME_SIZE];
	persons_waiver_name(agent, waiver);
	json_object_set_new(root, "waiver_name", json_string(waiver));
	json_object_set_new(root, "users", json_integer((json_int_t)agent->users->count));
	char *text = root ? json_dumps(root, JSON_SORT_KEYS) : NULL;
	json_decref(root);
	policy_fini(&policy);
	answer(peer, text ? 0 : -ENOMEM, text ? text : "");
	free(text);
}

static void
on_peer(void *user, int ready)
{
	struct peer *peer = user;
	char text[TEXT_MAX_BYTES + 1];
	uint16_t type;
	(void)ready;
	int n = ipc_recv(peer->fd, &type, text, TEXT_MAX_BYTES, NULL);
	if (n == -EAGAIN)
		return;
	if (n >= 0)
		text[n] = '\0';
	if (n < 0 || strlen(text) != (size_t)n || !str_printable(text)) {
		peer_free(peer);
	} else if (!peer->allowed) {
		LOG(WARN, "settings.denied", F_INT("type", type));
		answer(peer, -ERR_DENIED, "");
	} else if (type == MSG_STATUS) {
		status(peer);
	} else if (type == MSG_PASSWORD) {
		set_password(peer, text);
	} else if (type == MSG_MAIL) {
		set_mail(peer, text);
	} else if (type == MSG_USERS) {
		set_users(peer, text);
	} else if (local_login_is(type)) {
		char reply[ANSWER_MAX_BYTES] = "";
		int r = local_login(peer->local->agent, type, text, reply, sizeof reply - 4);
		answer(peer, r, reply);
		mem_wipe(reply, sizeof reply);
	} else if (type == MSG_UNLOCK) {
		int r = devices_unlock(peer->local->agent->devices);
		if (r == 0)
			r = devices_unlock(peer->local->agent->persons);
		LOG(INFO, "settings.unlock", F_ERR("code", r));
		answer(peer, r, "");
	} else {
		peer_free(peer);
	}
	mem_wipe(text, sizeof text);
}

static void
on_deadline(void *user)
{
	peer_free(user);
}

static int
may(const struct local *local, int fd)
{
	struct ucred cred;
	socklen_t len = sizeof cred;
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 &&
	       (cred.uid == 0 || cred.uid == geteuid() || cred.uid == local->owner);
}

static void
on_connection(void *user, int ready)
{
	struct local *local = user;
	(void)ready;
	int fd = accept4(local->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	/* strangers on this machine are told so, and cannot take every place */
	int allowed = may(local, fd);
	size_t places = allowed ? PEERS_MAX : PEERS_MAX / 2;
	for (size_t i = 0; i < places; i++) {
		if (local->peers[i])
			continue;
		struct peer *peer = mem_new(sizeof *peer);
		peer->local = local;
		peer->fd = fd;
		peer->allowed = allowed;
		peer->watch = watch_new(local->agent->loop, fd, on_peer, peer);
		peer->deadline = timer_new(local->agent->loop, on_deadline, peer);
		timer_start(peer->deadline, PEER_MS, 0);
		watch_set(peer->watch, WATCH_READ);
		local->peers[i] = peer;
		return;
	}
	close(fd);
}

static int
listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int r = str_copy(address.sun_path, sizeof address.sun_path, path);
	if (r < 0)
		return r;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	unlink(path);
	/* who may is decided by peer credentials */
	if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || chmod(path, 0666) < 0 ||
		listen(fd, PEERS_MAX) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

int
local_open(struct agent *agent, const char *path, struct local **ret_local)
{
	const char *owner =
		agent->options.owner ? agent->options.owner : agent->options.desktop_user;
	uid_t uid = 0;
	if (owner) {
		struct passwd *pw = getpwnam(owner);
		if (!pw)
			return -ERR_NOT_FOUND;
		uid = pw->pw_uid;
	}
	int fd = listen_at(path);
	if (fd < 0)
		return fd;
	struct local *local = mem_new(sizeof *local);
	*local = (struct local){.agent = agent, .fd = fd, .owner = uid, .path = mem_str(path)};
	local->watch = watch_new(agent->loop, fd, on_connection, local);
	watch_set(local->watch, WATCH_READ);
	*ret_local = local;
	return 0;
}

void
local_free(struct local *local)
{
	if (!local)
		return;
	for (size_t i = 0; i < PEERS_MAX; i++)
		peer_free(local->peers[i]);
	watch_free(local->watch);
	close(local->fd);
	unlink(local->path);
	free(local->path);
	free(local);
}
