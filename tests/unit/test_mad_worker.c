/* What a worker that was taken over can do to the others through the parent (gate/switchboard) and
 * through the numbers that all of them share (gate/limit, fair, fault). */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/ipc.h"
#include "gate/limit.h"
#include "gate/metrics.h"
#include "gate/settings.h"
#include "gate/share.h"
#include "gate/switchboard.h"

enum {
	SEATS = 3,
	MAD = 2, /* the seat of the one that was taken over */
	PLACES = 10,
};

static struct switchboard board;
static struct process workers[SEATS];
static int ends[SEATS];

static int
setup(void **state)
{
	(void)state;
	log_open("test", LOG_ERROR, open("/dev/null", O_WRONLY | O_CLOEXEC));
	switchboard_init(&board, SEATS, PLACES);
	for (size_t i = 0; i < SEATS; i++) {
		int pair[2];
		assert_int_equal(ipc_pair(pair), 0);
		workers[i] = (struct process){.channel = pair[0]};
		ends[i] = pair[1];
		assert_int_equal(fcntl(ends[i], F_SETFL, O_NONBLOCK), 0);
		switchboard_sit(&board, i, &workers[i]);
	}
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	switchboard_fini(&board);
	for (size_t i = 0; i < SEATS; i++) {
		close(workers[i].channel);
		close(ends[i]);
	}
	return 0;
}

static void
says(size_t seat, enum tell type, const void *message, size_t len)
{
	uint8_t payload[64];
	memcpy(payload, message, len);
	assert_int_equal(switchboard_hear(&board, seat, type, payload, len, -1), 1);
}

static void
put(size_t seat, enum tell_kind kind, uint8_t id, uint32_t serial)
{
	struct tell_place place = {.id = {id}, .kind = kind, .serial = serial};
	says(seat, TELL_PUT, &place, sizeof place);
}

/* What this worker is told next, TELL_NONE when nothing. */
static enum tell
hears(size_t seat)
{
	uint8_t payload[64];
	uint16_t type;
	int fd = -1, n = ipc_recv(ends[seat], &type, payload, sizeof payload, &fd);
	if (fd >= 0)
		close(fd);
	return n < 0 ? TELL_NONE : (enum tell)type;
}

static void
silent(void)
{
	for (size_t i = 0; i < SEATS; i++)
		assert_int_equal(hears(i), TELL_NONE);
}

/* An agent that has moved on to another worker while its client still waits at the first one. */
static void
test_refusal_finds_the_session(void **state)
{
	(void)state;
	const struct tell_refuse refuse = {{7}, {1}, ERR_DENIED};
	put(0, TELL_SESSION, 7, 1);
	put(1, TELL_AGENT, 1, 1);
	says(1, TELL_REFUSE, &refuse, sizeof refuse);
	assert_int_equal(hears(0), TELL_REFUSE);
	silent();
}

/* Tried: a worker that was taken over ends another one's session by its name: as a refusal in the
 * name of its agent, with the message for the end of a session, by giving its place back. What
 * comes of it: nothing; the session's worker hears of none of it. */
static void
test_attack_end_of_somebody_elses_session(void **state)
{
	(void)state;
	const struct tell_refuse refuse = {{7}, {1}, ERR_DENIED}, other = {{7}, {2}, ERR_DENIED};
	const struct tell_end end = {{7}, ERR_ENDED_BY_ADMIN};
	const struct tell_place place = {.id = {7}, .kind = TELL_SESSION, .serial = 1};
	uint8_t payload[64];
	put(0, TELL_SESSION, 7, 1);
	put(1, TELL_AGENT, 1, 1);
	says(MAD, TELL_REFUSE, &refuse, sizeof refuse);
	says(MAD, TELL_REFUSE, &other, sizeof other);
	memcpy(payload, &end, sizeof end);
	assert_int_equal(switchboard_hear(&board, MAD, TELL_END, payload, sizeof end, -1), 0);
	says(MAD, TELL_DROP, &place, sizeof place);
	silent();
	/* claimed, it stays with whom it is, and the other one hears so */
	put(MAD, TELL_SESSION, 7, 1);
	assert_int_equal(hears(MAD), TELL_TAKEN);
	silent();
	assert_int_equal(directory_find(&board.directory, TELL_SESSION, place.id)->seat, 0);
}

/* Tried: a worker says that everybody waits with it, until the parent's directory is full. What
 * comes of it: it fills its own part, and the others' agents are found as before. */
