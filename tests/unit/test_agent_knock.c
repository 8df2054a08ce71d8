/* agent/monitor: which tickets start anything at all. The processes are played by this test. */
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

#include "agent/monitor.h"
#include "agent/resume.h"
#include "agent/session.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

struct process {
	enum role role;
};

static struct agent agent;
static struct evp_pkey_st *ticket_key;
static engawa_TicketBody body;
static uint32_t answer; /* code of the last refusal */
static unsigned dials;
static char directory[64];

const char *
role_name(enum role role)
{
	(void)role;
	return "control";
}

struct process *
process_new(const struct process_start *start)
{
	struct process *p = calloc(1, sizeof *p);
	p->role = start->role;
	return p;
}

void
process_leave(struct process *process)
{
	process_free(process);
}

int
process_is_gone(const struct process *process)
{
	(void)process;
	return 0;
}

void
process_hand(struct process *process, void *user)
{
	(void)process, (void)user;
}

void
process_free(struct process *process)
{
	free(process);
}

void
process_finish(struct process *process, uint64_t deadline_ms, void (*gone)(void *user), void *user)
{
	(void)deadline_ms;
	if (!process)
		return;
	free(process);
	gone(user);
}

int
process_send(struct process *process, uint16_t type, const void *payload, size_t len, int fd)
{
	struct note note;
	(void)fd;
	assert_int_equal(process->role, ROLE_CONTROL);
	assert_int_equal(note_get(payload, len, &note), 0);
	if (type == MSG_REFUSE)
		answer = note.code;
	if (type == MSG_DIAL)
		dials++;
	return 0;
}

static int
setup(void **state)
{
	(void)state;
	struct keys *k = &agent.keys;
	char path[96];
	struct process_start start = {.role = ROLE_CONTROL};
	memset(&agent, 0, sizeof agent);
	log_open("test", LOG_ERROR, -1);
	strcpy(directory, "/tmp/engawa-test-knock.XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/devices", directory);
	agent.options.state_directory = directory;
	agent.options.logins_max = 4;
	agent.loop = loop_new();
	agent.tickets = ticket_memory_new(64);
	agent.control = process_new(&start);
	assert_int_equal(devices_open(path, &agent.devices, NULL), 0);
	ticket_key = sign_key_generate();
	k->org.ticket_key_count = k->org.gate_count = 2;
	assert_int_equal(sign_key_point(ticket_key, k->org.ticket_keys[0]), 0);
	struct evp_pkey_st *next = sign_key_generate();
	assert_int_equal(sign_key_point(next, k->org.ticket_keys[1]), 0);
	sign_key_free(next);
	strcpy(k->org.id, "hinata-city");
	strcpy(k->org.gates[0].name, "east");
	strcpy(k->org.gates[1].name, "west");
	memset(k->agent_id, 3, sizeof k->agent_id);
	assert_int_equal(noise_keypair_generate(&k->agent), 0);
	return 0;
}

static int
teardown(void **state)
{
	char command[128];
	(void)state;
	for (size_t i = 0; i < SESSIONS_MAX; i++)
		session_free(agent.sessions[i]);
	process_free(agent.control);
	devices_free(agent.devices);
	ticket_memory_free(agent.tickets);
	for (size_t i = 0; i < ORGFILE_GATES_MAX; i++)
		ticket_memory_free(agent.attempts[i]);
	sign_key_free(ticket_key);
	loop_free(agent.loop);
	snprintf(command, sizeof command, "rm -rf %s", directory);
	return system(command);
}

/* A good ticket for gate "east", of a device that is told by one byte. */
static void
make(uint8_t device)
{
	body = (engawa_TicketBody){0};
	body.session_id.size = body.agent_id.size = 16;
	RAND_bytes(body.session_id.bytes, 16);
	memcpy(body.agent_id.bytes, agent.keys.agent_id, 16);
	body.agent_key.size = body.device_hash.size = 32;
	memcpy(body.agent_key.bytes, agent.keys.agent.public, 32);
	memset(body.device_hash.bytes, device, 32);
	strcpy(body.client_address, "203.0.113.9");
	strcpy(body.organisation, "hinata-city");
	strcpy(body.gates[body.gates_count++], "east");
	body.issued_s = wall_s();
	body.not_after_s = body.issued_s + TICKET_LIFE_S;
}

