/*
 * A line between two hosts of one machine, as slow, far and lossy as it is told:
 *
 *   link NETNS OFFICE-ADDRESS HOME-ADDRESS
 *
 * A TUN device here and one in the network namespace /run/netns/NETNS, a queue in each direction.
 * A line "KBIT_S DELAY_MS LOSS_PERMILLE" on stdin makes it another line (0: no limit; the delay is
 * that of one way); every line is answered with the bytes of TCP payload that have been sent
 * towards home and towards the office, retransmissions included, and the packets lost. A queue
 * holds QUEUE_MS of the line's rate, as a router's does; what does not fit is lost.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

enum {
	MTU = 1500,
	QUEUE_MAX = 4096, /* packets */
	QUEUE_MS = 200,
	QUEUE_LEAST_BYTES = 32 * MTU,
	IP_TCP = 6,
};

struct packet {
	struct mono due;
	uint16_t len;
	uint8_t bytes[MTU];
};

struct direction {
	int from, to;
	struct packet *queue;
	size_t first, count;
	struct mono free_at; /* the line has sent all that was given to it */
	uint64_t payload, lost;
};

static uint64_t kbit_s, delay_ms, loss_permille;

static void __attribute__((noreturn)) die(const char *what)
{
	perror(what);
	exit(1);
}

static void
set_address(int s, struct ifreq *request, unsigned long what, const char *address)
{
	struct sockaddr_in *a = (struct sockaddr_in *)(void *)&request->ifr_addr;
	*a = (struct sockaddr_in){.sin_family = AF_INET};
	inet_pton(AF_INET, address, &a->sin_addr);
	if (ioctl(s, what, request) < 0)
		die("address");
}

static int
tun_open(const char *name, const char *address, const char *peer)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	str_copy(request.ifr_name, sizeof request.ifr_name, name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0)
		die("tun");
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	set_address(s, &request, SIOCSIFADDR, address);
	set_address(s, &request, SIOCSIFDSTADDR, peer);
	request.ifr_flags = IFF_UP | IFF_RUNNING | IFF_POINTOPOINT | IFF_NOARP;
	if (ioctl(s, SIOCSIFFLAGS, &request) < 0)
		die("up");
	close(s);
	return fd;
}

static void
loopback_up(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (ioctl(s, SIOCSIFFLAGS, &request) < 0)
		die("lo");
	close(s);
}

static int
tun_open_in(const char *netns, const char *name, const char *address, const char *peer)
{
	char path[64];
	int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (str_print(path, sizeof path, "/run/netns/%s", netns) < 0)
		die("netns");
	int there = open(path, O_RDONLY | O_CLOEXEC);
	if (here < 0 || there < 0 || setns(there, CLONE_NEWNET) < 0)
		die("netns");
	loopback_up();
	int fd = tun_open(name, address, peer);
	if (setns(here, CLONE_NEWNET) < 0)
		die("netns");
	close(here);
	close(there);
	return fd;
}

static size_t
tcp_payload(const uint8_t *p, size_t len)
{
	size_t head = (size_t)(p[0] & 15) * 4;
	if (len < 20 || p[0] >> 4 != 4 || p[9] != IP_TCP || len < head + 20)
		return 0;
	size_t total = head + (size_t)(p[head + 12] >> 4) * 4;
	return len > total ? len - total : 0;
}

static uint64_t
line_ns(size_t bytes)
{
	return kbit_s ? bytes * 8 * 1000000 / kbit_s : 0;
}

static int
full(const struct direction *d, struct mono now)
{
	if (d->count == QUEUE_MAX)
		return 1;
	uint64_t most_ns = line_ns(QUEUE_LEAST_BYTES);
	if (most_ns < QUEUE_MS * UINT64_C(1000000))
		most_ns = QUEUE_MS * UINT64_C(1000000);
	return kbit_s && d->free_at.ns > now.ns + most_ns;
}

static void
take(struct direction *d, struct mono now)
{
	for (;;) {
		struct packet *p = &d->queue[(d->first + d->count) % QUEUE_MAX];
		uint8_t spill[MTU];
		int lose = full(d, now);
		ssize_t n = read(d->from, lose ? spill : p->bytes, MTU);
		if (n <= 0)
			return;
		d->payload += tcp_payload(lose ? spill : p->bytes, (size_t)n);
		if (lose || (uint64_t)(random() % 1000) < loss_permille) {
			d->lost++;
			continue;
		}
		struct mono begin = mono_before(d->free_at, now) ? now : d->free_at;
		d->free_at.ns = begin.ns + line_ns((size_t)n);
		p->due = mono_add_ms(d->free_at, delay_ms);
		p->len = (uint16_t)n;
		d->count++;
	}
}

/* Sends what is due; milliseconds to the next packet, -1 = none. */
static int
give(struct direction *d, struct mono now)
{
	while (d->count) {
		struct packet *p = &d->queue[d->first];
		if (mono_before(now, p->due))
			return (int)((p->due.ns - now.ns + 999999) / 1000000);
		if (write(d->to, p->bytes, p->len) < 0)
			d->lost++;
		d->first = (d->first + 1) % QUEUE_MAX;
		d->count--;
	}
	return -1;
}

/* One line at a time comes. 0 when stdin ended. */
static int
obey(const struct direction *home, const struct direction *office)
{
	char line[64];
	uint64_t numbers[3];
	ssize_t n = read(STDIN_FILENO, line, sizeof line - 1);
	if (n <= 0)
		return 0;
	line[n] = 0;
	if (sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNu64, &numbers[0], &numbers[1],
		    &numbers[2]) == 3) {
		kbit_s = numbers[0];
		delay_ms = numbers[1];
		loss_permille = numbers[2];
	}
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", home->payload, office->payload,
		home->lost + office->lost);
	fflush(stdout);
	return 1;
}

int
main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	srandom(7);
	int office = tun_open("engawa-bench", argv[2], argv[3]),
	    home = tun_open_in(argv[1], "engawa-home", argv[3], argv[2]);
	struct direction d[2] = {{.from = office, .to = home}, {.from = home, .to = office}};
	for (int i = 0; i < 2; i++)
		if (!(d[i].queue = calloc(QUEUE_MAX, sizeof *d[i].queue)))
			die("memory");
	puts("ready");
	fflush(stdout);
	int wait = -1;
	for (;;) {
		struct pollfd p[3] = {
			{office, POLLIN, 0}, {home, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
		poll(p, 3, wait);
		struct mono now = mono_now();
		if (p[2].revents && !obey(&d[0], &d[1]))
			return 0;
		wait = -1;
		for (int i = 0; i < 2; i++) {
			take(&d[i], now);
			int w = give(&d[i], now);
			wait = wait < 0 || (w >= 0 && w < wait) ? w : wait;
		}
	}
}
