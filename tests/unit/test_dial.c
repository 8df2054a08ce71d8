/* net/dial: names, both families, black holes, proxies. Everything is on loopback. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "net/dial.h"

enum {
	FILLERS = 4
};

static struct loop *loop;
static int result, called;

/* A resolver that knows one more name, with both families: not every machine's localhost has them.
 */
int
getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
	struct addrinfo **ret_list)
{
	typedef int resolver(
		const char *, const char *, const struct addrinfo *, struct addrinfo **);
	resolver *real = (resolver *)dlsym(RTLD_NEXT, "getaddrinfo");
	if (!name || strcmp(name, "both.test") != 0)
		return real(name, service, hints, ret_list);
	int r = real("::1", service, hints, ret_list);
	return r == 0 ? real("127.0.0.1", service, hints, &(*ret_list)->ai_next) : r;
}

static int
set_up(void **state)
{
	(void)state;
	loop = loop_new();
	result = called = 0;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	loop_free(loop);
	return 0;
}

static void
on_dial(void *user, int fd)
{
	(void)user;
	called++;
	result = fd;
	loop_stop(loop);
}

/* Listens on loopback of the family, port 0 = any; returns the descriptor, or -1 where the machine
 * has no such family. */
static int
listener(int family, int backlog, uint16_t *port)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6,
		.sin6_addr = IN6ADDR_LOOPBACK_INIT,
		.sin6_port = htons(*port)};
	struct sockaddr_in four = {.sin_family = AF_INET,
		.sin_addr = {htonl(INADDR_LOOPBACK)},
		.sin_port = htons(*port)};
	struct sockaddr *sa =
		family == AF_INET6 ? (struct sockaddr *)&six : (struct sockaddr *)&four;
	socklen_t len = family == AF_INET6 ? sizeof six : sizeof four;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(fd, sa, len) < 0 || (backlog >= 0 && listen(fd, backlog) < 0)) {
		close(fd);
		return -1;
	}
	getsockname(fd, sa, &len);
	*port = ntohs(family == AF_INET6 ? six.sin6_port : four.sin_port);
	return fd;
}

static int
dial(const char *host, uint16_t port, uint64_t deadline_ms)
{
	char target[64];
	str_print(target, sizeof target, "%s:%u", host, port);
	assert_non_null(dial_start(loop, target, NULL, deadline_ms, on_dial, NULL));
	assert_int_equal(called, 0);
	loop_run(loop);
	assert_int_equal(called, 1);
	return result;
}

static int
peer_family(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;
	assert_int_equal(getpeername(fd, (struct sockaddr *)&sa, &len), 0);
	return sa.ss_family;
}

static void
connects(void **state)
{
	(void)state;
	uint16_t port = 0;
	int lfd = listener(AF_INET, 8, &port);
	int fd = dial("127.0.0.1", port, 2000);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	close(lfd);
}

static void
connects_over_v6(void **state)
{
	(void)state;
	uint16_t port = 0;
	int lfd = listener(AF_INET6, 8, &port);
	if (lfd < 0)
		skip();
	int fd = dial("[::1]", port, 2000);
	assert_true(fd >= 0);
	assert_int_equal(peer_family(fd), AF_INET6);
	close(fd);
	close(lfd);
}

static void
refused(void **state)
{
	(void)state;
	uint16_t port = 0;
	int fd = listener(AF_INET, -1, &port); /* bound, so that nobody else listens there */
	assert_int_equal(dial("127.0.0.1", port, 2000), -ECONNREFUSED);
	close(fd);
}

/* Whatever order the resolver gives, the family that answers wins. */
static void
other_family_after_a_refusal(void **state)
{
	(void)state;
	static const int families[] = {AF_INET, AF_INET6};
	for (int i = 0; i < 2; i++) {
		uint16_t port = 0;
		int lfd = listener(families[i], 8, &port);
		if (lfd < 0)
			continue;
		called = 0;
		int fd = dial("both.test", port, 2000);
		assert_true(fd >= 0);
		assert_int_equal(peer_family(fd), families[i]);
		close(fd);
		close(lfd);
	}
}

