/*
 * The monitor: the one privileged process, small. Holds the keys, reads no network, parses nothing
 * of a peer but tickets that carry the organisation's signature, and says yes or no.
 */
#include "agent/monitor.h"

#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/admit.h"
#include "agent/agent.h"
#include "agent/health.h"
#include "agent/letter.h"
#include "agent/local.h"
#include "agent/local_lock.h"
#include "agent/local_macs.h"
#include "agent/office.h"
#include "agent/persons.h"
#include "agent/renew.h"
#include "agent/restore.h"
#include "agent/resume.h"
#include "agent/role.h"
#include "agent/session.h"
#include "agent/usermode.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypto/ticket.h"

enum {
	STRANGERS_PLACES = SESSIONS_MAX - ORGFILE_GATES_MAX - 2,
	TICKETS_MAX = 4096,
	CONTROL_RETRY_MS = 2000,
	STOP_LOOK_MS = 200,
	STOP_LOOKS = 60,       /* twelve seconds */
	LAST_WORDS_LOOKS = 15, /* three: as long as a session waits for its own to be out */
};

/* What a gate can cause is not allowed to fill the disk. */
static struct log_limit knock_limit = {.burst = 20, .window_ms = 60000};

int
agent_control(struct agent *agent, uint16_t type, const struct note *note)
{
	uint8_t out[MESSAGE_MAX_BYTES];
	size_t len = note_put(note, out, sizeof out);
	if (!agent->control || !len)
		return -ERR_NO_GATE;
	return process_send(agent->control, type, out, len, -1) < 0 ? -ERR_NO_GATE : 0;
}

/* The newest one seen is written down before anything follows from it. */
static int
take_policy(struct agent *agent, const struct policy *policy, struct conf_error *error)
{
	char path[PATH_MAX];
	int r = policy_seen_take(&agent->policy_seen, policy);
	if (r < 0)
		snprintf(error->text, sizeof error->text, "REVISION %lld, and %llu was seen",
			(long long)policy->revision,
			(unsigned long long)agent->policy_seen.revision);
	if (r <= 0)
		return r;
	if (state_path(&agent->options, "policy-revision", path, sizeof path) < 0 ||
		policy_seen_save(path, &agent->policy_seen) < 0)
		LOG(ERROR, "policy.record", F_STR("path", path)); /* holds for this run at least */
	LOG(INFO, "policy", F_INT("revision", policy->revision));
	return 0;
}

int
agent_policy(struct agent *agent, struct policy *ret_policy)
{
	struct conf_error error = {""};
	char path[PATH_MAX], *text;
	size_t len;
	policy_init(ret_policy);
	int r = agent->options.policy_file
			? str_copy(path, sizeof path, agent->options.policy_file)
			: state_path(&agent->options, "policy", path, sizeof path);
	if (r == 0)
		r = conf_read_file(path, POLICY_MAX_BYTES, &text, &len);
	/* never had one: the closed defaults. Had one that is gone: that is no way to get rid of it
	 */
	if (r == -ENOENT)
		return agent->policy_seen.revision ? -ERR_POLICY : 0;
	if (r == 0) {
		r = policy_read(
			ret_policy, text, len, agent->keys.org.policy_key, wall_s(), &error);
		free(text);
	}
	if (r == 0)
		r = take_policy(agent, ret_policy, &error);
	if (r < 0) {
		LOG(ERROR, "policy.bad", F_ERR("code", r), F_STR("text", error.text));
		policy_fini(ret_policy);
		policy_init(ret_policy);
		return r == -ERR_POLICY_FORKED ? r : -ERR_POLICY;
	}
	return 0;
}

static struct session *
find_session(struct agent *agent, const uint8_t id[static SESSION_ID_BYTES])
{
	for (size_t i = 0; i < SESSIONS_MAX; i++)
		if (agent->sessions[i] && memcmp(agent->sessions[i]->ticket.session_id.bytes, id,
						  SESSION_ID_BYTES) == 0)
			return agent->sessions[i];
	return NULL;
}