/* 0 when a session was started, else the code that the gate is told. */
static uint32_t
knock_at(uint8_t gate, struct evp_pkey_st *key, int flip)
{
	uint8_t ticket[TICKET_MAX_BYTES];
	size_t len;
	struct note note = {.gate = gate, .rest = ticket};
	unsigned before = dials;
	assert_int_equal(ticket_issue(key, &body, ticket, sizeof ticket, &len), 0);
	if (flip >= 0)
		ticket[(size_t)flip % len] ^= 1;
	note.rest_len = len;
	memcpy(note.session_id, body.session_id.bytes, 16);
	answer = 0;
	agent_knock(&agent, &note);
	assert_int_equal(dials - before, answer ? 0 : 1);
	return answer;
}

static uint32_t
knock(void)
{
	return knock_at(0, ticket_key, -1);
}

static void
test_good(void **state)
{
	(void)state;
	make(1);
	assert_int_equal(knock(), 0);
}

/* What is tried: a ticket a second time, while its session runs and after it. What comes of it:
 * refused as no good ticket. */
static void
test_attack_used_twice(void **state)
{
	(void)state;
	make(1);
	assert_int_equal(knock(), 0);
	assert_int_equal(knock(), ERR_TICKET_BAD);
	session_end(agent.sessions[0], ERR_CLOSED);
	assert_int_equal(knock(), ERR_TICKET_BAD); /* also when the first session is over */
}

/* What is tried: a ticket that has expired, and one of the future. What comes of it: refused; a
 * clock that is a little off is no reason. */
static void
test_attack_time(void **state)
{
	(void)state;
	make(1);
	body.issued_s -= TICKET_LIFE_S + 1;
	body.not_after_s = body.issued_s + TICKET_LIFE_S;
	assert_int_equal(knock(), ERR_TICKET_EXPIRED);
	make(1);
	body.issued_s += TICKET_AHEAD_S + 2;
	body.not_after_s = body.issued_s + TICKET_LIFE_S;
	assert_int_equal(knock(), ERR_CLOCK);
	make(1);
	body.issued_s += TICKET_AHEAD_S - 1;
	body.not_after_s = body.issued_s + TICKET_LIFE_S;
	assert_int_equal(knock(), 0);
}

/* What is tried: a ticket for another office PC, with a key that the controller made itself, of
 * another organisation, or brought by a gate that it does not name. What comes of it: refused. */
static void
test_attack_other_office_pc(void **state)
{
	(void)state;
	make(1);
	body.agent_id.bytes[0] ^= 1;
	assert_int_equal(knock(), ERR_TICKET_BAD);
	make(1);
	body.agent_key.bytes[0] ^= 1; /* a controller that puts its own key into the ticket */
	assert_int_equal(knock(), ERR_TICKET_BAD);
	make(1);
	strcpy(body.organisation, "other-city");
	assert_int_equal(knock(), ERR_TICKET_BAD);
	make(1);
	assert_int_equal(knock_at(1, ticket_key, -1),
		ERR_TICKET_BAD); /* brought by a gate it does not name */
}

/* What is tried: a ticket signed by another key, and one with a flipped bit, at 58 places. What
 * comes of it: refused, and nothing is dialled. */
static void
test_attack_signature(void **state)
{
	(void)state;
	struct evp_pkey_st *other = sign_key_generate();
	make(1);
	assert_int_equal(knock_at(0, other, -1), ERR_SIGNATURE);
	sign_key_free(other);
	for (int i = 0; i < 400; i += 7) {
		make(1);
		uint32_t r = knock_at(0, ticket_key, i);
		assert_true(r == ERR_SIGNATURE || r == ERR_PROTOCOL);
	}
	assert_int_equal(dials, 0);
}

/* Strangers fill their places; the owner's device, which is known, has one left. */
static void
test_attack_strangers_in_all_places(void **state)
{
	(void)state;
	uint8_t owner[32];
	memset(owner, 9, sizeof owner);
	assert_int_equal(devices_login(agent.devices, owner, "owner", wall_s()), 0);
	for (uint8_t i = 0; i < 3; i++) {
		make(i);
		assert_int_equal(knock(), 0);
	}
	for (uint8_t i = 3; i < 6; i++) {
		make(i);
		assert_int_equal(knock(), ERR_TOO_MANY);
	}
	make(9);
	assert_int_equal(knock(), 0);
	make(9);
	assert_int_equal(knock(), ERR_TOO_MANY);
}

