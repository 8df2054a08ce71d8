/*
 * agent/session: the monitor against hostile processes. The processes are played by this test, in
 * place of process.c: what the network could make of pump, login and work. No order of their
 * messages may start a desktop before the steps are passed.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <pb_decode.h>

#include "agent/letter.h"
#include "agent/local_users.h"
#include "agent/password.h"
#include "agent/resume.h"
#include "agent/session.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "base/wire.h"
#include "crypto/record.h"
#include "crypto/seal.h"
#include "inner.pb.h"
#include "signed.pb.h"

struct process {
	enum role role;
	int fds[2];  /* its own, as a real process has them */
	int is_gone; /* nobody has been told yet */
};

static unsigned started[ROLE_COUNT], alive[ROLE_COUNT], sent[MSG_RESULT + 1];
static void (*leaving)(void *user); /* of a desktop that has not left yet */
static void *leaver;
static int slow_to_leave;
static char code[16];
static uint8_t second[4096], work_key[32], login_key[32];
static size_t second_len;
static uint32_t refused, last_mark;
static struct agent agent;
static struct pepper pepper;
static struct users users;
static struct session *session;
static struct noise_keypair mail_key, device;
static char directory[] = "/tmp/engawa-test-session.XXXXXX";
static char source[] = "x11";
static engawa_TicketBody ticket;
static struct noise_secrets client;

const char *
role_name(enum role role)
{
	static const char *const names[] = {"control", "pump", "login", "work", "desktop"};
	return names[role];
}

struct process *
process_new(const struct process_start *start)
{
	struct process *p = calloc(1, sizeof *p);
	p->role = start->role;
	for (int i = 0; i < 2; i++)
		p->fds[i] = start->fds[i] > 0 ? dup(start->fds[i]) : -1;
	started[p->role]++;
	alive[p->role]++;
	return p;
}

void
process_free(struct process *process)
{
	if (!process)
		return;
	alive[process->role]--;
	for (int i = 0; i < 2; i++)
		if (process->fds[i] >= 0)
			close(process->fds[i]);
	free(process);
}

static void
left(void)
{
	leaving(leaver);
	leaving = NULL;
}

void
process_finish(struct process *process, uint64_t deadline_ms, void (*gone)(void *user), void *user)
{
	(void)deadline_ms;
	if (!process)
		return;
	process_free(process);
	leaving = gone;
	leaver = user;
	if (!slow_to_leave)
		left();
}

void
process_leave(struct process *process)
{
	process_free(process);
}

void
process_hand(struct process *process, void *user)
{
	(void)process, (void)user;
}

int
process_is_gone(const struct process *process)
{
	return process->is_gone;
}

static void
take_code(const uint8_t *payload, size_t len)
{
	struct note note;
	uint8_t plain[2048];
	engawa_MailCode mail = engawa_MailCode_init_zero;
	assert_int_equal(note_get(payload, len, &note), 0);
	assert_int_equal(seal_open(mail_key.secret, note.session_id, SESSION_ID_BYTES, note.rest,
				 note.rest_len, plain),
		0);
	pb_istream_t in = pb_istream_from_buffer(plain, note.rest_len - SEAL_OVERHEAD_BYTES);
	assert_true(pb_decode(&in, engawa_MailCode_fields, &mail));
	assert_string_equal(mail.address, agent.settings.mail);
	assert_int_equal(strlen(mail.terminal_tail), 4);
	snprintf(code, sizeof code, "%s", mail.code);
	last_mark = mail.address_mark;
}

int
process_send(struct process *process, uint16_t type, const void *payload, size_t len, int fd)
{
	struct refusal refusal;
	struct work_run run;
	(void)fd;
	assert_non_null(process);
	sent[type]++;
	if (type == MSG_SEND_CODE)
		take_code(payload, len);
	if (type == MSG_SECOND && len <= sizeof second)
		memcpy(second, payload, second_len = len);
	if (type == MSG_KEYS)
		memcpy(login_key, payload, 32);
	if (type == MSG_RUN && process->role == ROLE_WORK && work_run_get(payload, len, &run) == 0)
		memcpy(work_key, run.client, 32);
	if (type == MSG_REFUSED && refusal_get(payload, len, &refusal) == 0)
		refused = refusal.code;
	return 0;
}

