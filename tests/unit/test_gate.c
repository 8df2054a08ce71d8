/* The gate's pure parts: wheel, pool, limits, order of frames, settings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "gate/limit.h"
#include "gate/order.h"
#include "gate/pool.h"
#include "gate/settings.h"
#include "gate/wheel.h"
#include "link.pb.h"
#include "net/frame.h"

enum {
	NODES = 2000
};

static void
test_wheel_is_never_late_or_early(void **state)
{
	(void)state;
	static struct wheel wheel;
	static struct wheel_node nodes[NODES];
	static wheel_tick due[NODES];
	const wheel_tick start = UINT32_MAX - 1000; /* it wraps on the way */
	memset(nodes, 0, sizeof nodes);
	wheel_init(&wheel, start);
	srand(1);
	for (size_t i = 0; i < NODES; i++) {
		due[i] = start + (wheel_tick)(rand() % (4 * WHEEL_SLOTS));
		wheel_set(&wheel, &nodes[i], due[i]);
	}
	size_t left = NODES;
	for (wheel_tick now = start; now != start + 5 * WHEEL_SLOTS; now++) {
		struct wheel_node *node;
		while ((node = wheel_pop(&wheel, now))) {
			assert_int_equal(due[node - nodes], now);
			assert_null(node->next);
			left--;
		}
		/* some change their mind */
		size_t i = (size_t)rand() % NODES;
		if (nodes[i].next && rand() % 2) {
			due[i] = now + 1 + (wheel_tick)(rand() % WHEEL_SLOTS);
			wheel_set(&wheel, &nodes[i], due[i]);
		} else if (nodes[i].next) {
			wheel_clear(&nodes[i]);
			left--;
		}
	}
	assert_int_equal(left, 0);
}

static void
test_wheel_after_a_long_sleep(void **state)
{
	(void)state;
	static struct wheel wheel;
	struct wheel_node a = {0}, b = {0}, c = {0};
	wheel_init(&wheel, 10);
	wheel_set(&wheel, &a, 20);
	wheel_set(&wheel, &b, 5); /* past already */
	wheel_set(&wheel, &c, 100000);
	assert_ptr_equal(wheel_pop(&wheel, 10), &b);
	assert_null(wheel_pop(&wheel, 10));
	assert_ptr_equal(wheel_pop(&wheel, 5000), &a);
	/* set anew between the calls */
	wheel_set(&wheel, &a, 5001);
	assert_null(wheel_pop(&wheel, 5000));
	assert_ptr_equal(wheel_pop(&wheel, 5001), &a);
	assert_null(wheel_pop(&wheel, 99999));
	assert_ptr_equal(wheel_pop(&wheel, 100000), &c);
}

static void
test_queue_keeps_bytes(void **state)
{
	(void)state;
	static uint8_t data[300000];
	struct pool pool;
	struct queue queue = {0};
	size_t in = 0, out = 0, len, room;
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 31 + i / 251);
	pool_init(&pool, 1 << 20);
	srand(2);
	while (out < sizeof data) {
		size_t n = (size_t)rand() % 5000;
		if (n > sizeof data - in)
			n = sizeof data - in;
		if (rand() % 2) {
			assert_int_equal(queue_add(&pool, &queue, data + in, n), 0);
			in += n;
		} else {
			uint8_t *to = queue_reserve(&pool, &queue, 4096, &room);
			assert_non_null(to);
			assert_true(room >= 4096);
			n = n < room ? n : room;
			memcpy(to, data + in, n);
			queue_commit(&pool, &queue, n);
			in += n;
		}
		assert_int_equal(queue.len, in - out);
		const uint8_t *front = queue_front(&queue, &len);
		n = len ? (size_t)rand() % (len + 1) : 0;
		assert_memory_equal(front ? front : data, data + (front ? out : 0), n);
		if (front)
			queue_drop(&pool, &queue, n);
		out += n;
	}
	assert_int_equal(queue.len, 0);
	queue_clear(&pool, &queue);
	assert_int_equal(pool.used, 0);
	pool_fini(&pool);
}