static void
test_attack_directory_is_filled(void **state)
{
	(void)state;
	for (uint8_t i = 0; i < 5 * PLACES; i++)
		put(MAD, TELL_AGENT, i, 1);
	assert_int_equal(board.directory.count, PLACES);
	for (uint8_t i = 0; i < PLACES; i++)
		put(0, TELL_AGENT, (uint8_t)(100 + i), 1);
	assert_int_equal(board.directory.count, 2 * PLACES);
	silent();
	/* full, it takes nobody's place either; who was claimed wrongly comes back by itself */
	put(MAD, TELL_AGENT, 100, 1);
	silent();
	put(1, TELL_AGENT, 3, 1);
	assert_int_equal(hears(MAD), TELL_TAKEN);
	put(MAD, TELL_AGENT, 100, 1);
	assert_int_equal(hears(0), TELL_TAKEN);
	silent();
	/* a dead one leaves nothing */
	switchboard_gone(&board, MAD);
	assert_int_equal(board.directory.count, PLACES);
	assert_int_equal(board.directory.each[MAD], 0);
}

static void
hand(size_t seat, uint8_t agent, uint32_t number)
{
	struct tell_hand message = {.id = {agent}, .kind = TELL_AGENT, .number = number};
	uint8_t payload[sizeof message];
	memcpy(payload, &message, sizeof message);
	assert_int_equal(
		switchboard_hear(&board, seat, TELL_HAND, payload, sizeof payload, ends[0]), 1);
}

static void
answer(size_t seat, enum tell type, uint32_t number, size_t to)
{
	const struct tell_step message = {number, board.seats[to].number};
	says(seat, type, &message, sizeof message);
}

/* A connection from one worker to another: each step is passed on, once. */
static void
test_hand_over(void **state)
{
	(void)state;
	put(1, TELL_AGENT, 1, 1);
	hand(0, 1, 9);
	assert_int_equal(hears(1), TELL_HAND);
	assert_int_equal(hears(0), TELL_HANDED);
	answer(1, TELL_ACK, 9, 0);
	assert_int_equal(hears(0), TELL_ACK);
	answer(0, TELL_COMMIT, 9, 1);
	assert_int_equal(hears(1), TELL_COMMIT);
	answer(1, TELL_ACK, 9, 0);
	answer(1, TELL_BACK, 9, 0);
	answer(0, TELL_COMMIT, 9, 1);
	silent();
	/* of a worker that died meanwhile nothing is passed on any more */
	hand(0, 1, 10);
	assert_int_equal(hears(1), TELL_HAND);
	assert_int_equal(hears(0), TELL_HANDED);
	switchboard_gone(&board, 1);
	assert_int_equal(hears(0), TELL_GONE);
	assert_int_equal(hears(2), TELL_GONE);
	answer(1, TELL_ACK, 10, 0);
	silent();
	hand(0, 1, 11);
	assert_int_equal(hears(0), TELL_BACK);
}

/* Tried: a worker answers hand-overs between two others, or floods another one with answers and
 * with connections. What comes of it: answers are passed on as often as there is something to
 * answer, and so many connections are on their way from it at a time. */
static void
test_attack_answers_and_floods(void **state)
{
	(void)state;
	put(1, TELL_AGENT, 1, 1);
	hand(0, 1, 1);
	assert_int_equal(hears(1), TELL_HAND);
	assert_int_equal(hears(0), TELL_HANDED);
	for (uint32_t number = 0; number < 1000; number++) {
		for (size_t to = 0; to < MAD; to++) {
			answer(MAD, TELL_ACK, number, to);
			answer(MAD, TELL_BACK, number, to);
			answer(MAD, TELL_COMMIT, number, to);
		}
	}
	silent();
	answer(1, TELL_ACK, 1, 0);
	assert_int_equal(hears(0), TELL_ACK);
	size_t given = 0;
	for (uint32_t number = 0; number < 2 * SWITCHBOARD_HANDS_MAX; number++) {
		hand(MAD, 1, number);
		given += hears(1) == TELL_HAND;
		hears(MAD);
	}
	assert_int_equal(given, SWITCHBOARD_HANDS_MAX);
	silent();
	hand(0, 1, 2); /* the others' have their own room */
	assert_int_equal(hears(1), TELL_HAND);
}

static void
scribble(void *to, size_t len, int pattern)
{
	uint8_t *bytes = to;
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(pattern < 0 ? rand() : pattern);
}

/* All that a worker reads of the others' numbers. */
static void
use(struct limits *l, struct fair *fair, uint64_t now)
{
	struct address address = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1}};
	char name[FAIR_NAME_SIZE];
	enum fair_limit why;
	fair_tick(fair, now);
	for (size_t row = 0; row < FAIR_ORGANISATIONS; row += 31) {
		struct fair_organisation *o = &fair->table->organisations[row];
		fair_allowance(fair, row, 16384, now, &why);
		fair_charge(fair, row, 16384, 1, now);
		fair_handshake(o, 5, 10, now);
		assert_true(fair_prefecture(o) < FAIR_PREFECTURES && fair_weight(o) > 0);
		fair_name(o, name);
		assert_true(strlen(name) < sizeof name);
	}
	assert_true(fair_row(fair->table, "somebody") < FAIR_ORGANISATIONS);
	if (limit_open(l, &address) == 0) {
		limit_opened(l, &address);
		limit_closed(l, &address);
	}
	limit_has_known(l, &address);
	limit_is_crowded(l, &address, 100);
	limit_state(l, LIMIT_MEMORY, 1);
	tally_code(l->mine->tally.closes, -ERR_CLOSED);
	uint8_t key[FAULT_KEY_BYTES] = {1};
	fault_note(&l->faults, FAULT_SOURCE, key, now / 1000000);
	assert_true(fault_over(&l->faults, FAULT_SOURCE, key, now / 1000000) < (UINT64_C(1) << 40));
}

