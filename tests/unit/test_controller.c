/* The controller's small pure parts: PROXY header, request body, networks, limits, files, presence.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/str.h"
#include "controller/connect.h"
#include "controller/limit.h"
#include "controller/network.h"
#include "controller/presence.h"
#include "controller/site.h"
#include "net/proxy.h"

static const uint8_t tcp4[] =
	"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\x7f\0\0\x01\x04\xd2\x01\xbb";
enum {
	TCP4_BYTES = sizeof tcp4 - 1
};

static void
test_proxy(void **state)
{
	struct proxy proxy;
	size_t need;
	uint8_t copy[TCP4_BYTES + 8];
	(void)state;
	assert_int_equal(proxy_parse(tcp4, TCP4_BYTES, &proxy, &need), TCP4_BYTES);
	const struct sockaddr_in *sa = (const struct sockaddr_in *)&proxy.source;
	assert_int_equal(ntohl(sa->sin_addr.s_addr), 0xc0000201);
	assert_int_equal(ntohs(sa->sin_port), 1234);
	for (size_t len = 0; len < TCP4_BYTES; len++) {
		assert_int_equal(proxy_parse(tcp4, len, &proxy, &need), 0);
		assert_true(need > 0 && len + need <= TCP4_BYTES); /* never a byte behind it */
	}
	for (size_t i = 0; i < 14; i++) {
		memcpy(copy, tcp4, TCP4_BYTES);
		copy[i] ^= 0x40;
		assert_int_equal(proxy_parse(copy, TCP4_BYTES, &proxy, &need), -ERR_PROTOCOL);
	}
	memcpy(copy, tcp4, TCP4_BYTES);
	copy[12] = 0x20; /* LOCAL */
	assert_int_equal(proxy_parse(copy, TCP4_BYTES, &proxy, &need), TCP4_BYTES);
	assert_int_equal(proxy.source_len, 0);
	memcpy(copy, tcp4, TCP4_BYTES);
	copy[15] = 11; /* too short for its family */
	assert_int_equal(proxy_parse(copy, TCP4_BYTES, &proxy, &need), -ERR_PROTOCOL);
	copy[14] = 0xff; /* longer than any header of ours */
	assert_int_equal(proxy_parse(copy, TCP4_BYTES, &proxy, &need), -ERR_PROTOCOL);
	assert_int_equal(proxy_parse((const uint8_t *)"GET / HTTP/1.1\r\n", 16, &proxy, &need),
		-ERR_PROTOCOL);
}

#define HASH "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static void
test_connect(void **state)
{
	static const char *const bad[] = {"", "{}", "[]", "null", "\"\"",
		"{\"terminal_id\": \"A\"}", "{\"terminal_id\": 1, \"device_hash\": \"" HASH "\"}",
		"{\"terminal_id\": \"A\", \"device_hash\": \"AAAA\"}",
		"{\"terminal_id\": \"A\", \"device_hash\": \"" HASH "\", \"x\": 1}",
		"{\"terminal_id\": \"A\", \"terminal_id\": \"A\", \"device_hash\": \"" HASH "\"}",
		"{\"terminal_id\": \"A\\u0000B\", \"device_hash\": \"" HASH "\"}",
		"{\"terminal_id\": \"0123456789012345678901234567890123\", \"device_hash\": \"" HASH
		"\"}",
		"{\"terminal_id\": \"A\", \"device_hash\": \"" HASH "\"} x",
		"{\"terminal_id\": \"\xff\", \"device_hash\": \"" HASH "\"}"};
	static const char ok[] = "{\"device_hash\": \"" HASH "\", \"terminal_id\": \"7k3m-0000\"}";
	engawa_Ask ask;
	char deep[CONNECT_BODY_MAX_BYTES + 1];
	(void)state;
	assert_int_equal(connect_parse(ok, sizeof ok - 1, &ask), 0);
	assert_string_equal(ask.terminal_id, "7k3m-0000");
	assert_int_equal(ask.device_hash.bytes[31], 31);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(connect_parse(bad[i], strlen(bad[i]), &ask), -ERR_PROTOCOL);
	memset(deep, '[', sizeof deep);
	assert_int_equal(connect_parse(deep, sizeof deep, &ask), -ERR_TOO_LONG);
	assert_int_equal(connect_parse(deep, sizeof deep - 1, &ask), -ERR_PROTOCOL);
}

static int
has(const char *list, const char *address)
{
	uint8_t bytes[NETWORK_ADDRESS_BYTES];
	assert_int_equal(network_address(address, bytes), 0);
	return network_list_has(list, bytes);
}

