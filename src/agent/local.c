#include "agent/local.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/health.h"
#include "agent/local_devices.h"
#include "agent/local_lock.h"
#include "agent/local_login.h"
#include "agent/local_macs.h"
#include "agent/local_mail.h"
#include "agent/local_passkeys.h"
#include "agent/local_peer.h"
#include "agent/local_proof.h"
#include "agent/local_users.h"
#include "agent/login.h"
#include "agent/message.h"
#include "agent/office.h"
#include "agent/persons.h"
#include "agent/renew.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/wire.h"

enum {
	PEERS_MAX = 16,
	ROOT_PLACES = 1,     /* of them nobody else has */
	STRANGER_PLACES = 4, /* strangers get no more: they are told no, and keep nobody out */
	STRANGER_MS = 2000,
	PEER_MS = 5000,
	OPEN_MS = 300000,
	GROUPS_MAX = 256,
	BACKLOG = 64,
	TEXT_MAX_BYTES = PASSWORD_MAX_BYTES + 512, /* and what it is for */
};

/* Any user of this computer can cause it. */
static struct log_limit stranger_limit = {.burst = 20, .window_ms = 60000};

struct local {
	struct agent *agent;
	int fd;
	uid_t owner;
	gid_t group; /* (gid_t)-1: none */
	char *path;
	struct watch *watch;
	struct peer *peers[PEERS_MAX];
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
	local_hash_drop(peer);
	watch_free(peer->watch);
	timer_free(peer->deadline);
	close(peer->fd);
	free(peer);
}

/* The next question is waited for: strangers have no next one, and who has said the settings
 * password need not say it again for a while. */
static void
listen_on(struct peer *peer)
{
	timer_start(peer->deadline,
		peer->open                    ? OPEN_MS
		: peer->rank == PEER_STRANGER ? STRANGER_MS
					      : PEER_MS,
		0);
	watch_set(peer->watch, WATCH_READ);
}

