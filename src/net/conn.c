/*
 *            writable, no error        handshake done
 * CONNECTING ------------------> SHAKING ------------> OPEN --conn_finish--> FLUSHING --all sent-->
 * LINGERING |  plain: straight to OPEN    |                   |                       | |
 *     +-----------------------------+-------------------+---- fail, end of file, deadline
 * --------------+--> DEAD
 *
 * All work is done in step(), which runs from the loop only; conn_send and its like change state
 * and wishes and leave.
 */
#include "net/conn.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypto/tls.h"

enum state {
	CONNECTING,
	SHAKING,
	OPEN,
	FLUSHING,
	LINGERING,
	DEAD
};

enum {
	READ_CHUNK_BYTES = 16384, /* a TLS record */
	STEP_CHUNKS = 16,         /* of each direction in one step: others want their turn */
	FLUSH_MS = 10000,         /* conn_finish: for the bytes that are queued */
	LINGER_MS = 2000,         /* and then for the peer's own end */
};

/* What an operation on the socket came to, for TLS and plain alike. */
enum io {
	IO_DONE,
	IO_AGAIN,
	IO_END,
	IO_FAILED
};

struct conn {
	struct loop *loop;
	struct watch *watch;
	struct timer *deadline;
	SSL *tls;
	int fd;
	enum state state;
	const struct conn_events *events;
	void *user;
	struct buf in, out;
	int read_wants,
		write_wants; /* WATCH_ bits that the last attempt of each direction waits for */
	int paused, kicked, freed;
	int offer; /* data in the buffer is to be offered before anything is read */
	uint64_t plain_in, plain_out;
	int code;
	char address[INET6_ADDRSTRLEN];
	char error[160];
};

static void step(struct conn *c);

static void
on_watch(void *user, int ready)
{
	(void)ready;
	step(user);
}

static void
on_kick(void *user)
{
	struct conn *c = user;
	c->kicked = 0;
	if (!c->freed)
		step(c);
}

/* One step soon, although the socket may have nothing new. */
static void
kick(struct conn *c)
{
	if (!c->kicked && c->state != DEAD)
		loop_defer(c->loop, on_kick, c);
	c->kicked = 1;
}

static void
set_wishes(struct conn *c)
{
	int wishes = 0;
	switch (c->state) {
	case CONNECTING:
		wishes = WATCH_WRITE;
		break;
	case SHAKING:
		wishes = c->read_wants;
		break;
	case OPEN:
		if (!c->paused && buf_room(&c->in) > 0)
			wishes |= c->read_wants;
		if (buf_len(&c->out) > 0)
			wishes |= c->write_wants;
		break;
	case FLUSHING:
		wishes = c->write_wants;
		break;
	case LINGERING:
		wishes = WATCH_READ;
		break;
	case DEAD:
		return;
	}
	watch_set(c->watch, wishes);
}

static void
set_error(struct conn *c, const char *text)
{
	if (!c->error[0])
		snprintf(c->error, sizeof c->error, "%s", text);
}