static int
setup(void **state)
{
	(void)state;
	struct keys *k = &agent.keys;
	char path[128];
	struct process_start start = {.role = ROLE_CONTROL};
	memset(&agent, 0, sizeof agent);
	log_open("test", LOG_ERROR, -1);
	strcpy(directory, "/tmp/engawa-test-session.XXXXXX");
	assert_non_null(mkdtemp(directory));
	agent.options.state_directory = directory;
	agent.options.logins_max = 4;
	agent.options.desktop_source = source;
	agent.pepper = &pepper;
	agent.users = &users;
	agent.loop = loop_new();
	snprintf(path, sizeof path, "%s/devices", directory);
	assert_int_equal(devices_open(path, &agent.devices, NULL), 0);
	snprintf(path, sizeof path, "%s/factors", directory);
	assert_int_equal(factors_open(path, &agent.factors, NULL), 0);
	snprintf(path, sizeof path, "%s/registry", directory);
	assert_int_equal(registry_open(path, &agent.registry, NULL), 0);
	agent.control = process_new(&start);
	k->anchor = sign_key_generate();
	assert_int_equal(noise_keypair_generate(&k->agent), 0);
	assert_int_equal(noise_keypair_generate(&mail_key), 0);
	assert_int_equal(noise_keypair_generate(&device), 0);
	memcpy(k->org.mail_key, mail_key.public, 32);
	k->org.gate_count = 1;
	strcpy(k->org.gates[0].name, "east");
	strcpy(k->terminal_id, "0123456789ABCDEF");
	strcpy(agent.settings.mail, "tanaka@city.example.lg.jp");
	assert_int_equal(password_hash(&pepper, "Abcdef12", agent.settings.password), 0);
	memset(started, 0, sizeof started);
	return 0;
}

static int
teardown(void **state)
{
	char command[128];
	(void)state;
	for (size_t i = 0; i < SESSIONS_MAX; i++) {
		session_free(agent.sessions[i]);
		agent.sessions[i] = NULL;
	}
	timer_free(agent.tell_pause);
	agent.tell_pause = NULL;
	agent.tell_again = 0;
	process_free(agent.control);
	devices_free(agent.devices);
	factors_free(agent.factors);
	registry_free(agent.registry);
	sign_key_free(agent.keys.anchor);
	loop_free(agent.loop);
	snprintf(command, sizeof command, "rm -rf %s", directory);
	assert_int_equal(system(command), 0);
	for (int i = 0; i < ROLE_COUNT; i++)
		assert_int_equal(alive[i], 0);
	return 0;
}

static void
stop_loop(void *user)
{
	(void)user;
	loop_stop(agent.loop);
}

/* Deferred frees and threads. */
static void
turn_loop(unsigned ms)
{
	struct timer *timer = timer_new(agent.loop, stop_loop, NULL);
	timer_start(timer, ms, 0);
	loop_run(agent.loop);
	timer_free(timer);
}

static void
knock(void)
{
	uint8_t hash[32] = {5};
	memset(&ticket, 0, sizeof ticket);
	ticket.session_id.size = ticket.agent_id.size = 16;
	RAND_bytes(ticket.session_id.bytes, 16);
	ticket.device_hash.size = 32;
	SHA256(device.public, 32, ticket.device_hash.bytes);
	strcpy(ticket.client_address, "203.0.113.9");
	refused = 0;
	code[0] = '\0';
	session = session_new(&agent, &ticket, hash, 0, NULL);
	assert_non_null(session);
	for (size_t i = 0; i < SESSIONS_MAX; i++)
		if (!agent.sessions[i]) {
			agent.sessions[i] = session;
			break;
		}
}

/* A policy that lets an app come with code and password; the file is not what is tested here. */
static void
open_policy(struct session *s)
{
	s->policy.disable_inspection = s->policy.disable_maccheck = s->policy.disable_devicecheck =
		s->policy.disable_limited_firewall = 1;
}