/* A listener whose queue is full drops SYNs, as a firewall does. */
static void
fill(int family, uint16_t port, int fds[FILLERS])
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6,
		.sin6_addr = IN6ADDR_LOOPBACK_INIT,
		.sin6_port = htons(port)};
	struct sockaddr_in four = {.sin_family = AF_INET,
		.sin_addr = {htonl(INADDR_LOOPBACK)},
		.sin_port = htons(port)};
	for (int i = 0; i < FILLERS; i++) {
		fds[i] = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		connect(fds[i],
			family == AF_INET6 ? (struct sockaddr *)&six : (struct sockaddr *)&four,
			family == AF_INET6 ? sizeof six : sizeof four);
	}
	usleep(20000);
}

static void
drop(int lfd, const int fds[FILLERS])
{
	for (int i = 0; i < FILLERS; i++)
		close(fds[i]);
	close(lfd);
}

static void
black_hole_runs_into_the_deadline(void **state)
{
	(void)state;
	uint16_t port = 0;
	int fds[FILLERS], lfd = listener(AF_INET, 0, &port);
	fill(AF_INET, port, fds);
	struct mono start = mono_now();
	assert_int_equal(dial("127.0.0.1", port, 120), -ERR_TIMEOUT);
	assert_in_range(mono_diff_ms(start, mono_now()), 115, 2000);
	drop(lfd, fds);
}

/* RFC 8305: one family swallows everything, the other one is tried 250 ms later. */
static void
happy_eyeballs(void **state)
{
	(void)state;
	uint16_t port = 0;
	int fds[FILLERS], six = listener(AF_INET6, 0, &port), four = listener(AF_INET, 8, &port);
	if (six < 0 || four < 0) {
		close(six);
		close(four);
		skip();
	}
	fill(AF_INET6, port, fds);
	struct mono start = mono_now();
	int fd = dial("both.test", port, 5000);
	assert_true(fd >= 0);
	assert_int_equal(peer_family(fd), AF_INET);
	assert_in_range(mono_diff_ms(start, mono_now()), 245, 900);
	close(fd);
	close(four);
	drop(six, fds);
}

static void
unknown_name(void **state)
{
	(void)state;
	assert_int_equal(dial("nobody.invalid", 443, 5000), -ERR_NO_GATE);
}

static void
bad_target_is_reported_from_the_loop(void **state)
{
	(void)state;
	assert_non_null(dial_start(loop, "no port here", NULL, 1000, on_dial, NULL));
	assert_int_equal(called, 0);
	loop_run(loop);
	assert_int_equal(result, -EINVAL);
}

static void
cancel(void *user)
{
	dial_cancel(user);
	loop_stop(loop);
}

/* Cancelled at once, in the first tick, and with an attempt on its way: no call, no leak, no
 * descriptor. */
static void
cancelled_is_silent(void **state)
{
	(void)state;
	uint16_t port = 0;
	char target[32];
	int fds[FILLERS], lfd = listener(AF_INET, 0, &port), before = dup(0);
	fill(AF_INET, port, fds);
	str_print(target, sizeof target, "127.0.0.1:%u", port);
	dial_cancel(NULL);
	dial_cancel(dial_start(loop, target, NULL, 1000, on_dial, NULL));
	dial_cancel(dial_start(loop, "bad", NULL, 1000, on_dial, NULL));
	dial_cancel(dial_start(loop, target, target, 1000, on_dial, NULL));
	loop_defer(loop, cancel, dial_start(loop, target, NULL, 1000, on_dial, NULL));
	loop_run(loop);
	struct timer *timer =
		timer_new(loop, cancel, dial_start(loop, target, NULL, 1000, on_dial, NULL));
	timer_start(timer, 60, 0);
	loop_run(loop);
	timer_free(timer);
	loop_free(loop);
	loop = loop_new();
	assert_int_equal(called, 0);
	int after = dup(0);
	assert_int_equal(after, before + FILLERS + 1);
	close(before);
	close(after);
	drop(lfd, fds);
}

struct proxy {
	int lfd;
	const char *answer;
	char request[1024];
};

static void *
serve(void *user)
{
	struct proxy *p = user;
	size_t len = 0;
	int fd = accept(p->lfd, NULL, NULL);
	while (len < sizeof p->request - 1 && !strstr(p->request, "\r\n\r\n")) {
		ssize_t n = read(fd, p->request + len, sizeof p->request - 1 - len);
		if (n <= 0)
			break;
		len += (size_t)n;
		p->request[len] = '\0';
	}
	char byte;
	ssize_t n = write(fd, p->answer, strlen(p->answer));
	while (n > 0 && (n = read(fd, &byte, 1)) == 1)
		n = write(fd, &byte, 1); /* the far end: an echo */
	close(fd);
	return NULL;
}

