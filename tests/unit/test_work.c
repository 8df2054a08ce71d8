/* agent/work: who is idle, and what no person can do; with a clock that this test moves. */
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

#include <pb_encode.h>
#include <sys/socket.h>

#include "agent/work.h"
#include "base/err.h"
#include "base/log.h"
#include "inner.pb.h"
#include "net/frame.h"

static struct work work;
static struct noise_cipher peer; /* what the client would open */
static uint8_t key[32] = {7};
static int pair[2];
static uint32_t ended, reports;
static size_t report_len;
static uint64_t ms;

static void
on_tell(uint16_t type, const void *payload, size_t len)
{
	if (type == MSG_ENDED)
		assert_int_equal(code_get(payload, len, &ended), 0);
	if (type == MSG_POSTURE) {
		reports++;
		report_len = len;
	}
}

static int
on_record(void *user, uint8_t type, const uint8_t *payload, size_t len)
{
	(void)user, (void)type, (void)payload, (void)len;
	return 0;
}

static void
on_closed(void *user, int code)
{
	(void)user, (void)code;
}

static int
setup(void **state)
{
	(void)state;
	log_open("test", LOG_ERROR, -1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ms = 1000000;
	ended = reports = 0;
	memset(&work, 0, sizeof work);
	work = (struct work){.loop = loop_new(),
		.tell = on_tell,
		.state = WORK_RUNNING,
		.idle_s = 300,
		.layout = {.width_px = 800, .height_px = 600},
		.now = {ms * 1000000}};
	work.inner = (struct inner){.on_record = on_record, .on_closed = on_closed, .user = &work};
	assert_int_equal(inner_open(&work.inner, work.loop, pair[0], RECORD_AGENT_256, key, key), 0);
	assert_int_equal(noise_cipher_init(&peer, key), 0);
	buf_init(&work.to_desktop, 64 * 1024);
	work.last_byte = work.last_input = work.now;
	work.tick = timer_new(work.loop, NULL, NULL);
	rates_init(&work.rates, work.now);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	timer_free(work.tick);
	if (work.inner.watch) {
		watch_free(work.inner.watch);
		noise_cipher_fini(&work.inner.in);
		noise_cipher_fini(&work.inner.out);
		close(pair[0]);
	}
	buf_fini(&work.inner.in_bytes);
	buf_fini(&work.inner.out_bytes);
	buf_fini(&work.to_desktop);
	noise_cipher_fini(&peer);
	close(pair[1]);
	loop_free(work.loop);
	return 0;
}

/* The next notice that waits for the client: 1 and its code and seconds, or 0. */
static int
told(engawa_Notice *ret)
{
	static uint8_t plain[RECORD_PLAIN_MAX_BYTES];
	const uint8_t *payload;
	uint8_t type;
	size_t len;
	int used;
	while ((used = record_open(&peer, buf_data(&work.inner.out_bytes),
			buf_len(&work.inner.out_bytes), plain, &type, &payload, &len)) > 0) {
		buf_drop(&work.inner.out_bytes, (size_t)used);
		if (type == engawa_InnerType_INNER_NOTICE) {
			assert_int_equal(frame_decode(engawa_Notice_fields, ret, payload, len), 0);
			return 1;
		}
	}
	return 0;
}

static int
say(uint8_t type, const pb_msgdesc_t *fields, const void *msg)
{
	uint8_t out[4096];
	pb_ostream_t stream = pb_ostream_from_buffer(out, sizeof out);
	assert_true(pb_encode(&stream, fields, msg));
	work.now = work.last_byte = (struct mono){ms * 1000000};
	buf_drop(&work.to_desktop, buf_len(&work.to_desktop)); /* the desktop takes everything */
	return work_input(&work, type, out, stream.bytes_written);
}

static int
key_event(int down)
{
	engawa_Key m = {.usage = 4, .keysym = 'a', .down = down};
	return say(engawa_InnerType_INNER_KEY, engawa_Key_fields, &m);
}

static int
pointer(uint32_t x)
{
	engawa_Pointer m = {.x_px = x, .y_px = 1};
	return say(engawa_InnerType_INNER_POINTER, engawa_Pointer_fields, &m);
}

static int
life(void)
{
	static uint64_t id;
	engawa_InnerPing ping = {.id = ++id};
	engawa_Ack ack = {.seq = 1};
	engawa_WantLayout layout = {
		.monitors_count = 1, .monitors = {{.width_px = 800, .height_px = 600}}};
	int r = say(engawa_InnerType_INNER_PING, engawa_InnerPing_fields, &ping);
	if (r == 0)
		r = say(engawa_InnerType_INNER_ACK, engawa_Ack_fields, &ack);
	if (r == 0 && id % 4 == 0)
		r = say(engawa_InnerType_INNER_WANT_LAYOUT, engawa_WantLayout_fields, &layout);
	return r;
}

static int
go_on(void)
{
	engawa_Continue m = {0};
	return say(engawa_InnerType_INNER_CONTINUE, engawa_Continue_fields, &m);
}

/* Half seconds go by, the client's program lives. */
static void
pass(unsigned seconds)
{
	for (unsigned i = 0; i < 2 * seconds && !ended; i++) {
		ms += 500;
		if (i % 2)
			assert_int_equal(life(), 0);
		work.now = (struct mono){ms * 1000000};
		work_tick(&work);
	}
}

static void
test_idle(void **state)
{
	(void)state;
	engawa_Notice n;
	pass(239);
	assert_int_equal(told(&n), 0);
	pass(1);
	assert_int_equal(told(&n), 1);
	assert_int_equal(n.code, ERR_IDLE);
	assert_int_equal(n.seconds, 60);
	pass(59);
	assert_int_equal(told(&n), 0); /* once */
	assert_int_equal(ended, 0);
	pass(1);
	assert_int_equal(ended, ERR_IDLE);
}

static void
test_extended(void **state)
{
	(void)state;
	engawa_Notice n;
	for (int how = 0; how < 3; how++) {
		pass(250);
		assert_int_equal(told(&n), 1);
		assert_int_equal(n.seconds, 60);
		assert_int_equal(how == 0 ? go_on() : how == 1 ? key_event(1) : pointer(9), 0);
		assert_int_equal(told(&n), 1); /* the warning is over */
		assert_int_equal(n.code, ERR_IDLE);
		assert_int_equal(n.seconds, 0);
	}
	pass(239);
	assert_int_equal(told(&n), 0);
	pass(61);
	assert_int_equal(ended, ERR_IDLE);
}

/* Pings, acknowledgements and layouts for ever, and a pointer that is never moved: nobody is there.
 */
static void
test_attack_kept_alive(void **state)
{
	(void)state;
	for (int i = 0; i < 400 && !ended; i++) {
		assert_int_equal(pointer(0), 0);
		pass(1);
	}
	assert_int_equal(ended, ERR_IDLE);
	assert_true(ms <= 1000000 + 301 * 1000);
}

/* Continue before anybody was warned counts for nothing; a flood of it ends the session. */
static void
test_attack_continue(void **state)
{
	(void)state;
	for (int i = 0; i < 60; i++) {
		pass(5);
		if (ms < 1000000 + 240 * 1000)
			assert_int_equal(go_on(), 0);
	}
	assert_int_equal(ended, ERR_IDLE);
	teardown(NULL);
	setup(NULL);
	int r = 0;
	for (int i = 0; i < 100 && r == 0; i++)
		r = go_on();
	assert_int_equal(r, -ERR_INPUT_BURST);
}

static void
test_path_dead(void **state)
{
	(void)state;
	work.now = (struct mono){(ms + 2999) * 1000000};
	work_tick(&work);
	assert_int_equal(ended, 0);
	work.now = (struct mono){(ms + 3000) * 1000000};
	work_tick(&work);
	assert_int_equal(ended, ERR_TIMEOUT);
}

/* The silence of a process that was not run is not the client's: what waits is read first. */
static void
test_path_is_not_dead_for_being_late(void **state)
{
	(void)state;
	pass(2);
	work.now = (struct mono){(ms + 5000) * 1000000};
	work_tick(&work);
	assert_int_equal(ended, 0);
	work.now = (struct mono){(ms + 9000) * 1000000}; /* not again and again */
	work_tick(&work);
	assert_int_equal(ended, ERR_TIMEOUT);
}

/* 2,000 keys in a second, as a program types them: the session ends long before. */
static void
test_attack_two_thousand_keys(void **state)
{
	(void)state;
	int taken = 0, r = 0;
	for (int i = 0; i < 4000 && r == 0; i++) {
		if (i % 4 == 0)
			ms++;
		r = key_event(i % 2 == 0);
		taken += r == 0;
	}
	assert_int_equal(r, -ERR_INPUT_BURST);
	assert_in_range(taken, 200, 300);
}

/* The same as text, as pointer, as reports: each kind has its own limit. */
static void
test_attack_other_floods(void **state)
{
	(void)state;
	engawa_Text text = {.text = "あいうえおかきくけこさしすせそ"};
	engawa_Posture posture = {.version = 1};
	int r = 0, n = 0;
	for (; r == 0 && n < 1000; n++)
		r = say(engawa_InnerType_INNER_TEXT, engawa_Text_fields, &text);
	assert_int_equal(r, -ERR_INPUT_BURST);
	assert_in_range(n, 60, 70); /* a thousand characters */
	for (r = n = 0; r == 0 && n < 10000; n++)
		r = pointer((uint32_t)n % 800);
	assert_int_equal(r, -ERR_INPUT_BURST);
	for (r = n = 0; r == 0 && n < 10000; n++)
		r = life();
	assert_int_equal(r, -ERR_INPUT_BURST);
	for (r = n = 0; r == 0 && n < 100; n++)
		r = say(engawa_InnerType_INNER_POSTURE, engawa_Posture_fields, &posture);
	assert_int_equal(r, -ERR_INPUT_BURST);
	assert_int_equal(reports, 6);
}

/* The fastest typist, a scanner of bar codes, a wheel that spins, a mouse that never rests. */
static void
test_people(void **state)
{
	(void)state;
	for (int i = 0; i < 20 * 60; i++) { /* 20 presses a second for a minute */
		ms += 50;
		assert_int_equal(key_event(1), 0);
		assert_int_equal(key_event(0), 0);
		assert_int_equal(pointer((uint32_t)i % 800), 0);
		ms += (uint64_t)i % 2;
		assert_int_equal(pointer((uint32_t)(i + 1) % 800), 0);
	}
	for (int i = 0; i < 48; i++) { /* at once */
		assert_int_equal(key_event(1), 0);
		assert_int_equal(key_event(0), 0);
	}
	for (int i = 0; i < 500; i++) {
		ms += 5;
		assert_int_equal(pointer((uint32_t)i % 2), 0);
	}
	for (int i = 0; i < 100; i++) { /* whole sentences from an input method */
		engawa_Text text = {.text = "本日はお忙しいところ"};
		ms += 3000;
		assert_int_equal(say(engawa_InnerType_INNER_TEXT, engawa_Text_fields, &text), 0);
	}
	assert_int_equal(ended, 0);
}

/* Reports go to the monitor checked, or as nothing at all. */
static void
test_report(void **state)
{
	(void)state;
	engawa_Posture m = {.version = 1,
		.channel = {.size = 16},
		.system = engawa_PostureSystem_SYSTEM_LINUX,
		.os = "debian"};
	struct report report;
	uint8_t out[MESSAGE_MAX_BYTES];
	assert_int_equal(report_take(&m, &report), 0);
	size_t len = report_put(&report, out);
	assert_int_equal(say(engawa_InnerType_INNER_POSTURE, engawa_Posture_fields, &m), 0);
	assert_int_equal(report_len, len);
	m.version = 9;
	assert_int_equal(say(engawa_InnerType_INNER_POSTURE, engawa_Posture_fields, &m), 0);
	assert_int_equal(report_len, 0);
	assert_int_equal(
		work_input(&work, engawa_InnerType_INNER_POSTURE, (uint8_t *)"\xff\xff", 2), 0);
	assert_int_equal(reports, 3);
	assert_int_equal(report_len, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_idle),
		T(test_extended),
		T(test_attack_kept_alive),
		T(test_attack_continue),
		T(test_path_dead),
		T(test_path_is_not_dead_for_being_late),
		T(test_attack_two_thousand_keys),
		T(test_attack_other_floods),
		T(test_people),
		T(test_report),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