static void
test_empty_reservation_leaves_nothing(void **state)
{
	(void)state;
	struct pool pool;
	struct queue queue = {0};
	size_t room, len;
	pool_init(&pool, 1 << 20);
	assert_non_null(queue_reserve(&pool, &queue, 1, &room));
	queue_commit(&pool, &queue, 0);
	assert_null(queue.head);
	assert_null(queue.tail);
	assert_int_equal(queue_add(&pool, &queue, "abc", 3), 0);
	assert_non_null(queue_reserve(&pool, &queue, CHUNK_BYTES, &room));
	queue_commit(&pool, &queue, 0);
	assert_memory_equal(queue_front(&queue, &len), "abc", 3);
	assert_int_equal(len, 3);
	assert_ptr_equal(queue.head, queue.tail);
	queue_clear(&pool, &queue);
	assert_int_equal(pool.used, 0);
	pool_fini(&pool);
}

static void
test_pool_shares_what_is_left(void **state)
{
	(void)state;
	struct pool pool;
	pool_init(&pool, 8 << 20);
	assert_int_equal(pool_high(&pool, 262144), 262144);
	pool.used = 7 << 20;
	assert_int_equal(pool_high(&pool, 262144), 131072);
	pool.used = 9 << 20;
	assert_int_equal(pool_high(&pool, 262144), POOL_LEAST_BYTES);
}

static struct address
v4(uint32_t n)
{
	struct address a = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, (uint8_t)(n >> 16),
		(uint8_t)(n >> 8), (uint8_t)n}};
	return a;
}

static struct limits *
make_limits(int64_t connections, int64_t source, int64_t half_open)
{
	const struct settings s = {.connections_max = connections,
		.half_open_max = 1000,
		.source_max = source,
		.source_half_open_max = half_open};
	struct limits *l = malloc(sizeof *l);
	assert_non_null(l);
	log_open("test", LOG_ERROR, -1);
	limits_init(l, &s);
	return l;
}

static void
test_limits_of_sources(void **state)
{
	(void)state;
	struct limits *l = make_limits(100, 3, 2);
	struct address a = v4(1), b = v4(2);
	assert_int_equal(limit_open(l, &a), 0);
	assert_false(limit_is_crowded(l, &a, 2));
	assert_int_equal(limit_open(l, &a), 0);
	assert_true(limit_is_crowded(l, &a, 2));
	assert_false(limit_is_crowded(l, &a, 3));
	assert_false(limit_is_crowded(l, &b, 2));
	assert_int_equal(limit_open(l, &b), 0);
	limit_opened(l, &a);
	assert_false(limit_is_crowded(l, &a, 2));
	assert_int_equal(limit_open(l, &a), 0);
	limit_opened(l, &a);
	assert_int_equal(limit_open(l, &a), -ERR_TOO_MANY); /* in all */
	limit_opened(l, &a);
	limit_closed(l, &a);
	assert_int_equal(limit_open(l, &a), 0);
	assert_int_equal(l->each[LIMIT_CONNECTIONS].now, 4);
	assert_int_equal(l->each[LIMIT_HALF_OPEN].now, 2);
	assert_int_equal(l->each[LIMIT_SOURCE].bites, 1);
	free(l);
}

/* Tried: one source takes all its half-open places at one worker, so that another worker has nobody
 * of it who could give way. What comes of it: a small part of them is each worker's own. */
static void
test_attack_source_crowds_one_worker(void **state)
{
	(void)state;
	const struct settings s = {
		.connections_max = 1000, .half_open_max = 1000, .source_max = 1000};
	struct limit_segment *segment;
	int fd = limit_segment_new(2, &segment);
	struct limits *one = calloc(1, sizeof *one), *two = calloc(1, sizeof *two);
	struct address a = v4(1);
	assert_true(fd >= 0 && one && two);
	limits_init(one, &s);
	limits_init(two, &s);
	assert_int_equal(limits_share(one, fd, 0, 2), 0);
	assert_int_equal(limits_share(two, fd, 1, 2), 0);
	for (int i = 0; i < 80; i++)
		assert_int_equal(limit_open(one, &a), 0);
	assert_true(limit_is_crowded(one, &a, 80));
	for (int i = 0; i < 10; i++) {
		assert_false(limit_is_crowded(two, &a, 80));
		assert_int_equal(limit_open(two, &a), 0);
	}
	assert_true(limit_is_crowded(two, &a, 80));
	close(fd);
	free(one);
	free(two);
}

