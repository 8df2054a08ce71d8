/*
 * Bytes from agents to clients through a relay.
 *
 *   flow [check] SESSIONS RECORD-BYTES RATE BYTES SECONDS RELAY…
 *
 * Each agent sends records of RECORD-BYTES, RATE bytes a second (0: as fast as it can; then as many
 * records leave together as fit into 64 KiB). Prints "ready", waits for a line on stdin, moves
 * BYTES in all but stops after SECONDS, and prints payload bytes received and the seconds they
 * took. The receiver counts by the headers of the records and opens none: it must be faster than
 * the relay.
 *
 * check, through a gate only: the receiver opens every record and compares every byte with what
 * must come next. It ends well only when all have come, in order, once, and nothing after them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "ends.h"

enum {
	SESSIONS_MAX = 4000,
	BATCH_BYTES = 65536,
	READ_BYTES = 262144,
	EVENTS = 64,
	APPLICATION_DATA = 23,
	INNER_BYTES = TLSREC_OVERHEAD_BYTES - TLSREC_HEADER_BYTES,
	PERIOD = 65521, /* of the payload; prime, so that no record is like the one before or after
			 */
	AFTER_MS = 300, /* what comes behind the last byte comes by then */
};

struct flow {
	struct ends ends;
	struct tlsrec rec; /* the agent's */
	uint64_t left, at; /* payload still to be sent, and what was */
	struct mono next;
	size_t wire_len, wire_sent;
	uint8_t *wire;
	/* of the receiver: */
	uint8_t header[TLSREC_HEADER_BYTES];
	size_t header_len, body_left;
	/* of one that checks: */
	struct tlsrec in;
	uint64_t taken;
	uint8_t *held; /* what is no whole record yet, and room to read */
	size_t held_len;
};

static struct {
	struct flow *flows;
	struct tlsrec_crypto *crypto;
	int epoll, check;
	int64_t count, record, rate, bytes, seconds;
	uint64_t received, all; /* ends when it has come */
	uint8_t payload[PERIOD + TLSREC_PLAIN_MAX_BYTES];
} load;

/* From this byte of its session on. Each session begins elsewhere: another's bytes are not its own.
 */
static const uint8_t *
payload_of(const struct flow *f, uint64_t at)
{
	return load.payload + (at + 1009 * (uint64_t)(f - load.flows)) % PERIOD;
}

static void
seal_more(struct flow *f)
{
	size_t most = load.rate ? 1 : SIZE_MAX;
	f->wire_len = f->wire_sent = 0;
	for (size_t i = 0; i < most && f->left > 0; i++) {
		size_t len = (size_t)load.record < f->left ? (size_t)load.record : (size_t)f->left;
		if (f->wire_len + len + TLSREC_OVERHEAD_BYTES > BATCH_BYTES)
			break;
		if (f->ends.agent.ssl) {
			int n = tlsrec_seal(&f->rec, load.crypto, payload_of(f, f->at), len,
				f->wire + f->wire_len);
			if (n < 0)
				ends_die("seal");
			f->wire_len += (size_t)n;
		} else {
			f->wire_len += len;
		}
		f->left -= len;
		f->at += len;
	}
}

static void
watch(struct flow *f, int fd, int op, uint32_t events, int is_agent)
{
	struct epoll_event event = {
		.events = events, .data.u64 = (uint64_t)(f - load.flows) << 1 | (unsigned)is_agent};
	if (epoll_ctl(load.epoll, op, fd, &event) < 0)
		ends_die("epoll");
}

/* One batch, or what is left of it. */
static void
send_some(struct flow *f)
{
	if (f->wire_sent == f->wire_len)
		seal_more(f);
	if (f->wire_len == 0) {
		if (!load.rate)
			watch(f, f->ends.agent.fd, EPOLL_CTL_MOD, 0, 1);
		return;
	}
	ssize_t n = send(f->ends.agent.fd, f->wire + f->wire_sent, f->wire_len - f->wire_sent,
		MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN)
		ends_die("send");
	f->wire_sent += n > 0 ? (size_t)n : 0;
}

/* Payload bytes by the headers of records. */
static void
count(struct flow *f, const uint8_t *data, size_t len)
{
	if (!f->ends.client.ssl) {
		load.received += len;
		return;
	}
	while (len > 0) {
		if (f->body_left == 0) {
			f->header[f->header_len++] = *data++;
			len--;
			if (f->header_len < TLSREC_HEADER_BYTES)
				continue;
			f->header_len = 0;
			f->body_left = (size_t)f->header[3] << 8 | f->header[4];
			if (f->header[0] == APPLICATION_DATA && f->body_left > INNER_BYTES)
				load.received += f->body_left - INNER_BYTES;
			continue;
		}
		size_t n = len < f->body_left ? len : f->body_left;
		f->body_left -= n;
		data += n;
		len -= n;
	}
}

/* The next bytes of the session. */
static void
compare(struct flow *f, const uint8_t *data, size_t len)
{
	if (memcmp(data, payload_of(f, f->taken), len) != 0 || f->taken + len > f->at) {
		fprintf(stderr, "flow: session %td: other bytes than were sent, after %llu\n",
			f - load.flows, (unsigned long long)f->taken);
		exit(1);
	}
	f->taken += len;
	load.received += len;
}