static void
message1(uint8_t out[static FIRST_BYTES], struct noise_handshake **ret_hs)
{
	uint8_t prologue[128] = {NOISE_SUITE_IK};
	struct wr w = wr_init(prologue + 5, sizeof prologue - 5);
	uint8_t hash[32] = {5};
	size_t len;
	wr_bytes(&w, hash, 32);
	wr_bytes(&w, ticket.session_id.bytes, 16);
	wr_bytes(&w, agent.keys.terminal_id, 16);
	*ret_hs = noise_handshake_new(
		1, &device, agent.keys.agent.public, NULL, prologue, 5 + w.len, NULL);
	memset(out, 0, FIRST_BYTES);
	out[0] = NOISE_SUITE_IK;
	out[6] = NOISE_MESSAGE1_BYTES;
	assert_int_equal(
		noise_handshake_write(*ret_hs, NULL, 0, out + 7, NOISE_MESSAGE1_BYTES, &len), 0);
	assert_int_equal(len, NOISE_MESSAGE1_BYTES);
}

static void
say(enum role role, uint16_t type, const void *payload, size_t len)
{
	session_message(session, role, type, payload, len);
}

static void
say_facts(void)
{
	uint8_t out[MESSAGE_MAX_BYTES];
	struct facts f = {.kind = engawa_ClientKind_CLIENT_APP, .build = 1, .window_mib = 32};
	strcpy(f.computer_name, "自宅");
	say(ROLE_LOGIN, MSG_FACTS, out, facts_put(&f, out));
}

static void
say_reply(unsigned kind, const char *text)
{
	uint8_t out[MESSAGE_MAX_BYTES];
	struct reply r = {.kind = (uint8_t)kind};
	snprintf(r.text, sizeof r.text, "%s", text);
	say(ROLE_LOGIN, MSG_REPLY, out, reply_put(&r, out));
}

static void
say_display(void)
{
	uint8_t out[MESSAGE_MAX_BYTES];
	struct display_auth auth = {.name = ""};
	say(ROLE_DESKTOP, MSG_DISPLAY, out, display_auth_put(&auth, out));
}

static void
say_ready(void)
{
	uint8_t out[MESSAGE_MAX_BYTES];
	struct ready ready = {.layout = {.width_px = 800, .height_px = 600}};
	say(ROLE_WORK, MSG_READY, out, ready_put(&ready, out));
}

/* The honest way, one step at a time. */
enum {
	STEPS = 12
};

static void
honest(int step)
{
	uint8_t first[FIRST_BYTES], statement[4096];
	struct noise_handshake *hs;
	size_t len;
	switch (step) {
	case 0:
		session_dialed(session, 0, dup(0));
		break;
	case 1:
		say(ROLE_PUMP, MSG_JOINED, NULL, 0);
		break;
	case 2:
		message1(first, &hs);
		say(ROLE_PUMP, MSG_FIRST, first, sizeof first);
		assert_int_equal(noise_handshake_read(hs, second + 2, second_len - 2, statement,
					 sizeof statement, &len),
			0);
		assert_int_equal(noise_handshake_split(hs, &client), 0);
		noise_handshake_free(hs);
		open_policy(session);
		break;
	case 3:
		say_facts();
		break;
	case 4:
		session_code_sent(session, 0);
		break;
	case 5:
		say_reply(engawa_PromptKind_PROMPT_MAIL_CODE, code);
		break;
	case 6:
		say_reply(engawa_PromptKind_PROMPT_PASSWORD, "Abcdef12");
		break;
	case 7: /* Argon2 */
		for (int i = 0; i < 200 && session->state == SESSION_LOGIN; i++)
			turn_loop(50);
		break;
	case 8:
		say_display();
		break;
	case 9:
		say(ROLE_PUMP, MSG_HELD, NULL, 0);
		break;
	case 10:
		say_ready();
		break;
	case 11:
		say(ROLE_PUMP, MSG_SWITCHED, NULL, 0);
		break;
	}
}

static int
is_over(void)
{
	for (size_t i = 0; i < SESSIONS_MAX; i++)
		if (agent.sessions[i] == session)
			return session->state >= SESSION_ENDING;
	return 1;
}