void
agent_session_passed(struct agent *agent, struct session *session)
{
	const engawa_TicketBody *ticket = &session->ticket;
	int r = admit_passed(agent, session);
	if (r < 0) {
		session_end(session, err_find(r) ? (uint32_t)-r : ERR_INTERNAL);
		return;
	}
	if (!agent->working) {
		agent->working = session;
		session_turn(session);
		return;
	}
	/* the full login of the later one wins, also over one that waits for the same turn */
	for (size_t i = 0; i < SESSIONS_MAX; i++) {
		struct session *other = agent->sessions[i];
		if (!other || other == session || other->state == SESSION_ENDING ||
			(other != agent->working && other->state != SESSION_TURN))
			continue;
		int same = memcmp(other->ticket.device_hash.bytes, ticket->device_hash.bytes,
				   sizeof ticket->device_hash.bytes) == 0;
		LOG(INFO, "session.taken_over", F_STR("session", other->code),
			F_STR("by", session->code), F_INT("same_device", same));
		session_end(other, same ? ERR_CONNECTED_AGAIN : ERR_TAKEN_OVER);
	}
}

static void
free_gone(void *user)
{
	session_free(user);
}

void
agent_session_gone(struct agent *agent, struct session *session)
{
	for (size_t i = 0; i < SESSIONS_MAX; i++)
		if (agent->sessions[i] == session)
			agent->sessions[i] = NULL;
	loop_defer(agent->loop, free_gone, session);
	if (agent->working != session)
		return;
	agent->working = NULL;
	for (size_t i = 0; i < SESSIONS_MAX && !agent->working; i++)
		if (agent->sessions[i] && agent->sessions[i]->state == SESSION_TURN) {
			agent->working = agent->sessions[i];
			session_turn(agent->working);
		}
	if (!agent->working)
		office_end(agent);
}

/* Room for one more login? One place is kept for known devices: strangers cannot keep the owner out
 * by sitting in all, nor by logins that were refused and do not take their last words. */
static int
has_room(const struct agent *agent, int known)
{
	int64_t logins = 0, places = 0;
	for (size_t i = 0; i < SESSIONS_MAX; i++) {
		places += agent->sessions[i] != NULL;
		logins += agent->sessions[i] && agent->sessions[i]->state < SESSION_TURN;
	}
	return known ? logins < agent->options.logins_max
		     : logins < agent->options.logins_max - 1 && places < STRANGERS_PLACES;
}

static int
check_ticket(struct agent *agent, const struct note *knock, engawa_TicketBody *ret_body)
{
	const struct keys *keys = &agent->keys;
	const char *gate = keys->org.gates[knock->gate].name;
	uint64_t now_s = wall_s();
	int named = 0;
	int r = ticket_verify((const uint8_t(*)[SIGN_POINT_BYTES])keys->org.ticket_keys,
		keys->org.ticket_key_count, knock->rest, knock->rest_len, now_s, ret_body);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ret_body->gates_count; i++)
		named |= strcmp(ret_body->gates[i], gate) == 0;
	if (!named ||
		memcmp(ret_body->agent_id.bytes, keys->agent_id, sizeof keys->agent_id) != 0 ||
		memcmp(ret_body->agent_key.bytes, keys->agent.public, NOISE_KEY_BYTES) != 0 ||
		strcmp(ret_body->organisation, keys->org.id) != 0)
		return -ERR_TICKET_BAD;
	return ticket_memory_use(agent->tickets, ret_body->session_id.bytes, ret_body->not_after_s,
		mono_now().ns / 1000000000);
}

static int
accept_knock(struct agent *agent, const struct note *knock)
{
	engawa_TicketBody body;
	uint8_t hash[32];
	int r = check_ticket(agent, knock, &body);
	if (r < 0)
		return r;
	if (!has_room(agent, devices_known(agent->devices, body.device_hash.bytes)))
		return -ERR_TOO_MANY;
	for (size_t i = 0; i < SESSIONS_MAX; i++) {
		if (agent->sessions[i])
			continue;
		ticket_hash(knock->rest, knock->rest_len, hash);
		agent->sessions[i] = session_new(agent, &body, hash, knock->gate, NULL);
		return agent->sessions[i] ? 0 : -ERR_INTERNAL;
	}
	return -ERR_TOO_MANY;
}

void
agent_knock(struct agent *agent, const struct note *knock)
{
	uint32_t held;
	int r = accept_knock(agent, knock);
	if (r == 0)
		return;
	if (log_limit_pass(&knock_limit, &held))
		LOG(WARN, "knock.refused", F_STR("gate", agent->keys.org.gates[knock->gate].name),
			F_ERR("code", r), F_INT("held", held));
	struct note refuse = {.gate = knock->gate, .code = (uint32_t)-r};
	memcpy(refuse.session_id, knock->session_id, SESSION_ID_BYTES);
	agent_control(agent, MSG_REFUSE, &refuse);
}

