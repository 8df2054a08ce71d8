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
#include "outer.pb.h"

enum {
	NOW = 500,
	OPENED = 77,
	HEARD = 3,
	FD = 9
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
fill(struct leg *l, int native)
{
	*l = (struct leg){.kind = native ? LEG_NATIVE : LEG_BROWSER,
		.state = LEG_READY,
		.role = native ? engawa_Role_ROLE_AGENT_SESSION : engawa_Role_ROLE_CLIENT,
		.asks = 4,
		.build = 0x01020304,
		.opened = NOW - OPENED,
		.heard = NOW - HEARD,
		.greeted = 1,
		.is_ws = !native};
	memset(&l->address, 0xab, sizeof l->address);
	l->in = calloc(1, sizeof *l->in + 300);
	assert_non_null(l->in);
	l->in->len = 300;
	memset(l->in->bytes, 0x11, 300);
	if (!native)
		l->entry.ws = (struct ws){
			.left = 1000, .mask = {1, 2, 3, 4}, .mask_at = 3, .in_message = 1};
	uint8_t queued[CHUNK_BYTES + 500];
	memset(queued, 0x22, sizeof queued);
	assert_int_equal(queue_add(&pool, &l->out, queued, sizeof queued), 0);
}

static void
there_and_back(int native, uint8_t suite, size_t secret, size_t held)
{
	static uint8_t packed[40000], first[HANDOVER_MAX_BYTES], second[HANDOVER_MAX_BYTES];
	struct leg from, *to = NULL;
	struct wr wr = wr_init(packed, sizeof packed);
	put_secure(&wr, native, suite, secret, held);
	struct rd rd = rd_init(packed, wr.len);
	fill(&from, native);
	from.secure = secure_unpack(&rd, FD);
	assert_non_null(from.secure);
	assert_true(rd_done(&rd));
	int n = handover_encode(&from, NOW, first);
	assert_true(n > 0);
	/* there the clock stands elsewhere */
	assert_int_equal(handover_decode(&pool, first, (size_t)n, FD, 10, &to), 0);
	assert_int_equal((wheel_tick)(10 - to->opened), OPENED);
	assert_int_equal((wheel_tick)(10 - to->heard), HEARD);
	assert_int_equal(to->build, from.build);
	assert_int_equal(to->out.len, from.out.len);
	assert_int_equal(to->in->len, 300);
	assert_int_equal(to->is_ws, !native);
	assert_int_equal(handover_encode(to, 10, second), n);
	assert_memory_equal(first, second, (size_t)n);
	handover_free(&pool, to);
	for (size_t cut = 0; cut < (size_t)n; cut++)
		assert_int_equal(handover_decode(&pool, first, cut, FD, NOW, &to), -ERR_PROTOCOL);
	first[n] = 0;
	assert_int_equal(handover_decode(&pool, first, (size_t)n + 1, FD, NOW, &to), -ERR_PROTOCOL);
	for (int at = 0; at < 4; at++) { /* version, kind, role, flags */
		first[at] ^= 0x40;
		assert_int_equal(
			handover_decode(&pool, first, (size_t)n, FD, NOW, &to), -ERR_PROTOCOL);
		first[at] ^= 0x40;
	}
	free(from.in);
	queue_clear(&pool, &from.out);
	secure_free(from.secure);
	assert_int_equal(pool.used, 0);
	const char *directory = getenv("HANDOVER_CORPUS"); /* how tests/corpus/handover was made */
	char path[256];
	snprintf(path, sizeof path, "%s/%s-%u", directory ? directory : "",
		native ? "native" : "browser", suite);
	FILE *file = directory ? fopen(path, "w") : NULL;
	if (file) {
		fwrite(first, 1, (size_t)n, file);
		fclose(file);
	}
}

static void
test_there_and_back(void **state)
{
	(void)state;
	pool_init(&pool, 1 << 20);
	there_and_back(1, TLSREC_AES_128_GCM, 32, 0);
	there_and_back(1, TLSREC_AES_256_GCM, 48, 700);
	there_and_back(0, TLSREC_CHACHA20_POLY1305, 32, 1);
	pool_fini(&pool);
}

/* What does not fit into one message is refused, not cut. */
static void
test_too_long(void **state)
{
	(void)state;
	static uint8_t out[HANDOVER_MAX_BYTES], packed[1000], more[HANDOVER_MAX_BYTES];
	struct leg l;
	struct wr wr = wr_init(packed, sizeof packed);
	put_secure(&wr, 1, TLSREC_AES_128_GCM, 32, 0);
	struct rd rd = rd_init(packed, wr.len);
	pool_init(&pool, 1 << 20);
	fill(&l, 1);
	l.secure = secure_unpack(&rd, FD);
	assert_int_equal(queue_add(&pool, &l.out, more, sizeof more), 0);
	assert_int_equal(handover_encode(&l, NOW, out), -ERR_TOO_LONG);
	free(l.in);
	queue_clear(&pool, &l.out);
	secure_free(l.secure);
	pool_fini(&pool);
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
		cmocka_unit_test(test_too_long), cmocka_unit_test(test_bad_secure)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