void
local_answer(struct peer *peer, int r, const char *text)
{
	uint8_t out[LOCAL_ANSWER_MAX_BYTES];
	if (r == -ENOSPC || r == -EDQUOT)
		r = -ERR_DISK_FULL;
	struct wr w = wr_init(out, sizeof out);
	wr_u32(&w, (uint32_t)-r);
	wr_bytes(&w, text, strlen(text));
	int sent = w.failed ? -ERR_INTERNAL : ipc_send(peer->fd, MSG_RESULT, out, w.len, -1);
	mem_wipe(out, sizeof out);
	if (sent < 0 || peer->rank == PEER_STRANGER)
		peer_free(peer);
	else
		listen_on(peer);
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
set_password(struct peer *peer, const char *text)
{
	struct settings settings = peer->agent->settings;
	int r = local_may_change(peer, "");
	if (r < 0) {
		local_answer(peer, r, "");
		return;
	}
	if (text[0]) {
		local_hash_password(peer, NULL, text);
		return;
	}
	settings.password[0] = '\0';
	r = local_save(peer->agent, &settings);
	LOG(INFO, "settings.password", F_STR("state", "removed"), F_ERR("code", r));
	local_answer(peer, r, "");
}

/* Who knows it has said it already; root need not. */
static void
set_lock(struct peer *peer, const char *text)
{
	struct settings settings = peer->agent->settings;
	int r = local_may_change(peer, "");
	if (r < 0) {
		local_answer(peer, r, "");
		return;
	}
	if (text[0]) {
		local_hash_lock(peer, text);
		return;
	}
	settings.lock[0] = '\0';
	r = local_save(peer->agent, &settings);
	if (r == 0)
		local_close_again(peer->local);
	if (r == 0)
		r = local_lock_forget(peer->agent);
	LOG(INFO, "settings.lock.set", F_STR("state", "removed"), F_INT("uid", peer->uid),
		F_ERR("code", r));
	local_answer(peer, r, "");
}

static void
set_users(struct peer *peer, const char *text)
{
	char reply[LOCAL_ANSWER_MAX_BYTES] = "";
	struct local_user user;
	int r = local_users_may(peer, text);
	if (r == 0)
		r = local_users(peer->agent, text, reply, sizeof reply - 4, &user);
	if (r == 1)
		local_hash_password(peer, &user.row, user.password);
	else
		local_answer(peer, r, reply);
}

static void
set_mail(struct peer *peer, const char *text)
{
	char address[SETTINGS_MAIL_SIZE];
	const char *password = "";
	int r = local_mail(peer->agent, peer->rank == PEER_ROOT, text, address, &password);
	if (r == 1)
		local_hash_mail(peer, address, password);
	else
		local_answer(peer, r, "");
}

static void
set_keys(struct peer *peer, const char *text)
{
	char reply[LOCAL_ANSWER_MAX_BYTES] = "";
	int r = local_passkeys(peer->agent, text, reply, sizeof reply - 4);
	local_answer(peer, r, reply);
	mem_wipe(reply, sizeof reply);
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

/* Lists that policy names and the organisation's server did not give. */
static void
add_missing_lists(json_t *warnings, const struct agent *agent, const struct policy *policy)
{
	if (agent->list_missing[MAC_LIST_CLIENT] && policy->client_mac_list)
		json_array_append_new(
			warnings, json_pack("{s:i, s:s}", "code", ERR_MAC_LIST, "list", "client"));
	if (agent->list_missing[MAC_LIST_SERVER] && policy->server_mac_list)
		json_array_append_new(
			warnings, json_pack("{s:i, s:s}", "code", ERR_MAC_LIST, "list", "server"));
}

static json_t *
warnings_json(const struct agent *agent, const struct policy *policy)
{
	json_t *warnings = json_array();
	for (enum health_what what = 0; what < HEALTH_COUNT; what++)
		if (health_code(agent->health, what))
			json_array_append_new(warnings,
				json_pack("{s:i, s:I}", "code",
					(int)health_code(agent->health, what), "free_mib",
					(json_int_t)health_free_mib(agent->health, what)));
	if (pepper_code(agent->pepper))
		json_array_append_new(
			warnings, json_pack("{s:i}", "code", (int)pepper_code(agent->pepper)));
	if (agent->settings.mail_back_s)
		json_array_append_new(warnings, json_pack("{s:i}", "code", ERR_MAIL_CAME_BACK));
	add_missing_lists(warnings, agent, policy);
	return warnings;
}

static json_t *
screen_json(const struct agent *agent)
{
	struct office_status s;
	office_status(agent->office, &s);
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:i, s:i}", "guard", s.guard, "for_s",
		(json_int_t)s.for_s, "guarded", (json_int_t)s.guarded, "ended", (json_int_t)s.ended,
		"left", (json_int_t)s.left, "last_code", (int)s.last_code, "console_code",
		(int)s.console_code);
}

/* The device that came in last, for its person to recognize. */
static json_t *
last_json(const struct agent *agent)
{
	const char *name;
	uint64_t when_s;
	if (!devices_last(agent->devices, &name, &when_s))
		return json_null();
	return json_pack("{s:s, s:I}", "device", name, "at_s", (json_int_t)when_s);
}

