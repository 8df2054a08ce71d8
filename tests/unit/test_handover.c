/* A connection as a message: whole there and back, and nothing that is cut or changed is taken for
 * one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/wire.h"
#include "gate/handover.h"
#include "gate/secure.h"
#include "gate/session.h"
#include "outer.pb.h"

enum {
	NOW = 500,
	OPENED = 77,
	HEARD = 3,
	LEFT = 19,
	FD = 9
};

struct kind {
	const char *name;
	uint8_t kind, state, role, suite;
	size_t secret, held;
	int ws;
};

static const struct kind kinds[] = {
	{"session", LEG_NATIVE, LEG_READY, engawa_Role_ROLE_AGENT_SESSION, TLSREC_AES_128_GCM, 32,
		0, 0},
	{"agent", LEG_NATIVE, LEG_READY, engawa_Role_ROLE_AGENT, TLSREC_AES_256_GCM, 48, 700, 0},
	{"enrol", LEG_NATIVE, LEG_READY, engawa_Role_ROLE_ENROL, TLSREC_AES_256_GCM, 48, 0, 0},
	{"browser", LEG_BROWSER, LEG_READY, engawa_Role_ROLE_CLIENT, TLSREC_CHACHA20_POLY1305, 32,
		1, 1},
	{"pipe", LEG_BROWSER, LEG_PIPE, engawa_Role_ROLE_CLIENT, TLSREC_CHACHA20_POLY1305, 32, 9,
		1},
	{"knocking", LEG_NATIVE, LEG_KNOCKING, engawa_Role_ROLE_CLIENT, TLSREC_AES_128_GCM, 32, 0,
		0},
	{"hello", LEG_NATIVE, LEG_HELLO, engawa_Role_ROLE_NONE, TLSREC_AES_128_GCM, 32, 0, 0},
	{"head", LEG_BROWSER, LEG_HEAD, engawa_Role_ROLE_NONE, TLSREC_AES_128_GCM, 32, 0, 0},
	{"splice", LEG_SPLICE, LEG_PIPE, engawa_Role_ROLE_NONE, 0, 0, 0, 0},
};

static struct pool pool;

/* What secure_pack writes, for a connection with these keys. */
static void
put_secure(struct wr *out, int native, uint8_t suite, size_t secret, size_t held)
{
	wr_u8(out, (uint8_t)native);
	wr_u8(out, (uint8_t)native);
	wr_u8(out, (uint8_t)native);
	for (uint8_t i = 0; i < 16; i++)
		wr_u8(out, i);
	wr_u8(out, suite);
	for (size_t i = 0; i < 2 * secret; i++)
		wr_u8(out, (uint8_t)(i * 7));
	wr_u64(out, 1234567890123);
	wr_u64(out, 42);
	wr_u8(out, 1);
	wr_u8(out, 2);
	wr_u8(out, 3);
	wr_bytes(out, "\x18\0\0\0\0", 5);
	wr_u24(out, (uint32_t)held);
	for (size_t i = 0; i < held; i++)
		wr_u8(out, (uint8_t)i);
}

static void
fill(struct leg *l, const struct kind *k, size_t queued)
{
	static uint8_t bytes[200000];
	*l = (struct leg){.kind = k->kind,
		.state = k->state,
		.role = k->role,
		.asks = 4,
		.build = 0x01020304,
		.opened = NOW - OPENED,
		.heard = NOW - HEARD,
		.greeted = 1,
		.is_ws = k->ws != 0,
		.fd = FD};
	memset(&l->address, 0xab, sizeof l->address);
	l->in = calloc(1, sizeof *l->in + 300);
	assert_non_null(l->in);
	l->in->len = 300;
	memset(l->in->bytes, 0x11, 300);
	if (k->ws)
		l->entry.ws = (struct ws){
			.left = 1000, .mask = {1, 2, 3, 4}, .mask_at = 3, .in_message = 1};
	if (k->role == engawa_Role_ROLE_AGENT) {
		memset(l->agent.id, 0x55, sizeof l->agent.id);
		memset(l->agent.instance, 0x66, sizeof l->agent.instance);
	}
	if (k->state == LEG_PIPE)
		l->eof = l->finish = 1;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 31 >> 3);
	assert_true(queued <= sizeof bytes);
	assert_int_equal(queue_add(&pool, &l->out, bytes, queued), 0);
	if (k->secret == 0)
		return;
	static uint8_t packed[40000];
	struct wr wr = wr_init(packed, sizeof packed);
	put_secure(&wr, k->kind == LEG_NATIVE, k->suite, k->secret, k->held);
	struct rd rd = rd_init(packed, wr.len);
	l->secure = secure_unpack(&rd, FD);
	assert_non_null(l->secure);
	assert_true(rd_done(&rd));
}