/* The relay's administrator: this session, or all. */
static void
end_by(struct agent *agent, const struct note *note)
{
	static const uint8_t all[SESSION_ID_BYTES];
	for (size_t i = 0; i < SESSIONS_MAX; i++) {
		struct session *s = agent->sessions[i];
		if (s && (memcmp(note->session_id, all, sizeof all) == 0 ||
				 memcmp(note->session_id, s->ticket.session_id.bytes,
					 SESSION_ID_BYTES) == 0 ||
				 memcmp(note->session_id, s->origin, SESSION_ID_BYTES) == 0))
			session_end(s, note->code ? note->code : ERR_ENDED_BY_ADMIN);
	}
}

static void
move_away(struct agent *agent, const struct note *note)
{
	for (size_t i = 0; i < SESSIONS_MAX; i++)
		if (agent->sessions[i] && agent->sessions[i]->gate == note->gate)
			session_move(agent->sessions[i], note->code);
}

static void
on_control_message(
	void *user, enum role role, uint16_t type, const uint8_t *payload, size_t len, int fd)
{
	struct agent *agent = user;
	struct note note;
	(void)role;
	if (note_get(payload, len, &note) < 0 || note.gate >= agent->keys.org.gate_count ||
		note.code > INT32_MAX)
		type = MSG_NONE;
	struct session *session = type == MSG_NONE ? NULL : find_session(agent, note.session_id);
	if (type == MSG_KNOCK) {
		agent_knock(agent, &note);
	} else if (type == MSG_DIALED && session) {
		session_dialed(session, note.code, fd);
		fd = -1;
	} else if (type == MSG_CODE_SENT && session) {
		session_code_sent(session, note.code);
	} else if (type == MSG_MAIL_STATE) {
		letter_returned(agent, &note);
	} else if (type == MSG_RESUME) {
		agent_resume(agent, &note);
	} else if (type == MSG_ENDED_BY) {
		end_by(agent, &note);
	} else if (type == MSG_GOAWAY) {
		move_away(agent, &note);
	} else if (type == MSG_LINK) {
		agent->gates[note.gate] = (struct gate_state){note.code == 0, note.code};
		if (note.code == 0) {
			renew_link_up(agent->renew);
			if (agent->working && agent->working->state == SESSION_LOST)
				resume_tell(agent);
		}
	} else if (type == MSG_RENEWED) {
		renew_answer(agent->renew, &note);
	}
	if (fd >= 0)
		close(fd);
}

static void
on_control_gone(void *user, enum role role, int status)
{
	struct agent *agent = user;
	(void)role;
	LOG(ERROR, "control.gone", F_INT("status", status));
	process_free(agent->control);
	agent->control = NULL;
	memset(agent->gates, 0, sizeof agent->gates);
	timer_start(agent->control_retry, CONTROL_RETRY_MS, 0);
}

static void
start_control(void *user)
{
	static const struct process_events events = {
		.message = on_control_message, .gone = on_control_gone};
	struct agent *agent = user;
	struct keys *keys = &agent->keys;
	struct process_start start = {.loop = agent->loop,
		.options = &agent->options,
		.role = ROLE_CONTROL,
		.fds = {-1, -1},
		.sign_key = keys->tls,
		.events = &events,
		.user = agent};
	agent->control = process_new(&start);
	if (!agent->control) {
		timer_start(agent->control_retry, CONTROL_RETRY_MS, 0);
		return;
	}
	/* when one of them fails, gone follows */
	process_send(agent->control, MSG_ORGANISATION, keys->org_text, keys->org_len, -1);
	process_send(agent->control, MSG_CERTIFICATE, keys->certificate, keys->certificate_len, -1);
	process_send(agent->control, MSG_RUN, agent->instance, sizeof agent->instance, -1);
}

static int
load_revision(struct agent *agent)
{
	char path[PATH_MAX];
	int r = state_path(&agent->options, "policy-revision", path, sizeof path);
	return r < 0 ? r : policy_seen_load(path, &agent->policy_seen);
}

/* A list that cannot be read lets nobody in: not even the agent starts. */
static int
load_addresses(const char *path, struct iplist *ret_list, struct conf_error *error)
{
	struct conf_error why = {""};
	char *text;
	size_t len;
	int r = conf_read_file(path, IPLIST_FILE_MAX_BYTES, &text, &len);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = iplist_parse(text, len, ret_list, &why);
	free(text);
	if (r < 0)
		snprintf(error->text, sizeof error->text, "%.100s: %.150s", path, why.text);
	return r;
}