static void
status(struct peer *peer)
{
	struct agent *agent = peer->agent;
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
		"{s:s, s:s, s:o, s:b, s:s, s:{s:i, s:I, s:s, s:s}, s:i, s:b, s:i, s:i, s:b, s:i, s:b, s:i, s:b}",
		"terminal_id", id, "organisation", agent->keys.org.id, "gates", gates_json(agent),
		"password", agent->settings.password[0] != '\0', "mail",
		agent->settings.mail[0] ? masked : "", "policy", "code", -policy_code, "revision",
		(json_int_t)policy.revision, "message",
		policy.server_message ? policy.server_message : "", "otp_mail",
		policy_mail_name(&policy), "sessions", (int)sessions, "working",
		agent->working != NULL, "devices", (int)devices_count(agent->devices),
		"strangers_locked_s", (int)devices_strangers_locked_s(agent->devices, wall_s()),
		"strangers_shut_out", devices_strangers_shut(agent->devices), "addresses",
		(int)agent->addresses.count, "totp", factors_has_totp(agent->factors), "recovery",
		(int)factors_recovery_left(agent->factors), "emergency",
		factors_has_emergency(agent->factors));
	json_object_set_new(root, "user_mode", json_boolean(geteuid() != 0));
	json_object_set_new(root, "organisation_name", json_string(agent->keys.org.name));
	json_object_set_new(root, "last", last_json(agent));
	json_object_set_new(root, "warnings", warnings_json(agent, &policy));
	json_object_set_new(root, "screen", screen_json(agent));
	json_object_set_new(root, "locked", json_boolean(agent->settings.lock[0]));
	const struct registry *registry = agent->registry;
	json_object_set_new(root, "registered",
		json_integer((json_int_t)registry_count(registry, ENTRY_REGISTERED)));
	json_object_set_new(root, "applications",
		json_integer((json_int_t)registry_count(registry, ENTRY_APPLIED)));
	json_object_set_new(root, "macs", json_integer((json_int_t)agent->macs.count));
	json_object_set_new(root, "pairing_s",
		json_integer((json_int_t)pairing_left_s(&agent->pairing, mono_now())));
	char waiver[WAIVER_NAME_SIZE];
	persons_waiver_name(agent, waiver);
	json_object_set_new(root, "waiver_name", json_string(waiver));
	json_object_set_new(root, "certificate",
		json_pack("{s:I, s:i}", "until_s", (json_int_t)renew_until_s(agent->renew), "code",
			-renew_code(agent->renew)));
	json_object_set_new(
		root, "keys", json_integer((json_int_t)passkeys_count(agent->passkeys)));
	settings_mail_mask(agent->settings.mail_next[0] ? agent->settings.mail_next : "-@-", masked,
		sizeof masked);
	json_object_set_new(
		root, "mail_next", json_string(agent->settings.mail_next[0] ? masked : ""));
	json_object_set_new(
		root, "mail_back_s", json_integer((json_int_t)agent->settings.mail_back_s));
	json_object_set_new(root, "users", json_integer((json_int_t)agent->users->count));
	char *text = root ? json_dumps(root, JSON_SORT_KEYS) : NULL;
	json_decref(root);
	policy_fini(&policy);
	local_answer(peer, text ? 0 : -ENOMEM, text ? text : "");
	free(text);
}

/* Guesses at this computer are forgotten only for who need not guess: otherwise the one who guesses
 * would ask for it himself. */
static void
unlock(struct peer *peer)
{
	struct agent *agent = peer->agent;
	int r = devices_unlock(agent->devices);
	if (r == 0)
		r = devices_unlock(agent->persons);
	if (r == 0 && local_may_manage(peer) == 0)
		r = local_lock_forget(agent);
	LOG(INFO, "settings.unlock", F_INT("uid", peer->uid), F_ERR("code", r));
	local_answer(peer, r, "");
}

static void
ask_login(struct peer *peer, uint16_t type, const char *text)
{
	char reply[LOCAL_ANSWER_MAX_BYTES] = "";
	int r = local_login(peer->agent, type, text, reply, sizeof reply - 4);
	local_answer(peer, r, reply);
	mem_wipe(reply, sizeof reply);
}

void
local_open_for_a_while(struct peer *peer)
{
	peer->open = 1;
	peer->open_until = mono_add_ms(mono_now(), OPEN_MS);
}

void
local_close_again(struct local *local)
{
	for (size_t i = 0; i < PEERS_MAX; i++)
		if (local->peers[i])
			local->peers[i]->open = 0;
}

static void
ask_devices(struct peer *peer, uint16_t type, const char *text)
{
	char reply[LOCAL_ANSWER_MAX_BYTES] = "";
	int r = type == MSG_MACS ? local_macs(peer->agent, text, reply, sizeof reply - 4)
				 : local_devices(peer->agent, text, reply, sizeof reply - 4);
	local_answer(peer, r, reply);
	mem_wipe(reply, sizeof reply);
}

/* 0 or -ERR_X: before anything of the question is looked at. */
static int
may_ask(struct peer *peer, uint16_t type, const char *text)
{
	if (peer->rank == PEER_STRANGER) {
		uint32_t held;
		if (log_limit_pass(&stranger_limit, &held))
			LOG(WARN, "settings.denied", F_INT("type", type), F_INT("uid", peer->uid),
				F_INT("held", held));
		return -ERR_DENIED;
	}
	if (!peer->agent->settings.lock[0] || type == MSG_LOCK_OPEN ||
		local_lock_reading(type, text))
		return 0;
	/* looking on does not keep it open */
	if (peer->open && mono_before(mono_now(), peer->open_until)) {
		local_open_for_a_while(peer);
		return 0;
	}
	peer->open = 0;
	if (peer->rank != PEER_ROOT)
		return -ERR_SETTINGS_LOCKED;
	LOG(WARN, "settings.root", F_INT("type", type));
	return 0;
}