static void
test_whole(void **state)
{
	(void)state;
	knock();
	for (int i = 0; i < STEPS; i++) {
		assert_int_equal(started[ROLE_DESKTOP], i > 7);
		assert_int_equal(started[ROLE_WORK], i > 8);
		assert_int_equal(sent[MSG_START], i > 10);
		honest(i);
		assert_false(is_over());
	}
	assert_int_equal(session->state, SESSION_WORK);
	/* each process has its own keys, both derived as the client derives them */
	assert_memory_equal(login_key, client.login_client, 32);
	assert_memory_equal(work_key, client.work_client, 32);
	assert_true(devices_known(agent.devices, ticket.device_hash.bytes));
	static const uint8_t zero[sizeof session->secrets];
	assert_memory_equal(&session->secrets, zero, sizeof zero);
	sent[MSG_START] = 0;
}

/* What a taken-over process might say: everything there is, in its own name and in that of any
 * other. */
static const uint8_t junk[FIRST_BYTES] = {1, 0, 0, 0, 0, 0, NOISE_MESSAGE1_BYTES};

static void
forge(unsigned n)
{
	static const char *const texts[] = {"", "00000000", "Abcdef12 ", "a"};
	enum role role = (enum role)(ROLE_PUMP + n % 4);
	unsigned type = n / 4 % (MSG_RESULT + 1);
	switch (n / 4 / (MSG_RESULT + 1) % 6) {
	case 0:
		say(role, (uint16_t)type, NULL, 0);
		break;
	case 1:
		say(role, (uint16_t)type, junk, sizeof junk);
		break;
	case 2:
		say(role, (uint16_t)type, junk, 4);
		break;
	case 3:
		say_facts();
		break;
	case 4:
		say_reply(n % 4, texts[type % 4]);
		break;
	case 5:
		if (type % 2)
			say_display();
		else
			say_ready();
		break;
	}
}

/* One forged message at every point of the honest way before the password is judged: never a
 * desktop, whatever follows. */
static void
test_attack_one_forged_message(void **state)
{
	enum {
		VARIANTS = 4 * (MSG_RESULT + 1) * 3
	};
	for (int point = 0; point <= 6; point++) {
		/* every try from here on is written to the disk */
		for (unsigned n = (unsigned)point; n<VARIANTS; n += point> 3 ? 5 : 1) {
			if (n % 16 == 0)
				devices_unlock(agent.devices);
			knock();
			for (int i = 0; i < point; i++)
				honest(i);
			forge(n);
			for (unsigned i = 0; i < 8 && !is_over(); i++)
				forge(n * 7 + i * 31);
			assert_int_equal(started[ROLE_DESKTOP], 0);
			assert_int_equal(started[ROLE_WORK], 0);
			assert_int_equal(sent[MSG_START], 0);
			if (!is_over())
				session_end(session, ERR_ENDED);
			if (!is_over() || session->state != SESSION_GONE)
				session_process_gone(session, ROLE_PUMP);
			if (n % 64 == 0)
				turn_loop(1);
		}
		teardown(state);
		setup(state);
	}
}

/* What is tried: processes that, at every stage of a login, send the monitor random messages, 400
 * times. What comes of it: no desktop is started, and no work. */
static void
test_attack_random_messages(void **state)
{
	(void)state;
	srandom(11);
	for (int round = 0; round < 400; round++) {
		knock();
		int honest_steps = (int)random() % 6;
		for (int i = 0; i < honest_steps; i++)
			honest(i);
		for (int i = 0; i < 30 && !is_over(); i++)
			forge((unsigned)random());
		assert_int_equal(started[ROLE_DESKTOP], 0);
		assert_int_equal(started[ROLE_WORK], 0);
		if (!is_over() || session->state != SESSION_GONE)
			session_process_gone(session, ROLE_PUMP);
		if (round % 64 == 0) {
			turn_loop(1);
			devices_unlock(agent.devices);
		}
	}
}

/* The process that read the client's facts cannot make Start come twice, nor the old one live on.
 */