/* Strangers whose logins were refused, and who do not take their last words: until those are out
 * they have their places still, but never all of them. */
static void
test_attack_strangers_that_do_not_leave(void **state)
{
	(void)state;
	uint8_t owner[32];
	memset(owner, 9, sizeof owner);
	assert_int_equal(devices_login(agent.devices, owner, "owner", wall_s()), 0);
	for (unsigned i = 0; i < 2 * SESSIONS_MAX; i++) {
		make((uint8_t)(10 + i));
		uint32_t r = knock();
		assert_true(r == 0 || r == ERR_TOO_MANY);
		for (size_t j = 0; j < SESSIONS_MAX; j++)
			if (agent.sessions[j])
				agent.sessions[j]->state = SESSION_ENDING;
	}
	assert_true(dials > 3 && dials < SESSIONS_MAX - ORGFILE_GATES_MAX);
	make(9);
	assert_int_equal(knock(), 0);
}

/* Who is told that the agent stops is waited for, but not for ever, and nobody who has just come.
 */
static void
test_stop_waits_for_last_words(void **state)
{
	(void)state;
	unsigned looks = 0;
	make(1);
	assert_int_equal(knock(), 0);
	agent.sessions[0]->state = SESSION_LOGIN;
	assert_int_equal(monitor_lingers(&agent), 0);
	agent.sessions[0]->state = SESSION_ENDING;
	while (monitor_lingers(&agent))
		assert_true(++looks < 30);
	assert_true(looks > 5);
}

/* A session that works, as far as those who want to go on with it see it, and the ticket for that:
 * in a note as a gate brings it. */
static void
work(uint8_t *rest, struct note *ret_note)
{
	static const char address[] = "203.0.113.9";
	struct start start;
	make(9);
	assert_int_equal(knock(), 0);
	struct session *s = agent.sessions[0];
	s->state = SESSION_WORK;
	s->keys[0].generation = 1;
	agent.working = s;
	agent.options.resume_s = 600;
	agent.keys.tls = ticket_key;
	agent.keys.certificate_len = 1;
	resume_ticket(s, &start);
	assert_true(start.resume_len > 0);
	rest[0] = sizeof address - 1;
	memcpy(rest + 1, address, sizeof address - 1);
	memcpy(rest + sizeof address, start.resume, start.resume_len);
	*ret_note = (struct note){
		.gate = 1, .rest = rest, .rest_len = sizeof address + start.resume_len};
}

static uint32_t
try_to_go_on(struct note *note, uint8_t gate)
{
	note->gate = gate;
	answer = 0;
	agent_resume(&agent, note);
	return answer;
}

/* A gate that has seen the ticket of a session invents attempts to go on with it, as many as it
 * can: whoever comes through another gate, to log in or to go on, does not notice. */
static void
test_attack_gate_that_invents_attempts(void **state)
{
	(void)state;
	uint8_t rest[RESUME_MAX_BYTES + 64];
	struct note note;
	uint32_t last = 0;
	work(rest, &note);
	for (unsigned i = 0; i < 1000; i++) {
		memcpy(note.session_id, &i, sizeof i);
		last = try_to_go_on(&note, 1);
	}
	assert_int_equal(last, ERR_LIMIT);
	make(1);
	assert_int_equal(knock(), 0);
	memset(note.session_id, 7, sizeof note.session_id);
	assert_int_equal(try_to_go_on(&note, 0), 0);
	assert_int_equal(try_to_go_on(&note, 0), ERR_TICKET_BAD); /* each attempt once */
	/* nor in the name of a session that there is */
	memcpy(note.session_id, agent.sessions[0]->ticket.session_id.bytes, SESSION_ID_BYTES);
	assert_int_equal(try_to_go_on(&note, 0), ERR_TICKET_BAD);
	assert_int_equal(agent.sessions[0]->state, SESSION_WORK);
	agent.keys.tls = NULL;
}

static int
setup_zero(void **state)
{
	dials = 0;
	return setup(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup_zero, teardown)
		T(test_good),
		T(test_attack_used_twice),
		T(test_attack_time),
		T(test_attack_other_office_pc),
		T(test_attack_signature),
		T(test_attack_strangers_in_all_places),
		T(test_attack_strangers_that_do_not_leave),
		T(test_stop_waits_for_last_words),
		T(test_attack_gate_that_invents_attempts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