static void
free_again(struct limits *l, struct fair *fair, uint64_t now)
{
	uint8_t key[FAULT_KEY_BYTES] = {1};
	enum fair_limit why;
	fair_tick(fair, now);
	for (size_t row = 0; row < FAIR_ORGANISATIONS; row++) {
		assert_true(fair_allowance(fair, row, 16384, now, &why) > 0);
		assert_true(fair_handshake(&fair->table->organisations[row], 5, 10, now));
	}
	assert_int_equal(fault_over(&l->faults, FAULT_SOURCE, key, now / 1000000), 0);
}

/* What the parent makes of them: metrics, and the message to another version of the program. */
static void
tell(const struct limit_segment *s, const struct settings *settings, uint64_t now)
{
	static uint8_t message[32768];
	static struct fair_table to;
	char *text = NULL;
	size_t size, next = 0, len;
	FILE *out = open_memstream(&text, &size);
	assert_non_null(out);
	metrics_write(out, s, SEATS, settings);
	assert_int_equal(fclose(out), 0);
	assert_non_null(strstr(text, "# EOF\n"));
	free(text);
	memset(&to, 0, sizeof to);
	while ((len = fair_pack(&s->fair, &next, message, sizeof message)) > 0)
		assert_int_equal(fair_unpack(&to, message, len, now), 0);
}

/* Tried: a worker writes what it likes into the numbers that all share: rows of organisations,
 * prefectures out of range, names without an end, counters of the others. What comes of it:
 * refusals and wrong numbers, never a read or write beside the table, a division by zero or a stop.
 */
static void
test_attack_shared_numbers(void **state)
{
	(void)state;
	static const int patterns[] = {0xff, 0x80, 0x01, 0x00, -1, -1, -1};
	const struct settings settings = {.connections_max = 100,
		.half_open_max = 100,
		.source_max = 100,
		.source_half_open_max = 100,
		.source_faults_per_minute = 10};
	struct limit_segment *segment;
	struct limits *l = calloc(1, sizeof *l);
	int fd = limit_segment_new(SEATS, &segment);
	assert_true(fd >= 0 && l);
	srand(5);
	uint64_t now = 1000 * UINT64_C(1000000000);
	for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
		limits_init(l, &settings);
		assert_int_equal(limits_share(l, fd, 0, SEATS), 0);
		struct fair fair = {.table = l->fair, .rates = {1000000, 3000000, 100000000}};
		scribble(segment, sizeof *segment + SEATS * sizeof segment->rows[0], patterns[i]);
		for (size_t row = 0; patterns[i] < 0 && row < FAIR_ORGANISATIONS; row++) {
			segment->fair.organisations[row].state = 2;
			segment->fair.organisations[row].active_ns = now;
		}
		use(l, &fair, now);
		tell(segment, &settings, now);
		limit_segment_clear(segment, MAD);
		tell(segment, &settings, now);
		/* a minute after its death everybody has what is theirs */
		now += (FAIR_DEBT_MAX_S + 2) * UINT64_C(1000000000);
		free_again(l, &fair, now);
	}
	close(fd);
	free(l);
}

/* Tried: a name in the common segment that the controller takes for a broken frame, so that it cuts
 * the link of the worker that tells it every second. What comes of it: that row is not told. */
static void
test_attack_names_for_the_controller(void **state)
{
	static const char *const mad[] = {"", "\xff", "a\xe3\x81", "a\n", "\xc0\x80"};
	struct fair_organisation o = {0};
	char name[FAIR_NAME_SIZE];
	(void)state;
	for (size_t i = 0; i < sizeof mad / sizeof mad[0]; i++) {
		memset(o.name, 0, sizeof o.name);
		memcpy(o.name, mad[i], strlen(mad[i]));
		assert_false(share_name(&o, name));
	}
	memset(o.name, 'x', sizeof o.name); /* without an end */
	assert_true(share_name(&o, name));
	assert_int_equal(strlen(name), FAIR_NAME_SIZE - 1);
	memcpy(o.name, "緑町", sizeof "緑町");
	assert_true(share_name(&o, name));
	assert_string_equal(name, "緑町");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_refusal_finds_the_session, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_attack_end_of_somebody_elses_session, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attack_directory_is_filled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hand_over, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attack_answers_and_floods, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attack_shared_numbers, setup, teardown),
		cmocka_unit_test(test_attack_names_for_the_controller),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
