/* client/session at work: an office PC, honest and otherwise, once the login is through. */
#include "session_world.h"

static struct timer *timer;

static void
whole_session(void **state)
{
	(void)state;
	struct session_numbers n;
	on_first_picture = end_session;
	run();
	assert_string_equal(log_text, "mwspe");
	assert_int_equal(end_code, -ERR_ENDED);
	assert_string_equal(office.outer, "BLN"); /* Hello, Ask, Join */
	assert_string_equal(
		office.inner, "BDDV"); /* Facts, two replies, End; the picture came after the end */
	assert_int_equal(office.facts.kind, engawa_ClientKind_CLIENT_APP);
	const struct image *image = session_image(session);
	for (size_t y = 0; y < image->height; y++)
		for (size_t x = 0; x < image->width; x++)
			assert_memory_equal(
				image_at(image, x, y), image_at(&office.image, x, y), 3);
	session_numbers(session, &n);
	for (int i = 1; i < SESSION_STAGES; i++)
		assert_in_range(n.at_ms[i], n.at_ms[i - 1], 60000);
	assert_int_equal(n.pictures, 1);
	assert_in_range(n.bytes_in, 2000, 100000);
	assert_in_range(n.bytes_out, 3000, 100000);
	assert_string_equal(session_gate(session), "gate-1");
	assert_string_equal(session_support(session), "Room 101");
	session_end(session); /* once more does nothing */
}

static void
pong_to_nothing(struct office *o)
{
	engawa_InnerPong pong = {.id = 7};
	office_send(o, engawa_InnerType_INNER_PONG, engawa_InnerPong_fields, &pong);
}

static void
cursor_of_wrong_size(struct office *o)
{
	static engawa_Cursor cursor = {
		.width_px = 16, .height_px = 16, .bgra.size = 16 * 16 * 4 - 1};
	office_send(o, engawa_InnerType_INNER_CURSOR, engawa_Cursor_fields, &cursor);
}

static void
hot_spot_outside(struct office *o)
{
	static engawa_Cursor cursor = {
		.width_px = 2, .height_px = 2, .hot_x_px = 2, .bgra.size = 16};
	office_send(o, engawa_InnerType_INNER_CURSOR, engawa_Cursor_fields, &cursor);
}

static void
layout_of_nothing(struct office *o)
{
	engawa_Layout layout = {.width_px = 0, .height_px = 5};
	office_send(o, engawa_InnerType_INNER_LAYOUT, engawa_Layout_fields, &layout);
}

static void
frame_of_nonsense(struct office *o)
{
	static engawa_Frame frame = {.seq = 1, .last = true, .data = {8, "nonsense"}};
	office_send(o, engawa_InnerType_INNER_FRAME, engawa_Frame_fields, &frame);
}

static void
frame_out_of_order(struct office *o)
{
	o->seq = 5;
	office_picture(o);
}

static void
login_again(struct office *o)
{
	office_prompt(o, engawa_PromptKind_PROMPT_PASSWORD);
}

static void
wrong_in_the_work(void **state)
{
	(void)state;
	static void (*const cases[])(struct office *) = {pong_to_nothing, cursor_of_wrong_size,
		hot_spot_outside, layout_of_nothing, frame_of_nonsense, frame_out_of_order,
		login_again};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		if (i) {
			tear_down(NULL);
			set_up(NULL);
		}
		office.on_started = cases[i];
		run();
		if (end_code != -ERR_PROTOCOL)
			fail_msg("case %zu: %s", i, err_name(end_code));
		assert_string_equal(log_text, "mwse");
	}
}

static void
replayed_record(struct office *o)
{
	struct noise_cipher again = o->to_client;
	engawa_Cursor *cursor = mem_new(sizeof *cursor);
	office_send(
		o, engawa_InnerType_INNER_CURSOR, engawa_Cursor_fields, cursor); /* hidden: fine */
	o->to_client.nonce = again.nonce;
	office_send(o, engawa_InnerType_INNER_CURSOR, engawa_Cursor_fields, cursor);
	free(cursor);
}

static void
record_replayed_by_the_relay(void **state)
{
	(void)state;
	office.on_started = replayed_record;
	run();
	assert_int_equal(end_code, -ERR_CRYPTO);
	assert_string_equal(log_text, "mwsce");
}

static void
other_layout(struct office *o)
{
	engawa_Layout layout = {.width_px = 32, .height_px = 40};
	office_picture(o);
	image_fini(&o->image);
	pki_must(image_init(&o->image, 32, 40) == 0);
	memset(o->image.bytes, 0x5a, o->image.stride * o->image.height);
	office_send(o, engawa_InnerType_INNER_LAYOUT, engawa_Layout_fields, &layout);
	office_picture(o);
	engawa_End end = {.code = ERR_IDLE};
	office_send(o, engawa_InnerType_INNER_END, engawa_End_fields, &end);
}