static void
empty(struct leg *l)
{
	free(l->in);
	queue_clear(&pool, &l->out);
	secure_free(l->secure);
}

static int
encode(const struct leg *l, wheel_tick now, uint8_t *out)
{
	size_t more = 1;
	int n = handover_encode(l, (enum leg_state)l->state, "test-city", LEFT, now, out, &more);
	assert_int_equal(more, 0);
	return n;
}

static int
decode(const uint8_t *data, size_t len, wheel_tick now, struct leg **ret)
{
	size_t more = 0;
	char name[FAIR_NAME_SIZE];
	int r = handover_decode(&pool, data, len, FD, now, ret, name, &more);
	if (r == 0)
		assert_string_equal(
			name, (*ret)->role == engawa_Role_ROLE_AGENT ? "test-city" : "");
	assert_int_equal(more, 0);
	return r;
}

/* How tests/corpus/handover was made. */
static void
write_corpus(const struct kind *k, const uint8_t *data, size_t len)
{
	const char *directory = getenv("HANDOVER_CORPUS");
	char path[256];
	snprintf(path, sizeof path, "%s/%s", directory ? directory : "", k->name);
	FILE *file = directory ? fopen(path, "w") : NULL;
	if (!file)
		return;
	fwrite(data, 1, len, file);
	fclose(file);
}

static void
there_and_back(const struct kind *k)
{
	static uint8_t first[HANDOVER_MAX_BYTES + 1], second[HANDOVER_MAX_BYTES];
	struct leg from, *to = NULL;
	fill(&from, k, CHUNK_BYTES + 500);
	int n = encode(&from, NOW, first);
	assert_true(n > 0);
	/* there the clock stands elsewhere */
	assert_int_equal(decode(first, (size_t)n, 10, &to), 0);
	assert_int_equal((wheel_tick)(10 - to->opened), OPENED);
	assert_int_equal((wheel_tick)(10 - to->heard), HEARD);
	assert_int_equal(to->timer.due, LEFT);
	assert_int_equal(to->build, from.build);
	assert_int_equal(to->out.len, from.out.len);
	assert_int_equal(to->in->len, 300);
	assert_int_equal(to->is_ws, k->ws);
	assert_int_equal(to->state, k->state);
	assert_int_equal(to->eof, from.eof);
	assert_int_equal(to->finish, from.finish);
	if (k->role == engawa_Role_ROLE_AGENT)
		assert_memory_equal(to->agent.id, from.agent.id, 32);
	assert_int_equal(encode(to, 10, second), n);
	assert_memory_equal(first, second, (size_t)n);
	handover_free(&pool, to);
	for (size_t cut = 0; cut < (size_t)n; cut += cut < 900 ? 1 : 97)
		assert_int_equal(decode(first, cut, NOW, &to), -ERR_PROTOCOL);
	first[n] = 0;
	assert_int_equal(decode(first, (size_t)n + 1, NOW, &to), -ERR_PROTOCOL);
	for (int at = 0; at < 5; at++) { /* version, kind, state, role, flags */
		first[at] ^= 0x40;
		assert_int_equal(decode(first, (size_t)n, NOW, &to), -ERR_PROTOCOL);
		first[at] ^= 0x40;
	}
	/* what a later version may say: refused, whatever follows */
	first[0] = HANDOVER_VERSION + 1;
	assert_int_equal(decode(first, (size_t)n, NOW, &to), -ERR_PROTOCOL);
	first[0] = HANDOVER_VERSION;
	write_corpus(k, first, (size_t)n);
	empty(&from);
	assert_int_equal(pool.used, 0);
}

static void
test_there_and_back(void **state)
{
	(void)state;
	pool_init(&pool, 1 << 20);
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		there_and_back(&kinds[i]);
	pool_fini(&pool);
}

/* Combinations that no leg can have. */
static void
test_impossible(void **state)
{
	(void)state;
	static const struct kind wrong[] = {
		{"closing", LEG_NATIVE, LEG_CLOSING, engawa_Role_ROLE_CLIENT, 0, 32, 0, 0},
		{"asking", LEG_NATIVE, LEG_ASKING, engawa_Role_ROLE_CLIENT, 0, 32, 0, 0},
		{"link", LEG_LINK, LEG_READY, engawa_Role_ROLE_CLIENT, 0, 0, 0, 0},
		{"browser agent", LEG_BROWSER, LEG_READY, engawa_Role_ROLE_AGENT, 0, 32, 0, 0},
		{"waiting pipe", LEG_NATIVE, LEG_PIPE, engawa_Role_ROLE_AGENT, 0, 32, 0, 0},
		{"named splice", LEG_SPLICE, LEG_PIPE, engawa_Role_ROLE_CLIENT, 0, 0, 0, 0},
		{"ready splice", LEG_SPLICE, LEG_READY, engawa_Role_ROLE_NONE, 0, 0, 0, 0},
		{"gate", LEG_NATIVE, LEG_READY, engawa_Role_ROLE_GATE, 0, 32, 0, 0},
		{"web head", LEG_BROWSER, LEG_HEAD, engawa_Role_ROLE_NONE, 0, 32, 0, 1},
	};
	static uint8_t out[HANDOVER_MAX_BYTES];
	pool_init(&pool, 1 << 20);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct leg l, *to;
		fill(&l, &wrong[i], 10);
		int n = encode(&l, NOW, out);
		assert_true(n > 0);
		assert_int_equal(decode(out, (size_t)n, NOW, &to), -ERR_PROTOCOL);
		empty(&l);
	}
	pool_fini(&pool);
}

