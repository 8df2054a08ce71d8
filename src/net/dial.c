/*
 * Direct: getaddrinfo on the pool, then attempts one after another, 250 ms apart or as soon as one
 * fails, until one connects. Proxy:  libcurl makes the tunnel on the pool and we keep a duplicate
 * of its socket; it is the one library that speaks every proxy's dialect, and it blocks only its
 * own thread.
 */
#include "net/dial.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	ADDRESSES_MAX = 16,
	NEXT_ATTEMPT_MS = 250, /* RFC 8305 5 */
	HOST_SIZE = 256,
	PORT_SIZE = 6,
};

struct attempt {
	struct dial *dial;
	struct watch *watch;
	int fd;
};

struct dial {
	struct loop *loop;
	dial_fn *fn;
	void *user;
	struct timer *deadline, *next;
	uint64_t deadline_ms;
	char host[HOST_SIZE], port[PORT_SIZE];
	char *proxy;
	int failure; /* latest, negative */

	int working;     /* the pool has us: memory stays until it is done */
	int over;        /* fn was called, or cancelled */
	atomic_int stop; /* read by the pool's thread */
	int work_result; /* of the pool: 0, negative, or the tunnel's descriptor */

	struct sockaddr_storage addresses[ADDRESSES_MAX];
	socklen_t address_lens[ADDRESSES_MAX];
	size_t address_count, started, open_count;
	struct attempt attempts[ADDRESSES_MAX];
};

int
dial_split(const char *target, char *ret_host, size_t host_size, char *ret_port, size_t port_size)
{
	const char *end, *host = target, *colon = strrchr(target, ':');
	int64_t number;
	if (!colon)
		return -EINVAL;
	if (*target == '[') {
		host++;
		end = strchr(target, ']');
		if (!end || end + 1 != colon)
			return -EINVAL;
	} else {
		end = colon;
		if (strchr(target, ':') != colon)
			return -EINVAL;
	}
	if (end == host || str_int(colon + 1, 1, 65535, &number) < 0)
		return -EINVAL;
	if (str_print(ret_host, host_size, "%.*s", (int)(end - host), host) < 0 ||
		str_print(ret_port, port_size, "%d", (int)number) < 0)
		return -EINVAL;
	return 0;
}

static void
release(void *user)
{
	struct dial *d = user;
	if (d->proxy)
		mem_wipe_free(d->proxy, strlen(d->proxy)); /* may hold a password */
	free(d);
}

/* Stops everything; memory goes when nobody can look at it any more. */
static void
end(struct dial *d)
{
	assert(!d->over);
	d->over = 1;
	atomic_store(&d->stop, 1);
	timer_free(d->deadline);
	timer_free(d->next);
	for (size_t i = 0; i < d->started; i++) {
		watch_free(d->attempts[i].watch);
		if (d->attempts[i].fd >= 0)
			close(d->attempts[i].fd);
	}
	if (!d->working)
		loop_defer(d->loop, release, d);
}

static void
report(struct dial *d, int fd)
{
	dial_fn *fn = d->fn;
	void *user = d->user;
	int on = 1;
	end(d);
	if (fd >= 0)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	fn(user, fd);
}

static void
on_deadline(void *user)
{
	report(user, -ERR_TIMEOUT);
}

static void try_next(struct dial *d);

static void
on_attempt(void *user, int ready)
{
	struct attempt *a = user;
	struct dial *d = a->dial;
	int error = 0, fd = a->fd;
	socklen_t len = sizeof error;
	(void)ready;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	watch_free(a->watch);
	a->watch = NULL;
	a->fd = -1;
	if (!error) {
		report(d, fd);
		return;
	}
	close(fd);
	d->open_count--;
	d->failure = -error;
	try_next(d);
}

/* Opens attempts until one is on its way; reports when none is and none is left. */
static void
try_next(struct dial *d)
{
	while (d->started < d->address_count) {
		size_t i = d->started++;
		struct attempt *a = &d->attempts[i];
		*a = (struct attempt){.dial = d, .fd = -1};
		int fd = socket(
			d->addresses[i].ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fd >= 0 && (connect(fd, (struct sockaddr *)&d->addresses[i],
					d->address_lens[i]) == 0 ||
				       errno == EINPROGRESS)) {
			a->fd = fd;
			a->watch = watch_new(d->loop, fd, on_attempt, a);
			watch_set(a->watch, WATCH_WRITE);
			d->open_count++;
			timer_start(d->next, NEXT_ATTEMPT_MS, 0);
			return;
		}
		d->failure = -errno;
		if (fd >= 0)
			close(fd);
	}
	if (d->open_count == 0)
		report(d, d->failure);
}

static void
on_next(void *user)
{
	try_next(user);
}