static void
test_networks(void **state)
{
	uint8_t a[NETWORK_ADDRESS_BYTES], b[NETWORK_ADDRESS_BYTES];
	(void)state;
	assert_true(has("", "192.0.2.1"));
	assert_true(has("10.0.0.0/8 192.0.2.0/25", "192.0.2.127"));
	assert_false(has("10.0.0.0/8 192.0.2.0/25", "192.0.2.128"));
	assert_true(has("10.0.0.0/8", "::ffff:10.1.2.3"));
	assert_true(has("2001:db8::/32", "2001:db8:1::1"));
	assert_false(has("2001:db8::/32", "2001:db9::1"));
	assert_false(has("2001:db8::/32", "10.0.0.1"));
	assert_true(has("0.0.0.0/0", "1.2.3.4"));
	assert_false(has("0.0.0.0/0", "2001:db8::1"));
	assert_true(has("192.0.2.1", "192.0.2.1"));
	assert_false(has("nonsense", "192.0.2.1")); /* never open by mistake */
	assert_int_equal(network_list_check("10.0.0.0/8 2001:db8::/32"), 0);
	assert_true(network_list_check("10.0.0.0/33") < 0);
	assert_true(network_list_check("10.0.0/8") < 0);
	assert_true(network_list_check("::/129") < 0);
	network_source("2001:db8::1", a);
	network_source("2001:db8::ffff:2", b);
	assert_memory_equal(a, b, sizeof a);
	network_source("192.0.2.1", a);
	network_source("192.0.2.2", b);
	assert_memory_not_equal(a, b, sizeof a);
}

static void
test_limit(void **state)
{
	struct limit *limit = limit_new(64, 5, 60, 60000);
	uint8_t key[LIMIT_KEY_BYTES] = {1}, other[LIMIT_KEY_BYTES];
	struct mono now = {1000000000};
	(void)state;
	for (int i = 0; i < 5; i++)
		assert_true(limit_take(limit, key, now));
	assert_false(limit_take(limit, key, now));
	assert_false(limit_take(limit, key, mono_add_ms(now, 999)));
	assert_true(limit_take(limit, key, mono_add_ms(now, 2000)));
	/* a flood of other keys does not give the limited one its tokens back */
	now = mono_add_ms(now, 2000);
	while (limit_take(limit, key, now))
		;
	memset(other, 0, sizeof other);
	for (unsigned i = 0; i < 10000; i++) {
		memcpy(other, &i, sizeof i);
		limit_take(limit, other, now);
	}
	assert_false(limit_take(limit, key, now));
	limit_free(limit);
}

