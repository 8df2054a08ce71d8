#include "desktop/link.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "base/err.h"
#include "net/frame.h"

enum {
	IN_MAX_BYTES = FRAME_HEADER_BYTES + FRAME_MAX_BYTES
};

int
link_init(struct link *link, int fd)
{
	*link = (struct link){.fd = fd};
	buf_init(&link->in, IN_MAX_BYTES);
	buf_init(&link->out, LINK_QUEUE_MAX_BYTES);
	int flags = fcntl(fd, F_GETFL);
	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

void
link_fini(struct link *link)
{
	buf_fini(&link->in);
	buf_fini(&link->out);
}

int
link_wants_input(const struct link *link)
{
	return buf_room(&link->in) > 0;
}

int
link_read(struct link *link)
{
	size_t room = buf_room(&link->in);
	uint8_t *to = room ? buf_reserve(&link->in, room) : NULL;
	if (!to)
		return room ? -ENOMEM : 0;
	ssize_t n = recv(link->fd, to, room, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0
		       : errno == ECONNRESET             ? -ERR_CLOSED
							 : -errno;
	if (n == 0)
		return -ERR_CLOSED;
	buf_commit(&link->in, (size_t)n);
	return 0;
}

int
link_next(struct link *link, uint8_t *ret_type, const uint8_t **ret_payload, size_t *ret_len)
{
	buf_drop(&link->in, link->used);
	link->used = 0;
	int r = frame_parse(buf_data(&link->in), buf_len(&link->in), FRAME_MAX_BYTES, ret_type,
		ret_payload, ret_len);
	if (r <= 0)
		return r;
	link->used = (size_t)r;
	return 1;
}

int
link_send(struct link *link, uint8_t type, const pb_msgdesc_t *fields, const void *msg)
{
	enum {
		MAX = FRAME_HEADER_BYTES + FRAME_MAX_BYTES
	};
	if (buf_room(&link->out) < MAX)
		return -ENOBUFS;
	uint8_t *to = buf_reserve(&link->out, MAX);
	if (!to)
		return -ENOMEM;
	int len = frame_encode(type, fields, msg, to, MAX);
	if (len < 0)
		return len;
	buf_commit(&link->out, (size_t)len);
	return 0;
}

int
link_flush(struct link *link)
{
	while (buf_len(&link->out) > 0) {
		ssize_t n = send(link->fd, buf_data(&link->out), buf_len(&link->out), MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR       ? 0
			       : errno == EPIPE || errno == ECONNRESET ? -ERR_CLOSED
								       : -errno;
		buf_drop(&link->out, (size_t)n);
	}
	return 0;
}

size_t
link_queued(const struct link *link)
{
	return buf_len(&link->out);
}
