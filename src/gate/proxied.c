#include "gate/proxied.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/str.h"
#include "gate/blame.h"
#include "gate/door.h"
#include "gate/worker.h"
#include "net/proxy.h"

static struct address
from_v4(const struct in_addr *in)
{
	struct address a = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}};
	memcpy(a.bytes + 12, in, 4);
	return a;
}

static int
same_bits(const uint8_t *a, const uint8_t *b, int64_t bits)
{
	size_t whole = (size_t)bits / 8;
	unsigned rest = (unsigned)bits % 8;
	return memcmp(a, b, whole) == 0 &&
	       (rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0);
}

int
proxied_match(const char *network, const struct address *address)
{
	char text[INET6_ADDRSTRLEN];
	const char *slash = strchr(network, '/');
	size_t len = slash ? (size_t)(slash - network) : strlen(network);
	struct address base;
	struct in_addr v4;
	int64_t bits;
	if (str_print(text, sizeof text, "%.*s", (int)len, network) < 0)
		return -ERR_SETTING;
	int is_v4 = inet_pton(AF_INET, text, &v4) == 1;
	if (is_v4)
		base = from_v4(&v4);
	else if (inet_pton(AF_INET6, text, base.bytes) != 1)
		return -ERR_SETTING;
	bits = is_v4 ? 32 : 128;
	if (slash && str_int(slash + 1, 0, bits, &bits) < 0)
		return -ERR_SETTING;
	return same_bits(base.bytes, address->bytes, is_v4 ? bits + 96 : bits);
}

int
proxied_source(const struct worker *w, const struct address *address)
{
	for (size_t i = 0; i < w->settings.proxy_from.count; i++)
		if (proxied_match(w->settings.proxy_from.items[i], address) == 1)
			return 1;
	return 0;
}

static struct address
address_of(const struct proxy *proxy)
{
	struct address a;
	if (proxy->source.ss_family == AF_INET)
		return from_v4(
			&((const struct sockaddr_in *)(const void *)&proxy->source)->sin_addr);
	memcpy(a.bytes, &((const struct sockaddr_in6 *)(const void *)&proxy->source)->sin6_addr,
		16);
	return a;
}

/* Counted for whom it is from here on, not for the load balancer. */
static int
count_anew(struct worker *w, struct leg *l, const struct address *real)
{
	enum blame blame = blame_ask_source(w, real);
	int r = door_admit(w, real, blame, l);
	if (r < 0)
		return r;
	l->waits = blame != BLAME_NONE;
	limit_opened(&w->limits, &l->address);
	limit_closed(&w->limits, &l->address);
	l->address = *real;
	return 0;
}

int
proxied_take(struct worker *w, struct leg *l)
{
	uint8_t data[PROXY_MAX_BYTES];
	struct proxy proxy;
	size_t need;
	/* looked at, not taken: what is behind the header belongs to TLS */
	ssize_t n = recv(l->fd, data, sizeof data, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -EAGAIN : -errno;
	if (n == 0)
		return -ERR_CLOSED;
	int len = proxy_parse(data, (size_t)n, &proxy, &need);
	if (len <= 0)
		return len == 0 ? -EAGAIN : len;
	if (recv(l->fd, data, (size_t)len, MSG_DONTWAIT) != len)
		return -ERR_CLOSED;
	l->wants_proxy = 0;
	if (proxy.source_len == 0)
		return 0; /* the load balancer itself: is the gate alive? */
	struct address real = address_of(&proxy);
	int r = count_anew(w, l, &real);
	if (r == 0)
		l->proxied = 1;
	return r;
}