static void
receive_checked(struct flow *f)
{
	ssize_t n = recv(f->ends.client.fd, f->held + f->held_len, READ_BYTES, MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		ends_die("recv");
	size_t have = f->held_len + (n > 0 ? (size_t)n : 0), used = 0;
	for (;;) {
		uint8_t *data;
		size_t len;
		int record = tlsrec_length(f->held + used, have - used);
		if (record == 0 || (record > 0 && (size_t)record > have - used))
			break;
		if (record < 0 ||
			tlsrec_open(&f->in, load.crypto, f->held + used, (size_t)record, &data,
				&len) != 0 ||
			f->in.closed)
			ends_die("a record that is none");
		compare(f, data, len);
		used += (size_t)record;
	}
	f->held_len = have - used;
	memmove(f->held, f->held + used, f->held_len);
}

static void
receive(struct flow *f)
{
	if (load.check) {
		receive_checked(f);
		return;
	}
	static uint8_t data[READ_BYTES];
	ssize_t n = recv(f->ends.client.fd, data, sizeof data, MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		ends_die("recv");
	if (n > 0)
		count(f, data, (size_t)n);
}

static void
send_due(void)
{
	struct mono now = mono_now();
	for (int64_t i = 0; i < load.count; i++) {
		struct flow *f = &load.flows[i];
		if (f->wire_sent < f->wire_len) {
			send_some(f);
		} else if (!mono_before(now, f->next)) {
			send_some(f);
			f->next.ns += (uint64_t)(load.record * 1000000000 / load.rate);
		}
	}
}

static void
move(struct mono end)
{
	struct epoll_event events[EVENTS];
	while (load.received < load.all && mono_before(mono_now(), end)) {
		int n = epoll_wait(load.epoll, events, EVENTS, load.rate ? 1 : 100);
		for (int i = 0; i < n; i++) {
			struct flow *f = &load.flows[events[i].data.u64 >> 1];
			if (events[i].data.u64 & 1)
				send_some(f);
			else
				receive(f);
		}
		if (load.rate)
			send_due();
	}
}

/* All of it, and for a while nothing more. */
static void
check_end(void)
{
	struct epoll_event event;
	if (load.received != load.all) {
		fprintf(stderr, "flow: %llu of %llu bytes came\n",
			(unsigned long long)load.received, (unsigned long long)load.all);
		exit(1);
	}
	if (epoll_wait(load.epoll, &event, 1, AFTER_MS) > 0)
		receive(&load.flows[event.data.u64 >> 1]);
}

static void
flow_open(struct flow *f, struct relay *relay)
{
	relay_session(relay, &f->ends);
	f->wire = mem_new(BATCH_BYTES);
	f->left = (uint64_t)(load.bytes / load.count) + 1;
	load.all += load.check ? f->left : 0;
	if (f->ends.agent.ssl)
		end_export(&f->ends.agent, &f->rec);
	if (load.check) {
		end_export(&f->ends.client, &f->in);
		f->held = mem_new(TLSREC_WIRE_MAX_BYTES + READ_BYTES);
	}
	watch(f, f->ends.client.fd, EPOLL_CTL_ADD, EPOLLIN, 0);
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "check") == 0) {
		load.check = 1;
		argc--;
		argv++;
	}
	if (argc < 7 || (load.check && strcmp(argv[6], "engawa") != 0) ||
		str_int(argv[1], 1, SESSIONS_MAX, &load.count) < 0 ||
		str_int(argv[2], 1, TLSREC_PLAIN_MAX_BYTES, &load.record) < 0 ||
		str_int(argv[3], 0, INT32_MAX, &load.rate) < 0 ||
		str_int(argv[4], 1, INT64_MAX / 2, &load.bytes) < 0 ||
		str_int(argv[5], 1, 3600, &load.seconds) < 0)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	struct relay *relay = relay_open(argc - 6, argv + 6);
	load.crypto = tlsrec_crypto_new();
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	for (size_t i = 0; i < sizeof load.payload; i++)
		load.payload[i] = (uint8_t)((i % PERIOD) * 2654435761 >> 13);
	load.all = load.check ? 0 : (uint64_t)load.bytes;
	load.flows = mem_new((size_t)load.count * sizeof *load.flows);
	for (int64_t i = 0; i < load.count; i++)
		flow_open(&load.flows[i], relay);
	relay_done(relay);
	printf("ready\n");
	if (getchar() == EOF)
		return 0;
	struct mono begin = mono_now();
	for (int64_t i = 0; i < load.count; i++) {
		struct flow *f = &load.flows[i];
		if (load.rate) /* spread over the time between two records */
			f->next.ns = begin.ns + (uint64_t)(load.record * 1000000000 / load.rate *
							   i / load.count);
		else
			watch(f, f->ends.agent.fd, EPOLL_CTL_ADD, EPOLLOUT, 1);
	}
	move(mono_add_ms(begin, (uint64_t)load.seconds * 1000));
	struct mono took = {mono_now().ns - begin.ns};
	if (load.check)
		check_end();
	printf("%llu %.6f\n", (unsigned long long)load.received, (double)took.ns / 1e9);
	return 0;
}