/* A queue that does not fit into one message follows in others, byte for byte. */
static void
test_long_queue(void **state)
{
	(void)state;
	static uint8_t out[HANDOVER_MAX_BYTES], part[HANDOVER_MAX_BYTES];
	struct leg l, *to;
	size_t more = 0, still = 0;
	pool_init(&pool, 8 << 20);
	fill(&l, &kinds[4], 200000);
	int n = handover_encode(&l, LEG_PIPE, "", 0, NOW, out, &more);
	assert_int_equal(n, HANDOVER_MAX_BYTES);
	assert_true(more > 100000 && more < 200000);
	char name[FAIR_NAME_SIZE];
	assert_int_equal(handover_decode(&pool, out, (size_t)n, FD, NOW, &to, name, &still), 0);
	assert_int_equal(more, still);
	while (more > 0) {
		size_t len = handover_more(&l, more, part);
		assert_true(len > 0 && len <= more);
		assert_int_equal(queue_add(&pool, &to->out, part, len), 0);
		more -= len;
	}
	assert_int_equal(to->out.len, 200000);
	while (l.out.len > 0) {
		size_t a, b;
		const uint8_t *p = queue_front(&l.out, &a), *q = queue_front(&to->out, &b);
		size_t len = a < b ? a : b;
		assert_memory_equal(p, q, len);
		queue_drop(&pool, &l.out, len);
		queue_drop(&pool, &to->out, len);
	}
	handover_free(&pool, to);
	empty(&l);
	pool_fini(&pool);
}

static void
test_session(void **state)
{
	(void)state;
	uint8_t out[HANDOVER_SESSION_MAX_BYTES + 1];
	struct session from = {.started_s = 1700000000,
			       .to_client = 1,
			       .to_agent = UINT64_MAX,
			       .tokens = -70000, /* a debt */
			       .tokens_at = NOW - 3,
			       .joined = mono_now(),
			       .browser = 1,
			       .resumes = 1,
			       .organisation = "city"},
		       *to;
	memset(from.id, 7, sizeof from.id);
	memset(from.agent_id, 8, sizeof from.agent_id);
	size_t n = handover_session(&from, NOW, out);
	assert_int_equal(handover_session_decode(out, n, 5, &to), 0);
	assert_memory_equal(to->id, from.id, 32);
	assert_string_equal(to->organisation, "city");
	assert_int_equal(to->tokens, -70000);
	assert_int_equal((wheel_tick)(5 - to->tokens_at), 3);
	assert_int_equal(to->to_agent, UINT64_MAX);
	assert_int_equal(to->started_s, from.started_s);
	assert_int_equal(to->browser, 1);
	assert_int_equal(to->resumes, 1);
	free(to);
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(handover_session_decode(out, cut, NOW, &to), -ERR_PROTOCOL);
	assert_int_equal(handover_session_decode(out, n + 1, NOW, &to), -ERR_PROTOCOL);
	out[0]++;
	assert_int_equal(handover_session_decode(out, n, NOW, &to), -ERR_PROTOCOL);
}

static void
test_bad_secure(void **state)
{
	(void)state;
	uint8_t packed[1000];
	struct wr wr = wr_init(packed, sizeof packed);
	put_secure(&wr, 1, TLSREC_AES_128_GCM, 32, 10);
	size_t updates = 20 + 64 + 16 + 1;
	for (size_t at = 0; at < wr.len; at++) {
		uint8_t was = packed[at];
		int flag = at < 3 || at == 19 || (at >= updates - 1 && at < updates + 2);
		packed[at] = 200;
		struct rd rd = rd_init(packed, wr.len);
		struct secure *s = secure_unpack(&rd, FD);
		if (flag)
			assert_null(s);
		secure_free(s);
		packed[at] = was;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_impossible), cmocka_unit_test(test_long_queue),
		cmocka_unit_test(test_session), cmocka_unit_test(test_bad_secure)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