static void
test_attack_after_login(void **state)
{
	static const struct {
		enum role role;
		uint16_t type;
	} bad[] = {{ROLE_LOGIN, MSG_FACTS}, {ROLE_LOGIN, MSG_REPLY}, {ROLE_LOGIN, MSG_READY},
		{ROLE_PUMP, MSG_SWITCHED}, {ROLE_PUMP, MSG_FIRST}, {ROLE_PUMP, MSG_JOINED},
		{ROLE_DESKTOP, MSG_READY}, {ROLE_WORK, MSG_REPLY}};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		knock();
		for (int step = 0; step < 8; step++)
			honest(step);
		assert_int_equal(session->state, SESSION_DESKTOP);
		say(bad[i].role, bad[i].type, NULL, 0);
		assert_true(is_over());
		assert_int_equal(alive[ROLE_DESKTOP], 0);
		assert_int_equal(sent[MSG_START], 0);
		turn_loop(1);
		teardown(state);
		setup(state);
	}
}

/* What is tried: first messages of the handshake with a flipped bit, by another device than the
 * ticket's, and of another session. What comes of it: the session is over; no login begins and no
 * mail is sent. */
static void
test_attack_handshake(void **state)
{
	(void)state;
	uint8_t first[FIRST_BYTES];
	struct noise_handshake *hs;
	for (int variant = 0; variant < 7; variant++) {
		struct noise_keypair real = device;
		knock();
		honest(0);
		honest(1);
		if (variant == 6)
			assert_int_equal(noise_keypair_generate(&device),
				0); /* not the device of the ticket */
		message1(first, &hs);
		noise_handshake_free(hs);
		device = real;
		static const int flips[] = {0, 1, 4, 5, 6, 50};
		if (variant < 6)
			first[flips[variant]] ^= 2;
		say(ROLE_PUMP, MSG_FIRST, first, sizeof first);
		assert_true(is_over());
		assert_int_equal(started[ROLE_LOGIN], 0);
		turn_loop(1);
	}
	/* and a message 1 of another session */
	knock();
	honest(0);
	honest(1);
	message1(first, &hs);
	noise_handshake_free(hs);
	knock();
	honest(0);
	honest(1);
	say(ROLE_PUMP, MSG_FIRST, first, sizeof first);
	assert_true(is_over());
	assert_int_equal(started[ROLE_LOGIN], 0);
	assert_int_equal(sent[MSG_SEND_CODE], 0);
}

/* What is tried: a recorded first message. What comes of it: who has recorded it cannot make the
 * next record, so the login ends there, and no mail is sent. */
static void
test_attack_message1_replay_sends_no_mail(void **state)
{
	(void)state;
	sent[MSG_SEND_CODE] = 0;
	knock();
	for (int i = 0; i < 3; i++)
		honest(i);
	/* the replayer cannot make a record that opens: the login process just ends */
	session_process_gone(session, ROLE_LOGIN);
	assert_true(is_over());
	assert_int_equal(sent[MSG_SEND_CODE], 0);
}

static void
test_take_over(void **state)
{
	(void)state;
	knock();
	for (int i = 0; i < STEPS; i++)
		honest(i);
	struct session *first = session;
	sent[MSG_START] = 0;
	slow_to_leave = 1;
	assert_int_equal(noise_keypair_generate(&device), 0);
	knock();
	for (int i = 0; i < 8; i++)
		honest(i);
	assert_int_equal(first->state, SESSION_ENDING);
	assert_int_equal(first->end_code, -ERR_TAKEN_OVER);
	assert_int_equal(session->state, SESSION_TURN);
	assert_int_equal(started[ROLE_DESKTOP], 1);
	session_process_gone(first, ROLE_PUMP); /* its last words are out */
	/* its desktop still puts the monitors back, which the next one would take for the person's
	 */
	assert_int_equal(session->state, SESSION_TURN);
	assert_int_equal(started[ROLE_DESKTOP], 1);
	left();
	slow_to_leave = 0;
	assert_int_equal(session->state, SESSION_DESKTOP);
	for (int i = 8; i < STEPS; i++)
		honest(i);
	assert_int_equal(session->state, SESSION_WORK);
	assert_ptr_equal(agent.working, session);
	assert_int_equal(alive[ROLE_DESKTOP], 1);
	sent[MSG_START] = 0;
}

/* A work process that was taken over says that its client is lost, where no client may come back:
 * it would sit there for ever. */