/* What the person and the logins have left. */
static int
load_state(struct agent *agent, char path[static PATH_MAX], struct conf_error *error)
{
	const struct options *o = &agent->options;
	int r = state_path(o, "settings", path, PATH_MAX);
	if (r == 0)
		r = settings_load(path, &agent->settings, error);
	if (r == 0)
		r = state_path(o, "addresses", path, PATH_MAX);
	if (r == 0)
		r = load_addresses(path, &agent->addresses, error);
	if (r == 0)
		r = state_path(o, "factors", path, PATH_MAX);
	if (r == 0)
		r = factors_open(path, &agent->factors, error);
	if (r == 0)
		r = state_path(o, "passkeys", path, PATH_MAX);
	if (r == 0)
		r = passkeys_open(path, &agent->passkeys, error);
	if (r == 0)
		r = state_path(o, "devices", path, PATH_MAX);
	if (r == 0)
		r = devices_open(path, &agent->devices, error);
	if (r == 0)
		r = admit_open(agent, path, PATH_MAX, error);
	if (r == 0)
		r = local_macs_open(agent, path, PATH_MAX, error);
	if (r == 0)
		r = persons_open(agent, path, PATH_MAX, error);
	if (r == 0)
		r = local_lock_open(agent, path, PATH_MAX, error);
	if (r == 0)
		r = load_revision(agent);
	return r == -ERR_SETTING || r == -EFBIG ? -ERR_STATE_DAMAGED : r;
}

static int
open_local(struct agent *agent, char path[static PATH_MAX])
{
	const struct options *o = &agent->options;
	/* OWNER must reach agent.sock; our umask is for everything else */
	if (o->run_directory && mkdir(o->run_directory, 0755) == 0 &&
		chmod(o->run_directory, 0755) < 0)
		return -errno;
	int r = str_print(path, PATH_MAX, "%s/agent.sock",
		o->run_directory ? o->run_directory : o->state_directory);
	return r < 0 ? r : local_open(agent, path, &agent->local);
}

static int
load(struct agent *agent, struct conf_error *error)
{
	char path[PATH_MAX];
	const struct options *o = &agent->options;
	str_copy(path, sizeof path, o->state_directory);
	if (!options_rdp(o) && strcmp(o->desktop_source, "x11") != 0) {
		snprintf(error->text, sizeof error->text, "DESKTOP_SOURCE must be x11 or rdp");
		return -ERR_SETTING;
	}
	if (o->pepper_token &&
		(!o->pepper_module || !token_fits(o->pepper_module, o->pepper_token))) {
		snprintf(error->text, sizeof error->text,
			"PEPPER_TOKEN must be pkcs11:token=...;object=... and needs PEPPER_MODULE");
		return -ERR_SETTING;
	}
	if (strcmp(o->rdp_keyboard, "jp") != 0 && strcmp(o->rdp_keyboard, "us") != 0) {
		snprintf(error->text, sizeof error->text, "RDP_KEYBOARD must be jp or us");
		return -ERR_SETTING;
	}
	if (geteuid() == 0 && !o->desktop_user && !options_rdp(o)) {
		snprintf(error->text, sizeof error->text,
			"DESKTOP_USER must be set when the agent is started as root");
		return -ERR_SETTING;
	}
	int r = usermode_allowed();
	if (r < 0)
		return r;
	r = state_lock(o->state_directory);
	if (r == -ERR_EXISTS)
		snprintf(error->text, sizeof error->text, "%.160s: in use by another engawa-agent",
			o->state_directory);
	if (r == 0)
		r = restore_finish(o->state_directory);
	if (r == 0)
		r = conf_sweep(o->state_directory);
	if (r == 0)
		r = keys_load(o, &agent->keys, error);
	if (r == 0)
		r = load_state(agent, path, error);
	if (r == 0 && RAND_bytes(agent->instance, sizeof agent->instance) != 1)
		r = -ERR_CRYPTO;
	if (r == 0)
		r = open_local(agent, path);
	if (r < 0 && !error->text[0])
		snprintf(error->text, sizeof error->text, "%.200s: %.40s",
			r == -ERR_NOT_ENROLLED ? o->state_directory : path,
			err_text(r, ERR_LANG_EN));
	return r;
}