static int
through(struct proxy *p, const char *user)
{
	uint16_t port = 0;
	char url[64];
	pthread_t thread;
	p->lfd = listener(AF_INET, 8, &port);
	str_print(url, sizeof url, "http://%s127.0.0.1:%u", user, port);
	setenv("no_proxy", "*", 1);
	assert_int_equal(pthread_create(&thread, NULL, serve, p), 0);
	assert_non_null(dial_start(loop, "gate.example:443", url, 3000, on_dial, NULL));
	loop_run(loop);
	if (result >= 0) {
		char byte = 0;
		assert_true(fcntl(result, F_GETFL) & O_NONBLOCK);
		assert_int_equal(write(result, "x", 1), 1);
		while (read(result, &byte, 1) < 0 && errno == EAGAIN)
			usleep(1000);
		assert_int_equal(byte, 'x');
		close(result);
	}
	pthread_join(thread, NULL);
	close(p->lfd);
	return result;
}

static void
proxy_tunnel(void **state)
{
	(void)state;
	struct proxy p = {.answer = "HTTP/1.1 200 Connection established\r\n\r\n"};
	assert_true(through(&p, "") >= 0);
	/* the proxy resolves the name, we do not */
	assert_non_null(strstr(p.request, "CONNECT gate.example:443 HTTP/1."));
}

static void
proxy_login_refused(void **state)
{
	(void)state;
	struct proxy p = {
		.answer =
			"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n"
			"Content-Length: 0\r\nConnection: close\r\n\r\n"};
	assert_int_equal(through(&p, ""), -ERR_PROXY_LOGIN);
}

static void
proxy_refuses_the_target(void **state)
{
	(void)state;
	struct proxy p = {
		.answer =
			"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"};
	assert_int_equal(through(&p, ""), -ERR_PROXY);
}

static void
proxy_is_not_there(void **state)
{
	(void)state;
	uint16_t port = 0;
	char url[64];
	int fd = listener(AF_INET, -1, &port);
	str_print(url, sizeof url, "http://127.0.0.1:%u", port);
	dial_start(loop, "gate.example:443", url, 3000, on_dial, NULL);
	loop_run(loop);
	assert_int_equal(result, -ECONNREFUSED);
	close(fd);
}

static void
proxy_black_hole(void **state)
{
	(void)state;
	uint16_t port = 0;
	char url[64];
	int fd = listener(AF_INET, 8, &port); /* takes the connection, never answers */
	str_print(url, sizeof url, "http://127.0.0.1:%u", port);
	dial_start(loop, "gate.example:443", url, 150, on_dial, NULL);
	loop_run(loop);
	assert_int_equal(result, -ERR_TIMEOUT);
	close(fd);
}

static void
split(void **state)
{
	(void)state;
	char host[16], port[6];
	assert_int_equal(dial_split("gate.example:443", host, sizeof host, port, sizeof port), 0);
	assert_string_equal(host, "gate.example");
	assert_string_equal(port, "443");
	assert_int_equal(dial_split("[2001:db8::1]:1", host, sizeof host, port, sizeof port), 0);
	assert_string_equal(host, "2001:db8::1");
	static const char *const bad[] = {"", "gate", ":443", "gate:", "gate:0", "gate:65536",
		"gate:443x", "gate:-1", "::1:443", "[::1]", "[]:443", "[::1]443", "[::1:443",
		"a.name.that.is.too.long:443"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(dial_split(bad[i], host, sizeof host, port, sizeof port), -EINVAL);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(connects),
		TEST(connects_over_v6),
		TEST(refused),
		TEST(other_family_after_a_refusal),
		TEST(black_hole_runs_into_the_deadline),
		TEST(happy_eyeballs),
		TEST(unknown_name),
		TEST(bad_target_is_reported_from_the_loop),
		TEST(cancelled_is_silent),
		TEST(proxy_tunnel),
		TEST(proxy_login_refused),
		TEST(proxy_refuses_the_target),
		TEST(proxy_is_not_there),
		TEST(proxy_black_hole),
		TEST(split),
	};
	return cmocka_run_group_tests_name("dial", tests, NULL, NULL);
}
