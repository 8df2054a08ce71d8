#include "agent/inner.h"

#include <errno.h>
#include <fcntl.h>
#include <pb_encode.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "inner.pb.h"

enum {
	IN_MAX_BYTES = RECORD_WIRE_MAX_BYTES,
	READ_BYTES = 4096,
	ENCODED_MAX_BYTES = 8192
};

static void
events(struct inner *inner)
{
	if (inner->watch)
		watch_set(inner->watch, (inner->finishing || inner->held ? 0 : WATCH_READ) |
						(buf_len(&inner->out_bytes) ? WATCH_WRITE : 0));
}

void
inner_close(struct inner *inner)
{
	if (!inner->watch)
		return;
	watch_free(inner->watch);
	inner->watch = NULL;
	close(inner->fd);
	noise_cipher_fini(&inner->in);
	noise_cipher_fini(&inner->out);
	buf_fini(&inner->in_bytes);
	buf_fini(&inner->out_bytes);
}

static void
close_it(struct inner *inner, int code)
{
	if (!inner->watch)
		return;
	inner_close(inner);
	inner->on_closed(inner->user, code);
}

static int
take_records(struct inner *inner)
{
	static uint8_t plain[RECORD_PLAIN_MAX_BYTES];
	const uint8_t *payload;
	uint8_t type;
	size_t len;
	int used, r = 0;
	while (!inner->finishing &&
		(used = record_open(&inner->in, buf_data(&inner->in_bytes),
			 buf_len(&inner->in_bytes), plain, &type, &payload, &len)) != 0) {
		if (used < 0)
			return used;
		buf_drop(&inner->in_bytes, (size_t)used);
		r = inner->on_record(inner->user, type, payload, len);
		mem_wipe(plain, sizeof plain);
		if (r < 0)
			return r;
	}
	return 0;
}

static int
read_some(struct inner *inner)
{
	size_t room =
		buf_room(&inner->in_bytes) < READ_BYTES ? buf_room(&inner->in_bytes) : READ_BYTES;
	uint8_t *space = buf_reserve(&inner->in_bytes, room);
	if (!space)
		return -ENOMEM;
	ssize_t n = recv(inner->fd, space, room, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ERR_CLOSED;
	buf_commit(&inner->in_bytes, (size_t)n);
	return take_records(inner);
}

static int
write_some(struct inner *inner)
{
	ssize_t n = send(
		inner->fd, buf_data(&inner->out_bytes), buf_len(&inner->out_bytes), MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	buf_drop(&inner->out_bytes, (size_t)n);
	return 0;
}

static void
on_ready(void *user, int ready)
{
	struct inner *inner = user;
	int r = 0;
	if (ready & WATCH_READ && !inner->finishing && !inner->held)
		r = read_some(inner);
	if (r == 0 && buf_len(&inner->out_bytes)) {
		r = write_some(inner);
		if (r == 0 && buf_len(&inner->out_bytes) == 0 && inner->on_drained &&
			!inner->finishing)
			inner->on_drained(inner->user);
	}
	if (r == 0 && inner->finishing && buf_len(&inner->out_bytes) == 0)
		r = -ERR_CLOSED;
	if (r < 0)
		close_it(inner, r);
	else
		events(inner);
}

int
inner_open(struct inner *inner, struct loop *loop, int fd, enum record_padding padding,
	const uint8_t in_key[static 32], const uint8_t out_key[static 32])
{
	inner->loop = loop;
	inner->fd = fd;
	inner->padding = padding;
	buf_init(&inner->in_bytes, IN_MAX_BYTES);
	buf_init(&inner->out_bytes, INNER_OUT_MAX_BYTES);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	if (noise_cipher_init(&inner->in, in_key) < 0 ||
		noise_cipher_init(&inner->out, out_key) < 0)
		return -ERR_CRYPTO;
	inner->watch = watch_new(loop, fd, on_ready, inner);
	events(inner);
	return 0;
}

int
inner_send(struct inner *inner, uint8_t type, const void *payload, size_t len)
{
	if (!inner->watch || inner->finishing)
		return -ERR_CLOSED;
	uint8_t *space = buf_reserve(&inner->out_bytes, RECORD_WIRE_MAX_BYTES);
	if (!space)
		return -ENOBUFS;
	/* it comes at once after a ping of the same length, whatever is on the screen */
	enum record_padding padding =
		type == engawa_InnerType_INNER_PONG ? RECORD_CLIENT : inner->padding;
	int n = record_seal(
		&inner->out, padding, type, payload, len, space, RECORD_WIRE_MAX_BYTES);
	if (n < 0)
		return n;
	buf_commit(&inner->out_bytes, (size_t)n);
	events(inner);
	return 0;
}

int
inner_send_message(struct inner *inner, uint8_t type, const pb_msgdesc_t *fields, const void *msg)
{
	uint8_t bytes[ENCODED_MAX_BYTES];
	pb_ostream_t stream = pb_ostream_from_buffer(bytes, sizeof bytes);
	int r = pb_encode(&stream, fields, msg)
			? inner_send(inner, type, bytes, stream.bytes_written)
			: -ERR_TOO_LONG;
	mem_wipe(bytes, sizeof bytes);
	return r;
}

int
inner_send_notice(struct inner *inner, const struct notice *notice)
{
	engawa_Notice msg = {.code = notice->code, .seconds = notice->seconds};
	for (size_t i = 0; i < notice->findings.count; i++)
		msg.findings[msg.findings_count++] = notice->findings.codes[i];
	return inner_send_message(inner, engawa_InnerType_INNER_NOTICE, engawa_Notice_fields, &msg);
}

void
inner_read(struct inner *inner)
{
	inner->held = 0;
	events(inner);
}

size_t
inner_queued(const struct inner *inner)
{
	return buf_len(&inner->out_bytes);
}

static void
finish_now(void *user)
{
	struct inner *inner = user;
	if (inner->watch && buf_len(&inner->out_bytes) == 0)
		close_it(inner, -ERR_CLOSED);
}

void
inner_finish(struct inner *inner)
{
	if (!inner->watch || inner->finishing)
		return;
	inner->finishing = 1;
	events(inner);
	if (buf_len(&inner->out_bytes) == 0)
		loop_defer(inner->loop, finish_now, inner);
}