/* The resolver's order, families alternating (RFC 8305 4). */
static void
take_addresses(struct dial *d, struct addrinfo *list)
{
	const struct addrinfo *same = list, *other = list;
	int family = list->ai_family;
	while ((same || other) && d->address_count < ADDRESSES_MAX) {
		const struct addrinfo **from = d->address_count % 2 ? &other : &same;
		int odd = d->address_count % 2 != 0;
		while (*from && ((*from)->ai_family != family) != odd)
			*from = (*from)->ai_next;
		if (!*from) {
			/* this family is used up: the rest of the other one in its order */
			from = odd ? &same : &other;
			while (*from && ((*from)->ai_family != family) == odd)
				*from = (*from)->ai_next;
			if (!*from)
				return;
		}
		memcpy(&d->addresses[d->address_count], (*from)->ai_addr, (*from)->ai_addrlen);
		d->address_lens[d->address_count++] = (*from)->ai_addrlen;
		*from = (*from)->ai_next;
	}
}

static void
run_resolve(void *user)
{
	struct dial *d = user;
	struct addrinfo *list = NULL;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	int r = getaddrinfo(d->host, d->port, &hints, &list);
	d->work_result = r == 0 ? 0 : r == EAI_MEMORY ? -ENOMEM : -ERR_NO_GATE;
	if (r == 0) {
		take_addresses(d, list);
		freeaddrinfo(list);
	}
}

static void
on_resolved(void *user)
{
	struct dial *d = user;
	d->working = 0;
	if (d->over) {
		release(d);
		return;
	}
	d->failure = -ERR_NO_GATE;
	if (d->work_result < 0)
		report(d, d->work_result);
	else
		try_next(d);
}

static int
on_progress(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t e)
{
	struct dial *d = user;
	(void)a, (void)b, (void)c, (void)e;
	return atomic_load(&d->stop);
}

static int
tunnel_failure(CURL *curl, CURLcode r)
{
	long status = 0, number = 0;
	curl_easy_getinfo(curl, CURLINFO_HTTP_CONNECTCODE, &status);
	curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &number);
	if (status == 407)
		return -ERR_PROXY_LOGIN;
	if (status != 0)
		return -ERR_PROXY;
	if (r == CURLE_OPERATION_TIMEDOUT)
		return -ERR_TIMEOUT;
	return number > 0 ? -(int)number : -ERR_PROXY;
}

static int
tunnel_socket(CURL *curl)
{
	curl_socket_t socket;
	if (curl_easy_getinfo(curl, CURLINFO_ACTIVESOCKET, &socket) != CURLE_OK ||
		socket == CURL_SOCKET_BAD)
		return -ERR_PROXY;
	int fd = fcntl(socket, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

static void
run_tunnel(void *user)
{
	struct dial *d = user;
	char url[HOST_SIZE + PORT_SIZE + 16];
	CURL *curl = curl_easy_init();
	int six = strchr(d->host, ':') != NULL;
	d->work_result = -ENOMEM;
	if (!curl || str_print(url, sizeof url, "http://%s%s%s:%s", six ? "[" : "", d->host,
			     six ? "]" : "", d->port) < 0)
		goto out;
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROXY, d->proxy);
	curl_easy_setopt(curl, CURLOPT_NOPROXY,
		""); /* what the setting says, not what the environment says */
	curl_easy_setopt(curl, CURLOPT_PROXYAUTH, CURLAUTH_ANY);
	curl_easy_setopt(curl, CURLOPT_HTTPPROXYTUNNEL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)d->deadline_ms);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, d);
	CURLcode r = curl_easy_perform(curl);
	d->work_result = r == CURLE_OK ? tunnel_socket(curl) : tunnel_failure(curl, r);
out:
	curl_easy_cleanup(curl);
}

static void
on_tunnel(void *user)
{
	struct dial *d = user;
	d->working = 0;
	if (!d->over) {
		report(d, d->work_result);
		return;
	}
	if (d->work_result >= 0)
		close(d->work_result);
	release(d);
}

static void
on_bad_target(void *user)
{
	struct dial *d = user;
	d->working = 0;
	if (d->over)
		release(d);
	else
		report(d, -EINVAL);
}

static void
start_curl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct dial *
dial_start(struct loop *loop, const char *target, const char *proxy, uint64_t deadline_ms,
	dial_fn *fn, void *user)
{
	static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
	struct dial *d = mem_new(sizeof *d);
	d->loop = loop;
	d->fn = fn;
	d->user = user;
	d->deadline_ms = deadline_ms;
	d->proxy = mem_str(proxy);
	d->deadline = timer_new(loop, on_deadline, d);
	d->next = timer_new(loop, on_next, d);
	d->working = 1;
	timer_start(d->deadline, deadline_ms, 0);
	if (dial_split(target, d->host, sizeof d->host, d->port, sizeof d->port) < 0) {
		loop_defer(loop, on_bad_target, d);
	} else if (proxy) {
		pthread_once(&curl_once, start_curl);
		loop_work(loop, run_tunnel, on_tunnel, d);
	} else {
		loop_work(loop, run_resolve, on_resolved, d);
	}
	return d;
}

void
dial_cancel(struct dial *d)
{
	if (d)
		end(d);
}