static void
test_attack_lost_without_return(void **state)
{
	uint8_t out[16];
	const struct lost lost = {.code = ERR_TIMEOUT};
	(void)state;
	knock();
	for (int i = 0; i < STEPS; i++)
		honest(i);
	say(ROLE_WORK, MSG_LOST, out, lost_put(&lost, out));
	assert_true(is_over());
	assert_int_equal(alive[ROLE_WORK] + alive[ROLE_DESKTOP], 0);
	sent[MSG_START] = 0;
}

/* Who has been let in is disabled, or taken out of the table: the session ends at once, also while
 * it waits for its client. Somebody else's goes on. */
static void
test_attack_person_disabled_at_work(void **state)
{
	static const char *const changes[] = {"disable tanaka", "remove tanaka"};
	char answer[64];
	struct local_user changed;
	for (int i = 0; i < 4; i++) {
		users = (struct users){.count = 2};
		strcpy(users.list[0].name, "tanaka");
		strcpy(users.list[0].verifier, "pam");
		users.list[1] = users.list[0];
		strcpy(users.list[1].name, "suzuki");
		knock();
		struct users table = users;
		users.count = 0; /* the login of this file is with the single password */
		for (int step = 0; step < STEPS; step++)
			honest(step);
		users = table;
		strcpy(session->flow.person.name, "tanaka");
		if (i >= 2)
			session->state = SESSION_LOST;
		assert_int_equal(
			local_users(&agent, "disable suzuki", answer, sizeof answer, &changed), 0);
		assert_false(is_over());
		assert_int_equal(
			local_users(&agent, changes[i % 2], answer, sizeof answer, &changed), 0);
		assert_true(is_over());
		turn_loop(1);
		teardown(state);
		sent[MSG_START] = 0;
		setup(state);
	}
	users.count = 0;
}

/* The desktop ends when its work process does; the system may tell of both in either order. */
static void
test_work_dies_first(void **state)
{
	for (int heard = 0; heard < 3; heard++) {
		knock();
		for (int i = 0; i < STEPS; i++)
			honest(i);
		struct ended_session *end = &agent.ended[agent.ended_next % ENDED_MAX];
		if (heard < 2)
			session->work->is_gone = 1;
		session_process_gone(session, heard == 0 ? ROLE_WORK : ROLE_DESKTOP);
		if (heard == 2) /* told to the client, by the work process */
			session_process_gone(session, ROLE_PUMP);
		assert_int_equal(alive[ROLE_WORK] + alive[ROLE_DESKTOP], 0);
		assert_int_equal(end->code, heard < 2 ? -ERR_RESUME_OVER : -ERR_DESKTOP_FAILED);
		turn_loop(1);
		teardown(state);
		sent[MSG_START] = 0;
		setup(state);
	}
}

static void
test_desktop_fails(void **state)
{
	uint8_t out[4];
	for (int how = 0; how < 3; how++) {
		knock();
		for (int i = 0; i < (how == 0 ? 8 : 9); i++)
			honest(i);
		if (how == 0)
			session_process_gone(session, ROLE_DESKTOP);
		else if (how == 1)
			say(ROLE_WORK, MSG_ENDED, out, code_put(ERR_DESKTOP_LOCKED, out));
		else
			session_end(session, ERR_TIMEOUT);
		assert_int_equal(session->state, SESSION_ENDING);
		static const uint32_t codes[] = {
			ERR_DESKTOP_FAILED, ERR_DESKTOP_LOCKED, ERR_TIMEOUT};
		assert_int_equal(refused, codes[how]);
		assert_int_equal(alive[ROLE_DESKTOP], 0);
		assert_int_equal(sent[MSG_START], 0);
		session_process_gone(session, ROLE_PUMP);
		assert_int_equal(alive[ROLE_LOGIN] + alive[ROLE_WORK] + alive[ROLE_PUMP], 0);
		turn_loop(1);
		teardown(state);
		setup(state);
	}
}

/* A session that ends while Argon2 runs. */
static void
test_end_during_check(void **state)
{
	(void)state;
	knock();
	for (int i = 0; i < 7; i++)
		honest(i);
	session_process_gone(session, ROLE_PUMP);
	for (int i = 0; i < 40; i++)
		turn_loop(50);
	assert_int_equal(started[ROLE_DESKTOP], 0);
}