static void
test_ipv6_counts_by_network(void **state)
{
	(void)state;
	struct limits *l = make_limits(100, 2, 2);
	struct address a = {{0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 1}}, b = a, c = a;
	b.bytes[15] = 9; /* the same /64 */
	c.bytes[7] = 2;
	assert_int_equal(limit_open(l, &a), 0);
	assert_int_equal(limit_open(l, &b), 0);
	assert_int_equal(limit_open(l, &b), -ERR_TOO_MANY);
	assert_int_equal(limit_open(l, &c), 0);
	char text[ADDRESS_TEXT_SIZE];
	address_text(&a, text);
	assert_string_equal(text, "2001:db8:0:1:100::");
	struct address d = v4(0x020304);
	address_text(&d, text);
	assert_string_equal(text, "10.2.3.4");
	free(l);
}

/* Sources that share a bucket by chance must not hinder each other below the limits' size. */
static void
test_many_sources(void **state)
{
	(void)state;
	struct limits *l = make_limits(100000, 20, 20);
	for (uint32_t i = 0; i < 18000; i++) {
		struct address a = v4(i);
		assert_int_equal(limit_open(l, &a), 0);
		limit_opened(l, &a);
	}
	for (uint32_t i = 0; i < 18000; i++) {
		struct address a = v4(i);
		limit_closed(l, &a);
	}
	for (size_t i = 0; i < SOURCE_BUCKETS; i++)
		assert_int_equal(l->mine->connections[0][i] | l->mine->connections[1][i] |
					 l->mine->half_open[0][i] | l->mine->half_open[1][i],
			0);
	free(l);
}

/* The whole table, role by state by type: what is not named here may not come. */
static void
test_order(void **state)
{
	(void)state;
	static const struct {
		int role, state, type, browser;
	} may[] = {
		{engawa_Role_ROLE_NONE, LEG_HELLO, engawa_OuterType_OUTER_HELLO, 1},
		{engawa_Role_ROLE_AGENT, LEG_READY, engawa_OuterType_OUTER_PONG, 0},
		{engawa_Role_ROLE_AGENT, LEG_READY, engawa_OuterType_OUTER_REFUSE, 0},
		{engawa_Role_ROLE_AGENT, LEG_READY, engawa_OuterType_OUTER_SEND_CODE, 0},
		{engawa_Role_ROLE_AGENT, LEG_READY, engawa_OuterType_OUTER_ENROL, 0},
		{engawa_Role_ROLE_AGENT, LEG_READY, engawa_OuterType_OUTER_SESSION_WAITS, 0},
		{engawa_Role_ROLE_AGENT_SESSION, LEG_READY, engawa_OuterType_OUTER_ANSWER, 0},
		{engawa_Role_ROLE_CLIENT, LEG_READY, engawa_OuterType_OUTER_ASK, 0},
		{engawa_Role_ROLE_CLIENT, LEG_READY, engawa_OuterType_OUTER_JOIN, 1},
		{engawa_Role_ROLE_CLIENT, LEG_READY, engawa_OuterType_OUTER_RESUME, 1},
		{engawa_Role_ROLE_ENROL, LEG_READY, engawa_OuterType_OUTER_ENROL, 0},
	};
	for (int role = 0; role <= 8; role++)
		for (int st = LEG_HANDSHAKE; st <= LEG_DEAD; st++)
			for (int type = 0; type < 256; type++)
				for (int browser = 0; browser < 2; browser++) {
					int expected = type == engawa_OuterType_OUTER_BYE &&
						       st >= LEG_HELLO && st <= LEG_KNOCKING;
					for (size_t i = 0; i < sizeof may / sizeof may[0]; i++)
						expected |= may[i].role == role &&
							    may[i].state == st &&
							    may[i].type == type &&
							    (may[i].browser || !browser);
					const struct order *o = order_find(
						(uint8_t)role, (uint8_t)st, (uint8_t)type, browser);
					assert_int_equal(o != NULL, expected);
					assert_true(!o || (o->fn && o->max_bytes <=
									    FRAME_FIRST_MAX_BYTES));
				}
}

