#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "net/http.h"

#define HEAD(rest) "GET /v1/ws?a=b HTTP/1.1\r\nHost: example.jp:8443\r\n" rest "\r\n"

/* Parses an exact allocation, so that the sanitizer sees a byte read over the end. */
static int
parse(const char *text, size_t len, struct http_head *head)
{
	static char *exact; /* spans point into it until the next call */
	free(exact);
	exact = malloc(len ? len : 1);
	assert_non_null(exact);
	memcpy(exact, text, len);
	return http_head_parse(exact, len, head);
}

static void
assert_span(struct http_span span, const char *text)
{
	assert_int_equal(span.len, strlen(text));
	assert_memory_equal(span.p, text, span.len);
}

static void
test_reads_a_head(void **state)
{
	(void)state;
	struct http_head h;
	static const char text[] = HEAD(
		"oRIGIN:https://example.jp:8443\r\nUpgrade: \t WebSocket \t\r\nConnection: keep-alive ,Upgrade\r\n"
		"Sec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: a, engawa.1\r\nX: \xe3\x81\x82\r\n");
	assert_int_equal(parse(text, sizeof text - 1, &h), sizeof text - 1);
	assert_span(h.method, "GET");
	assert_span(h.target, "/v1/ws?a=b");
	assert_span(h.host, "example.jp:8443");
	assert_span(h.origin, "https://example.jp:8443");
	assert_span(h.upgrade, "WebSocket");
	assert_true(http_is(h.upgrade, "websocket"));
	assert_true(http_list_has(h.connection, "upgrade"));
	assert_true(http_list_has(h.connection, "keep-alive"));
	assert_false(http_list_has(h.connection, "keep"));
	assert_true(http_list_has(h.ws_protocols, "engawa.1"));
	assert_null(h.length.p);
	assert_false(http_is(h.length, ""));
	assert_false(http_list_has(h.length, ""));
	assert_int_equal(h.minor, 1);
}

static void
test_stops_at_the_empty_line(void **state)
{
	(void)state;
	struct http_head h;
	assert_int_equal(parse(HEAD("") "GET /second HTTP/1.1\r\n", strlen(HEAD("")) + 22, &h),
		strlen(HEAD("")));
}

static void
test_waits_for_the_whole_head(void **state)
{
	(void)state;
	struct http_head h;
	static const char text[] = HEAD("Origin: https://a\r\nX: y\r\n");
	for (size_t len = 0; len < sizeof text - 1; len++)
		assert_int_equal(parse(text, len, &h), 0);
}

static void
test_refuses(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"\r\n\r\n",
		" GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1 \r\n\r\n",
		"GET / HTTP/1.1x\r\n\r\n",
		"GET / http/1.1\r\n\r\n",
		"GET /\r\n",
		"GET / HTTP/1.1\n",
		"GET / HTTP/1.1\r\nHost: a\n",
		"G\x01T / HTTP/1.1\r\n",
		"GET /\x7f HTTP/1.1\r\n",
		"GET / HTTP/1.1\r\nHost : a\r\n",
		"GET / HTTP/1.1\r\n Host: a\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n b\r\n",
		"GET / HTTP/1.1\r\n: a\r\n",
		"GET / HTTP/1.1\r\nHost\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nHOST: a\r\n",
		"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
		"GET / HTTP/1.1\r\nX: a\rb\r\n",
		"GET / HTTP/1.1\r\nX: a\x1b\r\n",
		"GET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
		HEAD("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
		HEAD("Content-Length: 1\r\nContent-Length: 1\r\n"),
		HEAD("Content-Length: -1\r\n"),
		HEAD("Content-Length: 0x1\r\n"),
		HEAD("Content-Length: \r\n"),
		HEAD("Transfer-Encoding: gzip, chunked\r\n"),
		HEAD("Transfer-Encoding: \r\n"),
	};
	struct http_head h;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(parse(bad[i], strlen(bad[i]), &h), -ERR_PROTOCOL);
	assert_int_equal(parse("GET / HTTP/1.1\r\nX: a\0b\r\n", 24, &h), -ERR_PROTOCOL);
}

static void
test_bounds(void **state)
{
	(void)state;
	struct http_head h;
	static char text[2 * HTTP_HEAD_MAX_BYTES];
	memset(text, 'a', sizeof text);
	memcpy(text, "GET /", 5);
	assert_int_equal(parse(text, HTTP_HEAD_MAX_BYTES - 1, &h), 0);
	assert_int_equal(parse(text, HTTP_HEAD_MAX_BYTES, &h), -ERR_TOO_LONG);
	assert_int_equal(parse(text, sizeof text, &h), -ERR_TOO_LONG);
	/* the longest head that fits */
	static const char end[] = " HTTP/1.0\r\n\r\n";
	memcpy(text + HTTP_HEAD_MAX_BYTES - sizeof end + 1, end, sizeof end - 1);
	assert_int_equal(parse(text, sizeof text, &h), HTTP_HEAD_MAX_BYTES);
	/* one header more than there may be */
	size_t len = (size_t)snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\n");
	for (int i = 1; i < HTTP_HEADERS_MAX; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "X: y\r\n");
	memcpy(text + len, "\r\n", 2);
	assert_int_equal(parse(text, len + 2, &h), len + 2);
	memcpy(text + len, "X: y\r\n\r\n", 8);
	assert_int_equal(parse(text, len + 8, &h), -ERR_TOO_LONG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_a_head),
		cmocka_unit_test(test_stops_at_the_empty_line),
		cmocka_unit_test(test_waits_for_the_whole_head),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