static void
put(const char *directory, const char *name, const char *text)
{
	char path[128];
	str_print(path, sizeof path, "%s/%s", directory, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void
test_site(void **state)
{
	static const char *const not_there[] = {"", "//", "/../secret.txt", "/%2e%2e/secret.txt",
		"/assets", "/assets/", "/.hidden.js", "/link.txt", "/index.html/", "index.html",
		"/assets/../index.html", "/x.exe"};
	char directory[] = "/tmp/engawa-site.XXXXXX", inner[96], path[128], command[128];
	struct site *site;
	(void)state;
	assert_non_null(mkdtemp(directory));
	str_print(inner, sizeof inner, "%s/www", directory);
	mkdir(inner, 0700);
	put(directory, "secret.txt", "secret");
	put(inner, "index.html", "<p>");
	put(inner, ".hidden.js", "x");
	put(inner, "x.exe", "x");
	put(inner, "empty.css", "");
	str_print(path, sizeof path, "%s/link.txt", inner);
	assert_int_equal(symlink("../secret.txt", path), 0);
	str_print(path, sizeof path, "%s/assets", inner);
	mkdir(path, 0700);
	put(path, "a-1.wasm", "wasm");
	assert_int_equal(site_load(inner, &site), 0);
	assert_int_equal(site_count(site), 3);
	const struct site_file *file = site_find(site, "/");
	assert_non_null(file);
	assert_string_equal(file->type, "text/html; charset=utf-8");
	assert_false(file->immutable);
	file = site_find(site, "/assets/a-1.wasm");
	assert_non_null(file);
	assert_true(file->immutable && file->len == 4 && strlen(file->etag) == 34);
	assert_string_equal(file->type, "application/wasm");
	for (size_t i = 0; i < sizeof not_there / sizeof not_there[0]; i++)
		assert_null(site_find(site, not_there[i]));
	site_free(site);
	assert_true(site_load("/nonexistent", &site) < 0);
	str_print(command, sizeof command, "rm -rf %s", directory);
	assert_int_equal(system(command), 0);
}

static void
count_lost(void *user, const struct presence_session *session)
{
	(void)session;
	++*(int *)user;
}

static void
test_presence(void **state)
{
	struct presence *p = presence_new();
	struct link *east = (struct link *)1, *west = (struct link *)2, *links[PRESENCE_GATES_MAX];
	uint8_t agent[16] = {1}, one[16] = {1}, two[16] = {2}, session[16] = {9};
	int lost = 0;
	(void)state;
	assert_int_equal(presence_links(p, agent, links), 0);
	assert_int_equal(presence_up(p, agent, one, east), 0);
	assert_int_equal(presence_up(p, agent, one, east), 0); /* told again */
	assert_int_equal(presence_up(p, agent, one, west), 0); /* its standby */
	assert_int_equal(presence_links(p, agent, links), 2);
	assert_int_equal(presence_up(p, agent, two, west), 1); /* a clone */
	presence_down(p, agent, one, west);
	assert_int_equal(presence_links(p, agent, links), 2);
	presence_link_gone(p, west, count_lost, &lost);
	assert_int_equal(presence_links(p, agent, links), 1);
	assert_ptr_equal(links[0], east);
	presence_down(p, agent, one, east);
	assert_int_equal(presence_links(p, agent, links), 0);

	struct presence_session s = {.link = east};
	memcpy(s.id, session, sizeof s.id);
	memcpy(s.agent, agent, sizeof s.agent);
	assert_int_equal(presence_session_up(p, &s), 0);
	assert_int_equal(presence_session_up(p, &s), -ERR_EXISTS);
	assert_true(presence_is_session_of(p, session, agent, 100));
	assert_false(presence_is_session_of(p, session, two, 100));
	presence_link_gone(p, east, count_lost, &lost);
	assert_int_equal(lost, 1);
	assert_null(presence_session(p, session, 0));

	assert_false(presence_is_session_of(p, session, agent, 100));
	presence_issued(p, session, agent, 100);
	assert_true(presence_is_session_of(p, session, agent, 100));
	assert_false(presence_is_session_of(p, session, two, 100));
	assert_false(presence_is_session_of(p, session, agent, 100 + 1800));
	for (unsigned i = 0; i < 70000; i++) { /* more than are kept: the oldest goes */
		uint8_t other[16] = {0x80};
		memcpy(other + 4, &i, sizeof i);
		presence_issued(p, other, agent, 100);
	}
	assert_false(presence_is_session_of(p, session, agent, 100));
	presence_free(p);
}

static void
remember(void *user, const struct presence_session *session)
{
	*(struct presence_session *)user = *session;
}

/* A session between two connections: one for each office PC, until it goes on, ends, or is over. */
static void
test_sessions_that_wait(void **state)
{
	(void)state;
	const uint8_t agent[16] = {1}, id[16] = {2}, next[16] = {3};
	struct presence *p = presence_new();
	struct presence_session s = {.until_s = 100}, seen = {0};
	memcpy(s.id, id, sizeof s.id);
	presence_session_waits(p, agent, NULL);
	presence_session_waits(p, agent, &s);
	assert_non_null(presence_session(p, id, 99));
	assert_null(presence_session(p, id, 100));
	presence_sessions(p, 99, remember, &seen);
	assert_memory_equal(seen.agent, agent, sizeof agent);
	assert_null(seen.link);
	memcpy(s.id, next, sizeof s.id);
	presence_session_waits(p, agent, &s); /* another one of the same office PC */
	assert_null(presence_session(p, id, 99));
	assert_non_null(presence_session(p, next, 99));
	/* its gate has not noticed yet: it is seen once, as running */
	s.link = (struct link *)1;
	memcpy(s.agent, agent, sizeof s.agent);
	assert_int_equal(presence_session_up(p, &s), 0);
	memset(&seen, 0, sizeof seen);
	presence_sessions(p, 99, remember, &seen);
	assert_non_null(seen.link);
	presence_session_down(p, next);
	presence_session_waits(p, agent, NULL);
	assert_null(presence_session(p, next, 99));
	presence_session_waits(p, agent, &s); /* freed with the rest */
	presence_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_proxy),
		cmocka_unit_test(test_connect),
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_site),
		cmocka_unit_test(test_presence),
		cmocka_unit_test(test_sessions_that_wait),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
