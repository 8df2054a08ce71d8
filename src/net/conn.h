/*
 * A connection that carries bytes, with or without TLS, on a loop. Outer connections of agent and
 * client, links of the controller. (Gate workers have their own, leaner one.)
 *
 * Events come in this order: ready once; data and drained any number of times; closed exactly once,
 * also after a failed handshake, never from inside a call of ours. After closed only conn_free is
 * allowed; conn_free before closed means closed is never called.
 *
 * Back-pressure: data() returns how many bytes it used and is called again while it uses some; the
 * rest (at most CONN_IN_MAX_BYTES, then nothing is read) is offered again when more comes or after
 * conn_resume. conn_pause stops reading: TCP's window tells the peer. conn_send queues up to
 * out_max bytes; past CONN_HIGH_BYTES the sender should stop until drained() (queue empty again).
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "net/loop.h"

struct conn;
struct ssl_st;
struct ssl_ctx_st;

enum {
	CONN_HIGH_BYTES = 256 * 1024,
	CONN_OUT_MAX_BYTES = 4 * 1024 * 1024,
	CONN_IN_MAX_BYTES = 128 * 1024, /* the longest frame or record and then some */
};

struct conn_events {
	void (*ready)(void *user);
	size_t (*data)(void *user, const uint8_t *data, size_t len);
	void (*drained)(void *user); /* may be NULL */
	/* code: -ERR_CLOSED for an orderly end, else what went wrong (-ERR_CERT_UNTRUSTED,
	 * -ERR_TIMEOUT, -ECONNRESET...). */
	void (*closed)(void *user, int code);
};

/* Takes over the connected (or connecting) non-blocking fd. tls NULL = plain. host (name or
 * address) is checked against the peer's certificate when connecting, and the peer must speak
 * TLS_ALPN_NATIVE; NULL when accepting. ready must come within deadline_ms. NULL when out of
 * memory; the fd is closed then too. */
struct conn *conn_new(struct loop *loop, int fd, struct ssl_ctx_st *tls, const char *host,
	int accepting, uint64_t deadline_ms, const struct conn_events *events, void *user);
void conn_free(struct conn *conn); /* at once, no close_notify wait */

/* 0, -ENOBUFS over CONN_OUT_MAX_BYTES (nothing queued), -ERR_CLOSED. */
int conn_send(struct conn *conn, const void *data, size_t len);
size_t conn_queued(const struct conn *conn); /* bytes not yet given to the kernel */
/* Flush, tell the peer, wait up to 2 s for its end, close; closed(-ERR_CLOSED) follows. No data()
 * any more. */
void conn_finish(struct conn *conn);
/* Whose events they are from the next one on; the kind stays. */
void conn_give(struct conn *conn, void *user);
void conn_pause(struct conn *conn);
void conn_resume(struct conn *conn);

/* Peer's IP address as text, "" when it has none. The first failure in words for diagnosis, "" when
 * there is none. */
const char *conn_address(const struct conn *conn);
const char *conn_error(const struct conn *conn);
/* NULL for plain connections. */
struct ssl_st *conn_tls(struct conn *conn);
uint64_t conn_bytes_in(const struct conn *conn);
uint64_t conn_bytes_out(const struct conn *conn);