static void
test_without_policy_file(void **state)
{
	(void)state;
	knock();
	for (int i = 0; i < 3; i++)
		honest(i);
	policy_fini(&session->policy);
	policy_init(&session->policy);
	say_facts();
	assert_int_equal(refused, ERR_DEVICE_UNKNOWN);
	assert_int_equal(sent[MSG_SEND_CODE], 0);
}

static int
setup_sent(void **state)
{
	memset(sent, 0, sizeof sent);
	return setup(state);
}

static void
say_returned(uint32_t which, uint32_t state)
{
	const struct note note = {
		.code = state, .rest = (const uint8_t *)&which, .rest_len = sizeof which};
	letter_returned(&agent, &note);
}

/* What is tried: the relay, or whoever has its words, says of mails what is not so. What comes of
 * it: without the mark that went out with the mail nothing at all; with it the person reads one
 * line, and can go on. */
static void
test_attack_mail_returned(void **state)
{
	static const struct note empty = {.code = ERR_MAIL_CAME_BACK};
	(void)state;
	knock();
	for (int step = 0; step < 5; step++)
		honest(step);
	const uint32_t mark = last_mark;
	sent[MSG_NOTICE] = 0;
	say_returned(mark ^ 1, ERR_MAIL_CAME_BACK);
	say_returned(0, ERR_MAIL_CAME_BACK);
	say_returned(mark, ERR_CODE_WRONG);
	letter_returned(&agent, &empty);
	assert_int_equal(sent[MSG_NOTICE], 0);
	assert_int_equal(agent.settings.mail_back_s, 0);
	say_returned(mark, ERR_MAIL_DELAYED);
	assert_int_equal(sent[MSG_NOTICE], 1);
	assert_int_equal(agent.settings.mail_back_s, 0);
	for (int i = 0; i < 1000; i++)
		say_returned(mark, i % 2 ? ERR_MAIL_DELAYED : ERR_MAIL_CAME_BACK);
	assert_int_equal(sent[MSG_NOTICE], 2);
	assert_true(agent.settings.mail_back_s > 0);
	/* and nothing of this computer is told before the login is through */
	session_notice(session, ERR_DISK_LOW);
	assert_int_equal(sent[MSG_NOTICE], 2);
	/* the session is none the worse for it, and a code that arrives is believed */
	honest(5);
	assert_int_equal(session->state, SESSION_LOGIN);
	assert_int_equal(agent.settings.mail_back_s, 0);
	say_returned(mark, ERR_MAIL_CAME_BACK);
	assert_int_equal(sent[MSG_NOTICE], 2); /* nobody waits for a mail any more */
	/* another address has another mark */
	strcpy(agent.settings.mail, "suzuki@city.example.lg.jp");
	agent.settings.mail_back_s = 0;
	say_returned(mark, ERR_MAIL_CAME_BACK);
	assert_int_equal(agent.settings.mail_back_s, 0);
}

/* Tried: who sits on the way cuts it and lets it come back as fast as he can, so that the office
 * PC's words about it make the gate refuse the office PC. Comes of it: few of them are said, and
 * the last one is among them. */
static void
test_attack_path_cut_all_the_time(void **state)
{
	(void)state;
	unsigned before = sent[MSG_WAITS];
	for (int i = 0; i < 200; i++)
		resume_tell(&agent);
	assert_int_equal(sent[MSG_WAITS] - before, 1);
	for (int i = 0; i < 500 && sent[MSG_WAITS] - before < 2; i++)
		turn_loop(20);
	assert_int_equal(sent[MSG_WAITS] - before, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup_sent, teardown)
		T(test_whole),
		T(test_attack_one_forged_message),
		T(test_attack_random_messages),
		T(test_attack_after_login),
		T(test_attack_handshake),
		T(test_attack_message1_replay_sends_no_mail),
		T(test_attack_mail_returned),
		T(test_take_over),
		T(test_attack_lost_without_return),
		T(test_attack_person_disabled_at_work),
		T(test_work_dies_first),
		T(test_desktop_fails),
		T(test_end_during_check),
		T(test_without_policy_file),
		T(test_attack_path_cut_all_the_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