static void
layout_changes_and_the_agent_ends(void **state)
{
	(void)state;
	office.on_started = other_layout;
	run();
	assert_string_equal(log_text, "mwsplpe");
	assert_int_equal(end_code, -ERR_IDLE);
	assert_int_equal(session_image(session)->height, 40);
	assert_int_equal(image_at(session_image(session), 31, 39)[0], 0x5a);
	assert_string_equal(office.inner, "BDDaa"); /* two Acks */
}

static void
finish_soon(void *user)
{
	(void)user;
	session_end(session);
}

static void
input(void)
{
	char long_text[301] = "";
	for (int i = 0; i < 100; i++)
		strcat(long_text, "縁");
	for (uint32_t x = 0; x < 1000; x++)
		assert_int_equal(session_pointer(session, x, 5, 0), 0);
	assert_int_equal(session_pointer(session, 999, 5, 1), 0);
	assert_int_equal(session_pointer(session, 999, 5, 0), 0);
	assert_int_equal(session_key(session, 4, 'a', 1), 0);
	assert_int_equal(session_key(session, 4, 'a', 0), 0);
	assert_int_equal(session_text(session, "縁側"), 0);
	assert_int_equal(session_text(session, "line\nbreak"), -EINVAL);
	assert_int_equal(session_text(session, "\xff"), -EINVAL);
	assert_int_equal(session_text(session, long_text), 0);
	assert_string_equal(office.typed, "");
	timer_start(timer, 100, 0);
}

static void
input_keeps_its_order(void **state)
{
	(void)state;
	char expected[512] = "(999,5:0)(999,5:1)(999,5:0)+61-61縁側";
	for (int i = 0; i < 100; i++)
		strcat(expected, "縁");
	on_first_picture = input;
	timer = timer_new(loop, finish_soon, NULL);
	run();
	timer_free(timer);
	assert_string_equal(office.typed, expected);
	assert_int_equal(end_code, -ERR_ENDED);
}

static void
too_much_input(void)
{
	int r = 0, n = 0;
	for (; n < 1000 && r == 0; n++)
		r = session_key(session, 4, 'a', n % 2);
	assert_int_equal(r, -ENOBUFS);
	assert_int_equal(session_text(session, "x"), -ENOBUFS);
	session_end(session);
	assert_int_equal(session_key(session, 4, 'a', 0), -ERR_CLOSED);
}

static void
input_is_bounded(void **state)
{
	(void)state;
	on_first_picture = too_much_input;
	run();
	assert_int_equal(end_code, -ERR_ENDED);
}

static void
silent_path_is_dead_after_three_seconds(void **state)
{
	(void)state;
	struct mono start = mono_now();
	office.silent = 1;
	run();
	assert_int_equal(end_code, -ERR_CLOSED);
	assert_in_range(mono_diff_ms(start, mono_now()), 3000, 6000);
}

static void
stop_loop(void *user)
{
	session_end(session);
	(void)user;
}

static void
pings_keep_a_quiet_session_alive(void **state)
{
	(void)state;
	struct session_numbers n;
	timer = timer_new(loop, stop_loop, NULL);
	timer_start(timer, 4500, 0);
	run();
	timer_free(timer);
	assert_int_equal(end_code, -ERR_ENDED);
	session_numbers(session, &n);
	assert_in_range(n.round_trip_ms, 0, 900);
}

static void
vanish(struct office *o)
{
	office_picture(o);
	shutdown(SSL_get_fd(conn_tls(o->conn)), SHUT_RDWR);
}

static void
gate_vanishes(void **state)
{
	(void)state;
	office.on_started = vanish;
	run();
	assert_int_equal(end_code, -ERR_CLOSED);
}

/* In each event, and while the pool still checks the statement. */
static void
free_in_any_event(void **state)
{
	(void)state;
	for (const char *p = "mwspe"; *p; p++) {
		if (*p != 'm') {
			tear_down(NULL);
			set_up(NULL);
		}
		free_at = *p;
		on_first_picture = end_session;
		run();
		assert_null(session);
		assert_int_equal(ended, *p == 'e');
	}
}

static void
free_session(void *user)
{
	(void)user;
	session_free(session);
	session = NULL;
	loop_stop(loop);
}

static void
free_at_any_time(void **state)
{
	(void)state;
	for (unsigned ms = 0; ms < 200; ms += 9) {
		if (ms) {
			tear_down(NULL);
			set_up(NULL);
		}
		timer = timer_new(loop, free_session, NULL);
		timer_start(timer, ms, 0);
		run();
		timer_free(timer);
		assert_false(ended);
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(whole_session),
		TEST(wrong_in_the_work),
		TEST(record_replayed_by_the_relay),
		TEST(layout_changes_and_the_agent_ends),
		TEST(input_keeps_its_order),
		TEST(input_is_bounded),
		TEST(silent_path_is_dead_after_three_seconds),
		TEST(pings_keep_a_quiet_session_alive),
		TEST(gate_vanishes),
		TEST(free_in_any_event),
		TEST(free_at_any_time),
	};
	return cmocka_run_group_tests_name("session", tests, group_set_up, group_tear_down);
}