static void
release_socket(struct conn *c)
{
	watch_free(c->watch);
	timer_free(c->deadline);
	c->watch = NULL;
	c->deadline = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* The last thing that a step does. */
static void
die(struct conn *c, int code)
{
	c->state = DEAD;
	c->code = code;
	release_socket(c);
	c->events->closed(c->user, code);
}

static void
on_deadline(void *user)
{
	struct conn *c = user;
	if (c->state == LINGERING) {
		die(c, -ERR_CLOSED);
		return;
	}
	set_error(c, c->state == CONNECTING ? "no connection in time"
		     : c->state == SHAKING  ? "no TLS handshake in time"
					    : "the peer does not read");
	die(c, -ERR_TIMEOUT);
}

/* What an OpenSSL call came to; c->code and c->error on failure. */
static enum io
tls_result(struct conn *c, int r, int *ret_wants)
{
	char text[sizeof c->error] = "";
	int failed_errno = errno;
	switch (SSL_get_error(c->tls, r)) {
	case SSL_ERROR_WANT_READ:
		*ret_wants = WATCH_READ;
		return IO_AGAIN;
	case SSL_ERROR_WANT_WRITE:
		*ret_wants = WATCH_WRITE;
		return IO_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return IO_END;
	case SSL_ERROR_SYSCALL:
		c->code = failed_errno ? -failed_errno : -ECONNRESET;
		set_error(c, strerror(-c->code));
		return IO_FAILED;
	default:
		break;
	}
	if (ERR_GET_LIB(ERR_peek_error()) == ERR_LIB_SSL &&
		ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
		c->code = -ECONNRESET;
		set_error(c, "the peer cut the connection without a TLS end");
	} else {
		c->code = tls_failure(c->tls, text, sizeof text);
		set_error(c, text);
	}
	ERR_clear_error();
	return IO_FAILED;
}

static enum io
plain_result(struct conn *c, ssize_t n, int wants, int *ret_wants)
{
	if (n == 0)
		return IO_END;
	if (errno == EAGAIN || errno == EINTR) {
		*ret_wants = wants;
		return IO_AGAIN;
	}
	c->code = -errno;
	set_error(c, strerror(errno));
	return IO_FAILED;
}

static enum io
io_read(struct conn *c, void *p, size_t cap, size_t *ret_len)
{
	*ret_len = 0;
	if (c->tls) {
		ERR_clear_error();
		errno = 0;
		int r = SSL_read_ex(c->tls, p, cap, ret_len);
		return r > 0 ? IO_DONE : tls_result(c, r, &c->read_wants);
	}
	ssize_t n = read(c->fd, p, cap);
	if (n <= 0)
		return plain_result(c, n, WATCH_READ, &c->read_wants);
	c->plain_in += (size_t)n;
	*ret_len = (size_t)n;
	return IO_DONE;
}

static enum io
io_write(struct conn *c, const void *p, size_t len, size_t *ret_len)
{
	*ret_len = 0;
	if (c->tls) {
		ERR_clear_error();
		errno = 0;
		int r = SSL_write_ex(c->tls, p, len, ret_len);
		return r > 0 ? IO_DONE : tls_result(c, r, &c->write_wants);
	}
	ssize_t n = write(c->fd, p, len);
	if (n <= 0)
		return plain_result(c, n, WATCH_WRITE, &c->write_wants);
	c->plain_out += (size_t)n;
	*ret_len = (size_t)n;
	return IO_DONE;
}

static void
take_address(struct conn *c)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;
	if (getpeername(c->fd, (struct sockaddr *)&sa, &len) < 0)
		return;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&sa;
	if (sa.ss_family == AF_INET)
		inet_ntop(AF_INET, &((struct sockaddr_in *)&sa)->sin_addr, c->address,
			sizeof c->address);
	else if (sa.ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
		inet_ntop(AF_INET, six->sin6_addr.s6_addr + 12, c->address, sizeof c->address);
	else if (sa.ss_family == AF_INET6)
		inet_ntop(AF_INET6, &six->sin6_addr, c->address, sizeof c->address);
}

static void
become_open(struct conn *c)
{
	c->state = OPEN;
	c->read_wants = WATCH_READ;
	c->write_wants = WATCH_WRITE;
	timer_stop(c->deadline);
	c->events->ready(c->user);
}

static void
step_connect(struct conn *c)
{
	int error = 0;
	socklen_t len = sizeof error;
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error) {
		set_error(c, strerror(error));
		die(c, -error);
		return;
	}
	take_address(c);
	if (!c->tls) {
		become_open(c);
		return;
	}
	c->state = SHAKING;
	c->read_wants = WATCH_READ;
}

static void
step_handshake(struct conn *c)
{
	ERR_clear_error();
	errno = 0;
	int r = SSL_do_handshake(c->tls);
	if (r != 1) {
		enum io io = tls_result(c, r, &c->read_wants);
		if (io != IO_AGAIN)
			die(c, io == IO_END ? -ECONNRESET : c->code);
		return;
	}
	become_open(c);
}