int
monitor_lingers(struct agent *agent)
{
	int looks = agent->stop_looks++;
	for (size_t i = 0; i < SESSIONS_MAX && looks < LAST_WORDS_LOOKS; i++)
		if (agent->sessions[i] && agent->sessions[i]->state == SESSION_ENDING)
			return 1;
	return looks < STOP_LOOKS && office_busy(agent->office);
}

/* Sessions at work are told; everything else just ends. */
void
monitor_stop(struct agent *agent, uint32_t code)
{
	int waiting = 0;
	for (size_t i = 0; i < SESSIONS_MAX; i++)
		if (agent->sessions[i]) {
			session_end(agent->sessions[i], code);
			waiting = 1;
		}
	timer_start(agent->control_retry, waiting ? 1000 : 1, 0);
	agent->stopping = (int)code;
}

static void
on_signal(void *user, int number)
{
	(void)number;
	monitor_stop(user, ERR_ENDED_BY_ADMIN);
}

static void
on_control_retry(void *user)
{
	struct agent *agent = user;
	/* a service manager kills what is left when we go */
	if (agent->stopping && monitor_lingers(agent))
		timer_start(agent->control_retry, STOP_LOOK_MS, 0);
	else if (agent->stopping)
		loop_stop(agent->loop);
	else
		start_control(agent);
}

/* A file that is damaged is never taken for an empty one: the way out is told instead. */
static void
tell_failure(int r, const struct conf_error *error)
{
	const struct err_entry *entry = err_find(r);
	enum err_lang lang = err_lang(setlocale(LC_MESSAGES, ""));
	fprintf(stderr, "engawa-agent: %s\n", error->text[0] ? error->text : err_text(r, lang));
	if (r == -ERR_STATE_DAMAGED || r == -ERR_CERT_EARLY || r == -ERR_ADMIN_AGENT)
		fprintf(stderr, "        %s (EW-%d)\n", entry->next[lang], entry->number);
}

int
monitor_main(struct options *options)
{
	struct agent *agent = mem_new(sizeof *agent);
	struct conf_error error = {""};
	agent->options = *options;
	role_secret();
	umask(077);
	agent->loop = loop_new();
	agent->tickets = ticket_memory_new(TICKETS_MAX);
	agent->control_retry = timer_new(agent->loop, on_control_retry, agent);
	int r = load(agent, &error);
	if (r < 0) {
		tell_failure(r, &error);
		return r == -ERR_NOT_ENROLLED ? 3 : r == -ERR_ADMIN_AGENT ? 4 : 1;
	}
	struct signal_watch *term = signal_new(agent->loop, SIGTERM, on_signal, agent);
	struct signal_watch *interrupt = signal_new(agent->loop, SIGINT, on_signal, agent);
	LOG(INFO, "agent.start", F_STR("terminal", agent->keys.terminal_id + TERMINAL_ID_CHARS - 4),
		F_HEX("agent", agent->keys.agent_id, sizeof agent->keys.agent_id),
		F_STR("mode", geteuid() == 0 ? "system" : "user"));
	agent->health = health_new(agent);
	agent->office = office_new(agent);
	struct usermode *usermode = usermode_new(agent);
	agent->renew = renew_new(agent);
	start_control(agent);
	loop_run(agent->loop);
	for (size_t i = 0; i < SESSIONS_MAX; i++)
		session_free(agent->sessions[i]);
	usermode_free(usermode);
	office_free(agent->office);
	process_free(agent->control);
	renew_free(agent->renew);
	local_free(agent->local);
	health_free(agent->health);
	signal_free(term);
	signal_free(interrupt);
	timer_free(agent->control_retry);
	keys_fini(&agent->keys);
	devices_free(agent->devices);
	persons_close(agent);
	devices_free(agent->local_tries);
	factors_free(agent->factors);
	passkeys_free(agent->passkeys);
	registry_free(agent->registry);
	local_macs_close(agent);
	iplist_fini(&agent->addresses);
	ticket_memory_free(agent->tickets);
	for (size_t i = 0; i < ORGFILE_GATES_MAX; i++)
		ticket_memory_free(agent->attempts[i]);
	int replaced = agent->stopping == ERR_ADMIN_AGENT;
	LOG(INFO, "agent.stop", F_INT("code", replaced ? ERR_ADMIN_AGENT : 0));
	if (replaced)
		tell_failure(-ERR_ADMIN_AGENT, &error);
	mem_wipe_free(agent, sizeof *agent);
	return replaced ? 4 : 0;
}