static void
test_order_of_the_controller(void **state)
{
	(void)state;
	for (int type = 0; type < 256; type++) {
		int welcome = type == engawa_LinkType_LINK_WELCOME;
		int bye = type == engawa_OuterType_OUTER_BYE;
		assert_int_equal(order_find(ORDER_LINK, LEG_HELLO, (uint8_t)type, 0) != NULL,
			welcome || bye);
		static const int answers[] = {engawa_LinkType_LINK_GRANT,
			engawa_LinkType_LINK_ENROLLED, engawa_LinkType_LINK_CODE_SENT,
			engawa_LinkType_LINK_MAIL_STATE, engawa_LinkType_LINK_END_SESSION,
			engawa_LinkType_LINK_DENY, engawa_LinkType_LINK_ALLOW,
			engawa_LinkType_LINK_SHARES, engawa_LinkType_LINK_PING,
			engawa_LinkType_LINK_PONG};
		int expected = welcome || bye;
		for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
			expected |= type == answers[i];
		assert_int_equal(
			order_find(ORDER_LINK, LEG_READY, (uint8_t)type, 0) != NULL, expected);
	}
}

static void
test_settings_travel(void **state)
{
	(void)state;
	struct settings a = {0}, b = {0};
	struct conf_error error = {""};
	char *first, *second;
	size_t first_len, second_len;
	assert_int_equal(conf_defaults(settings_table, &a, &error), 0);
	assert_int_equal(settings_check(&a, &error), -ERR_SETTING);
	static const char *const set[][2] = {{"NAME", "east"}, {"CERTIFICATE", "/c.pem"},
		{"KEY", "/a b/c.key"}, {"ISSUER", "/i.pem"}, {"ISSUER", "/j.pem"},
		{"SITE", "west:443"}};
	for (size_t i = 0; i < sizeof set / sizeof set[0]; i++)
		assert_int_equal(conf_set(settings_table, &a, set[i][0], set[i][1], &error), 0);
	assert_int_equal(settings_check(&a, &error), 0);
	assert_int_equal(settings_pack(&a, &first, &first_len), 0);
	assert_int_equal(settings_unpack(first, first_len, &b), 0);
	assert_int_equal(settings_pack(&b, &second, &second_len), 0);
	assert_string_equal(first, second);
	assert_int_equal(b.issuers.count, 2);
	free(first);
	free(second);
	settings_free(&a);
	settings_free(&b);
}

static void
test_how_many_workers(void **state)
{
	(void)state;
	long found = sysconf(_SC_NPROCESSORS_ONLN);
	const int64_t cores = found > 64 ? 64 : found, each = 18500;
	const struct {
		int64_t workers, connections, expected;
	} cases[] = {{3, 1000000, 3}, {0, 4, cores}, {0, cores * each, cores},
		{0, cores * each + 1, cores + 1}, {0, 50 * each, 50}, {0, 1000000, 55},
		{0, 64 * each + 1, 64}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct settings s = {
			.workers = cases[i].workers, .connections_max = cases[i].connections};
		int64_t expected = cases[i].workers > 0 || cases[i].expected > cores
					   ? cases[i].expected
					   : cores;
		assert_int_equal(settings_workers(&s), expected > 64 ? 64 : expected);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wheel_is_never_late_or_early),
		cmocka_unit_test(test_wheel_after_a_long_sleep),
		cmocka_unit_test(test_queue_keeps_bytes),
		cmocka_unit_test(test_empty_reservation_leaves_nothing),
		cmocka_unit_test(test_pool_shares_what_is_left),
		cmocka_unit_test(test_limits_of_sources),
		cmocka_unit_test(test_attack_source_crowds_one_worker),
		cmocka_unit_test(test_ipv6_counts_by_network),
		cmocka_unit_test(test_many_sources),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_order_of_the_controller),
		cmocka_unit_test(test_settings_travel),
		cmocka_unit_test(test_how_many_workers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