/* Returns 0 when the connection died. */
static int
step_write(struct conn *c)
{
	int had = buf_len(&c->out) > 0;
	for (int i = 0; i < STEP_CHUNKS && buf_len(&c->out) > 0; i++) {
		size_t n;
		enum io io = io_write(c, buf_data(&c->out), buf_len(&c->out), &n);
		if (io == IO_AGAIN)
			return 1;
		if (io != IO_DONE) {
			die(c, io == IO_END ? -EPIPE : c->code);
			return 0;
		}
		c->write_wants = WATCH_WRITE;
		buf_drop(&c->out, n);
	}
	if (had && buf_len(&c->out) == 0 && c->state == OPEN && c->events->drained)
		c->events->drained(c->user);
	return !c->freed;
}

/* Gives the buffer out for as long as some of it is used. Returns 0 when the user freed the
 * connection. */
static int
offer(struct conn *c)
{
	c->offer = 0;
	while (c->state == OPEN && !c->paused && buf_len(&c->in) > 0) {
		size_t used = c->events->data(c->user, buf_data(&c->in), buf_len(&c->in));
		if (c->freed)
			return 0;
		assert(used <= buf_len(&c->in));
		buf_drop(&c->in, used);
		if (used == 0)
			break;
	}
	return 1;
}

static int
step_read(struct conn *c)
{
	if (c->offer && !offer(c))
		return 0;
	for (int i = 0; c->state == OPEN && !c->paused; i++) {
		size_t room = buf_room(&c->in), n;
		if (room == 0)
			return 1;
		if (i == STEP_CHUNKS) {
			kick(c); /* OpenSSL may hold more than the socket */
			return 1;
		}
		if (room > READ_CHUNK_BYTES)
			room = READ_CHUNK_BYTES;
		uint8_t *p = buf_reserve(&c->in, room);
		enum io io = IO_FAILED;
		if (p)
			io = io_read(c, p, room, &n);
		else
			c->code = -ENOMEM;
		if (io == IO_AGAIN)
			return 1;
		if (io != IO_DONE) {
			die(c, io == IO_END ? -ERR_CLOSED : c->code);
			return 0;
		}
		c->read_wants = WATCH_READ;
		buf_commit(&c->in, n);
		if (!offer(c))
			return 0;
	}
	return 1;
}

/* Everything is with the kernel: tell the peer, then wait for its own end, or unread bytes would
 * make the kernel send a reset that overtakes our last words. */
static void
step_flushed(struct conn *c)
{
	if (c->tls) {
		ERR_clear_error();
		SSL_shutdown(c->tls); /* once; if there is no room for it now, the FIN has to do */
		ERR_clear_error();
	}
	if (shutdown(c->fd, SHUT_WR) < 0) {
		die(c, -ERR_CLOSED);
		return;
	}
	c->state = LINGERING;
	timer_start(c->deadline, LINGER_MS, 0);
}

static void
step_linger(struct conn *c)
{
	uint8_t discard[4096];
	ssize_t n;
	for (int i = 0; i < STEP_CHUNKS; i++) {
		n = read(c->fd, discard, sizeof discard);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			die(c, -ERR_CLOSED);
			return;
		}
	}
}

/*
 * Each part may end the connection (DEAD) or see it freed by the user; both stop the step. Reading
 * comes first: the peer's reason for closing lies before the end that makes our write fail.
 */
static void
step(struct conn *c)
{
	if (c->state == CONNECTING)
		step_connect(c);
	if (!c->freed && c->state == SHAKING)
		step_handshake(c);
	if (!c->freed && c->state == OPEN && !step_read(c))
		return;
	if (!c->freed && (c->state == OPEN || c->state == FLUSHING) && !step_write(c))
		return;
	if (!c->freed && c->state == FLUSHING && buf_len(&c->out) == 0)
		step_flushed(c);
	if (!c->freed && c->state == LINGERING)
		step_linger(c);
	if (!c->freed)
		set_wishes(c);
}