static void
take_question(struct peer *peer, uint16_t type, const char *text)
{
	int r = may_ask(peer, type, text);
	if (r < 0)
		local_answer(peer, r, "");
	else if (type == MSG_STATUS)
		status(peer);
	else if (type == MSG_PASSWORD)
		set_password(peer, text);
	else if (type == MSG_MAIL)
		set_mail(peer, text);
	else if (type == MSG_USERS)
		set_users(peer, text);
	else if (type == MSG_KEY)
		set_keys(peer, text);
	else if (type == MSG_FIT)
		local_hash_fit(peer, text);
	else if (type == MSG_LOCK)
		set_lock(peer, text);
	else if (type == MSG_LOCK_OPEN)
		local_hash_open(peer, text);
	else if (type == MSG_PROVE)
		local_prove(peer, text);
	else if (type == MSG_DEVICES || type == MSG_MACS)
		ask_devices(peer, type, text);
	else if (local_login_is(type))
		ask_login(peer, type, text);
	else if (type == MSG_UNLOCK)
		unlock(peer);
	else
		peer_free(peer);
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
	if (n < 0 || strlen(text) != (size_t)n || !str_printable(text))
		peer_free(peer);
	else
		take_question(peer, type, text);
	mem_wipe(text, sizeof text);
}

/* What takes time has its answer coming. */
static void
on_deadline(void *user)
{
	struct peer *peer = user;
	if (peer->hashing)
		timer_start(peer->deadline, PEER_MS, 0);
	else
		peer_free(peer);
}

/* As the kernel knows them: of the process that connected, when it connected. */
static int
in_group(int fd, const struct ucred *cred, gid_t group)
{
	gid_t groups[GROUPS_MAX];
	socklen_t len = sizeof groups;
	if (group == (gid_t)-1)
		return 0;
	if (cred->gid == group)
		return 1;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return 0;
	for (size_t i = 0; i < len / sizeof groups[0]; i++)
		if (groups[i] == group)
			return 1;
	return 0;
}

static enum peer_rank
rank_of(const struct local *local, int fd, uid_t *ret_uid)
{
	struct ucred cred;
	socklen_t len = sizeof cred;
	*ret_uid = (uid_t)-1;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return PEER_STRANGER;
	*ret_uid = cred.uid;
	if (cred.uid == 0)
		return PEER_ROOT;
	return cred.uid == geteuid() || cred.uid == local->owner ||
			       in_group(fd, &cred, local->group)
		       ? PEER_OWNER
		       : PEER_STRANGER;
}

static void
on_connection(void *user, int ready)
{
	static const size_t places[] = {[PEER_STRANGER] = STRANGER_PLACES,
		[PEER_OWNER] = PEERS_MAX - ROOT_PLACES,
		[PEER_ROOT] = PEERS_MAX};
	struct local *local = user;
	uid_t uid;
	(void)ready;
	int fd = accept4(local->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	enum peer_rank rank = rank_of(local, fd, &uid);
	for (size_t i = 0; i < places[rank]; i++) {
		if (local->peers[i])
			continue;
		struct peer *peer = mem_new(sizeof *peer);
		*peer = (struct peer){
			.local = local, .agent = local->agent, .fd = fd, .uid = uid, .rank = rank};
		peer->watch = watch_new(local->agent->loop, fd, on_peer, peer);
		peer->deadline = timer_new(local->agent->loop, on_deadline, peer);
		local->peers[i] = peer;
		listen_on(peer);
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
	/* who may is decided by peer credentials; no chmod, which would follow a link */
	mode_t mask = umask(0111);
	r = bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, BACKLOG) < 0
		    ? -errno
		    : 0;
	umask(mask);
	if (r < 0) {
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
	struct group *group = getgrnam(agent->options.settings_group);
	int fd = listen_at(path);
	if (fd < 0)
		return fd;
	struct local *local = mem_new(sizeof *local);
	*local = (struct local){.agent = agent,
		.fd = fd,
		.owner = uid,
		.group = group ? group->gr_gid : (gid_t)-1,
		.path = mem_str(path)};
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