static SSL *
make_tls(struct ssl_ctx_st *ctx, int fd, const char *host, int accepting)
{
	struct in6_addr ip;
	SSL *tls = SSL_new(ctx);
	if (!tls || SSL_set_fd(tls, fd) != 1)
		goto fail;
	SSL_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_set_read_ahead(tls, 1);
	if (accepting) {
		SSL_set_accept_state(tls);
		return tls;
	}
	SSL_set_connect_state(tls);
	SSL_set_verify(tls, SSL_VERIFY_PEER, NULL);
	int numeric = inet_pton(AF_INET, host, &ip) == 1 || inet_pton(AF_INET6, host, &ip) == 1;
	if (numeric ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), host) != 1
		    : SSL_set1_host(tls, host) != 1 || SSL_set_tlsext_host_name(tls, host) != 1)
		goto fail;
	return tls;
fail:
	SSL_free(tls);
	return NULL;
}

struct conn *
conn_new(struct loop *loop, int fd, struct ssl_ctx_st *tls, const char *host, int accepting,
	uint64_t deadline_ms, const struct conn_events *events, void *user)
{
	assert(!tls || accepting || host); /* a connection to nobody in particular proves nothing */
	struct conn *c = mem_array(1, sizeof *c);
	if (!c)
		goto fail;
	c->tls = tls ? make_tls(tls, fd, host, accepting) : NULL;
	if (tls && !c->tls)
		goto fail;
	c->loop = loop;
	c->fd = fd;
	c->events = events;
	c->user = user;
	buf_init(&c->in, CONN_IN_MAX_BYTES);
	buf_init(&c->out, CONN_OUT_MAX_BYTES);
	c->watch = watch_new(loop, fd, on_watch, c);
	c->deadline = timer_new(loop, on_deadline, c);
	timer_start(c->deadline, deadline_ms, 0);
	set_wishes(c);
	return c;
fail:
	free(c);
	close(fd);
	return NULL;
}

void
conn_give(struct conn *c, void *user)
{
	c->user = user;
}

static void
release(void *user)
{
	struct conn *c = user;
	buf_fini(&c->in);
	buf_fini(&c->out);
	free(c);
}

void
conn_free(struct conn *c)
{
	if (!c)
		return;
	assert(!c->freed);
	c->freed = 1;
	c->state = DEAD;
	release_socket(c);
	SSL_free(c->tls);
	c->tls = NULL;
	/* after every kick that is on its way, and after a data() that we may be inside of */
	loop_defer(c->loop, release, c);
}

int
conn_send(struct conn *c, const void *data, size_t len)
{
	if (c->state > OPEN)
		return -ERR_CLOSED;
	int r = buf_add(&c->out, data, len);
	if (r == 0)
		set_wishes(c);
	return r;
}

size_t
conn_queued(const struct conn *c)
{
	return buf_len(&c->out);
}

void
conn_finish(struct conn *c)
{
	if (c->state > OPEN)
		return;
	if (c->state < OPEN) {
		c->state =
			LINGERING; /* nobody to say goodbye to: closed comes with the next step */
		shutdown(c->fd, SHUT_RDWR);
	} else {
		c->state = FLUSHING;
	}
	timer_start(c->deadline, FLUSH_MS, 0);
	kick(c);
}

void
conn_pause(struct conn *c)
{
	c->paused = 1;
	set_wishes(c);
}

void
conn_resume(struct conn *c)
{
	c->paused = 0;
	c->offer = 1;
	kick(c);
}

const char *
conn_address(const struct conn *c)
{
	return c->address;
}

const char *
conn_error(const struct conn *c)
{
	return c->error;
}

struct ssl_st *
conn_tls(struct conn *c)
{
	return c->tls;
}

uint64_t
conn_bytes_in(const struct conn *c)
{
	return c->tls ? BIO_number_read(SSL_get_rbio(c->tls)) : c->plain_in;
}

uint64_t
conn_bytes_out(const struct conn *c)
{
	return c->tls ? BIO_number_written(SSL_get_wbio(c->tls)) : c->plain_out;
}
